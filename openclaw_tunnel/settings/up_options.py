"""The options of ``up``, as they travel from the command line to the daemon."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from openclaw_tunnel.host.paths import absolute_path
from openclaw_tunnel.ssh_config.tokens import expand_home

_NO_FILE = "none"  # -F none: no ssh_config at all


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of ``up``; None or empty where nothing was typed. ``hold`` is in seconds.

    ``local_port`` is a port, or ``auto`` or ``new``: a free one that the tunnel keeps.

    ``identity`` and ``ssh_config`` become absolute when the options are made, so that they mean the same file in a
    daemon that works in another folder.

    Raises:
        ConfigError: a path begins with ``~user`` and there is no such user.
    """

    target: str | None = None
    name: str | None = None
    local_port: int | str | None = None
    remote_port: int | None = None
    bind: str | None = None
    identity: str | None = None
    ssh_config: str | None = None
    extra_forwards: tuple[str, ...] = ()
    hold: float | None = None
    probe: str | None = None
    allow_remote_clients: bool = False
    no_extra_ports: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", absolute(self.identity, "-i"))
        object.__setattr__(self, "ssh_config", absolute_config(self.ssh_config, "-F"))

    def kept(self) -> "UpOptions":
        """The options of a tunnel that has its local port: ``new`` was for once."""
        return replace(self, local_port="auto") if self.local_port == "new" else self

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "UpOptions":
        """Read what :meth:`to_json` wrote.

        Raises:
            TypeError: it is no such object.
        """
        return cls(**{**data, "extra_forwards": tuple(data.get("extra_forwards", ()))})


def absolute(path: str | None, option: str) -> str | None:
    """``path`` with ``~`` expanded and made absolute from the current folder; ``option`` is for the error.

    Raises:
        ConfigError: it begins with ``~user`` and there is no such user; or it is relative to a folder that was removed.
    """
    return absolute_path(expand_home(path, option), option) if path else None


def absolute_config(path: str | None, option: str) -> str | None:
    """As ``absolute``, for an ssh_config file: ``none`` stays, which is what ssh takes for "read no file".

    Raises:
        ConfigError: as ``absolute``.
    """
    return path if path == _NO_FILE else absolute(path, option)
