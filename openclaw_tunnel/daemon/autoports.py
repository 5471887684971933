"""Local ports that ``-p auto`` has picked: once for each tunnel, then kept, because clients were told them."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import PortChoice, TunnelSpec
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.files import write_atomic
from openclaw_tunnel.host.paths import ensure_private_dir
from openclaw_tunnel.relay.bind import BindFailed, is_free
from openclaw_tunnel.settings.auto_port import candidates, on_port

logger = logging.getLogger(__name__)

T = TypeVar("T")

FILE = "ports.json"
_VERSION = 1


class AutoPorts:
    """The kept ports of one user, by the name of the tunnel, in a file that only the daemon writes."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is that of the state; nothing is read yet."""
        self._file = folder / FILE

    def settled(self, spec: TunnelSpec) -> TunnelSpec:
        """``spec`` with the port that is kept for its name, where the choice is ours and there is one.

        Raises:
            ConfigError: the file cannot be read.
        """
        if spec.port_choice is not PortChoice.AUTO:
            return spec
        kept = self._read().get(spec.name)
        return spec if kept is None else on_port(spec, kept)

    def choices(self, spec: TunnelSpec) -> list[TunnelSpec]:
        """What to try, one after the other, until a local port can be had.

        Raises:
            BindFailed: no port comes into question.
            ConfigError: the file cannot be read.
        """
        if spec.port_choice is PortChoice.FIXED:
            return [spec]
        ports = self._read()
        if spec.port_choice is PortChoice.AUTO and spec.name in ports:
            return [on_port(spec, ports[spec.name])]
        found = candidates(spec, set(ports.values()))
        free = [chosen for chosen in (on_port(spec, port) for port in found) if is_free(chosen.main)]
        if not free:
            raise BindFailed(_none_is_free(spec, found))
        return free

    async def try_each(self, spec: TunnelSpec, start: Callable[[TunnelSpec], Awaitable[T]]) -> T:
        """What ``start`` makes of the first choice whose local port can be had.

        Raises:
            BindFailed: as ``start`` for the last choice, or for a port that is not the main forward's.
            ConfigError: the file cannot be read.
        """
        choices = await asyncio.to_thread(self.choices, spec)
        for choice in choices[:-1]:
            try:
                return await start(choice)
            except BindFailed as failed:  # somebody was quicker
                if failed.failure.facts.get("listen") != str(choice.main.listen):
                    raise
        return await start(choices[-1])

    def keep(self, spec: TunnelSpec) -> str:
        """Remember the port of a tunnel that has it now; a note for the user where that cannot be done."""
        port = spec.main.listen.port
        if spec.port_choice is PortChoice.FIXED:
            return ""
        try:
            ports = self._read()
            if ports.get(spec.name) == port:
                return ""
            data = {"version": _VERSION, "ports": dict(sorted({**ports, spec.name: port}.items()))}
            ensure_private_dir(self._file.parent)
            write_atomic(self._file, json.dumps(data, indent=2).encode() + b"\n")
        except (OSError, ConfigError) as error:
            logger.warning("%s: its port cannot be kept: %s", spec.name, error)
            return f"local port {port} cannot be kept for the next time: {error}"
        return ""

    def _read(self) -> dict[str, int]:
        try:
            ports = json.loads(self._file.read_bytes())["ports"]
            if not all(type(port) is int and 0 < port < 65536 for port in ports.values()):
                raise ValueError("a port that is none")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = str(error) if isinstance(error, OSError | ValueError) else "it is not what this program wrote"
            raise ConfigError(
                f"{self._file}: the local ports that tunnels keep cannot be read: {what}",
                hint="remove that file, and up -p auto picks new ports; or give the port: -p PORT",
            ) from None
        return dict(ports)


def _none_is_free(spec: TunnelSpec, found: tuple[int, ...]) -> Failure:
    first = spec.main.listen.port
    tried = f"{len(found)} local ports from {first} to {found[-1]}" if found else f"local ports from {first} on"
    facts = {"step": "stop what uses one of them", "otherwise": "choose a port yourself: -p PORT"}
    return Failure(Code.PORT_IN_USE, f"none of the {tried} is free", facts)
