"""``python -m openclaw_tunnel``."""

import sys

from openclaw_tunnel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
