"""What a program that uses PyPI's sshtunnel does: opens one forward with the package's defaults and keeps it.

Arguments: host, port, user, private key, local port, remote port.
"""

import signal
import sys

from sshtunnel import SSHTunnelForwarder

host, port, user, key, local, remote = sys.argv[1:]
with SSHTunnelForwarder(
    (host, int(port)),
    ssh_username=user,
    ssh_pkey=key,
    ssh_config_file=None,
    allow_agent=False,
    host_pkey_directories=[],
    local_bind_address=("127.0.0.1", int(local)),
    remote_bind_address=("127.0.0.1", int(remote)),
):
    signal.pause()
