"""What happens around a tunnel and concerns it: addresses of this computer, files that its settings come from."""

import ipaddress

from openclaw_tunnel.host.watch import fingerprint


def has_moved(local_address: str, addresses: frozenset[str] | None) -> bool:
    """Whether a connection made from ``local_address`` has lost its footing: this computer is no longer there.

    Args:
        local_address: as ``core.link.Link.local_address``.
        addresses: those of this computer; None where they are not known.
    """
    if addresses is None or not local_address:
        return False
    address = ipaddress.ip_address(local_address.partition("%")[0])
    return not address.is_loopback and str(address) not in addresses


class WatchedFiles:
    """Some files, and whether one has changed since it was last asked."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        """Look for the first time."""
        self._paths = paths
        self._seen = [fingerprint(path) for path in paths]

    def changed(self) -> bool:
        """Whether one has changed since the last call, or since the beginning."""
        before, self._seen = self._seen, [fingerprint(path) for path in self._paths]
        return before != self._seen
