"""Print, as pip constraints, the lowest versions of the run-time dependencies that a pyproject.toml allows."""

import re
import sys
import tomllib
from pathlib import Path

for requirement in tomllib.loads(Path(sys.argv[1]).read_text())["project"]["dependencies"]:
    match = re.fullmatch(r"([A-Za-z0-9._-]+)>=([0-9.]+)(?:,<[0-9.]+)?", requirement)
    if match is None:
        sys.exit(f"{sys.argv[1]}: cannot read {requirement!r}: write it as name>=version or name>=version,<version")
    print("{}=={}".format(*match.groups()))  # noqa: T201 - printing is what this script does
