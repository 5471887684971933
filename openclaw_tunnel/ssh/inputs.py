"""What the dials of one tunnel depend on (files, SSH agents), and whether it is still what it was.

A tunnel that has failed is tried again when something changes that could make a difference.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping

from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.loop.offloop import OffLoop
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.host.watch import LOOK_SECONDS, Looks, fingerprints
from openclaw_tunnel.ssh.auth.agent import Keys, agent_path, list_keys
from openclaw_tunnel.ssh_config.includes import Includes
from openclaw_tunnel.ssh_config.query import config_roots
from openclaw_tunnel.ssh_config.target import SshTarget
from openclaw_tunnel.ssh_config.tokens import Account

_TRACEBACKS = Tracebacks(logging.getLogger(__name__))


class DialInputs:
    """Knows what the last dial depended on, and what that was when the dial began.

    Args:
        spec: the tunnel.
        env: the environment of its dials; it may change.
        off_loop: makes the looks at files, which may hang.
    """

    def __init__(self, spec: TunnelSpec, env: Mapping[str, str], *, off_loop: OffLoop[Looks] | None = None) -> None:
        self._spec = spec
        self._env = env
        self._targets: dict[str, SshTarget] = {}
        self._asked: set[str] = set()
        self._seen: Looks = {}
        self._keys: dict[str | None, Keys | None] = {}
        self._off_loop = off_loop or OffLoop[Looks]("files of a tunnel")

    @property
    def files(self) -> tuple[str, ...]:
        """All paths, absolute; some may not exist."""
        return tuple(dict.fromkeys([*self._own(), *self._seen, *self._read()]))

    @property
    def agent(self) -> str:
        """The socket of the agent that is asked for the tunnel's own server; empty for none."""
        target = self._targets.get(self._spec.target)
        return agent_path(target.identity_agent if target else None, self._env)

    async def begin(self) -> None:
        """A dial begins: note what the files are that are known by now."""
        self._asked, self._keys = set(), {}
        self._seen = await self._look() or self._seen

    async def learn(self, destination: str, target: SshTarget) -> None:
        """``ssh -G`` has answered: note what the files are that it has added."""
        self._targets[destination] = target
        self._asked.add(destination)
        new = [path for path in files_of(target) if path not in self._seen]
        self._seen |= await self._look_at(lambda: new) or {}

    def saw_keys(self, target: SshTarget, keys: Keys | None) -> None:
        """A login has asked the agent, and this is what it had; None for no answer."""
        self._keys[target.identity_agent] = keys

    def logged_in(self) -> None:
        """The dial has succeeded: no other destination is on the way any more."""
        self._targets = {name: target for name, target in self._targets.items() if name in self._asked}

    async def changed(self, *, agent: bool) -> bool:
        """Whether a file, or with ``agent`` the keys of an agent, are not what they were; never raises."""
        now = await self._look()
        if now is not None and any(now.get(path) != self._seen.get(path) for path in {*now, *self._seen}):
            return True
        return agent and await self._agents_changed()

    async def _agents_changed(self) -> bool:
        saw = list(self._keys.items())
        now = await asyncio.gather(*(list_keys(agent_path(setting, self._env)) for setting, _ in saw))
        return any(_differ(before, after) for (_, before), after in zip(saw, now, strict=True))

    async def _look(self) -> Looks | None:
        """Look at all files; None where that takes too long."""
        known = (*self._own(), *self._read())
        return await self._look_at(lambda: dict.fromkeys([*self._configuration(), *known]))

    async def _look_at(self, paths: Callable[[], Iterable[str]]) -> Looks | None:
        try:
            return await self._off_loop.run(lambda: _looks(paths()), timeout=LOOK_SECONDS)
        except Exception as exc:  # a look that goes wrong must not end a dial, and shows no change
            _TRACEBACKS.log("looking at the files of a tunnel", exc)
            return None

    def _own(self) -> tuple[str, ...]:
        named = [self._spec.ssh_config] if self._spec.ssh_config else []
        return (*named, *(beside(self._spec.identity) if self._spec.identity else ()))

    def _read(self) -> Iterable[str]:
        return (path for target in self._targets.values() for path in files_of(target))

    def _configuration(self) -> tuple[str, ...]:
        """The files of ssh_config with all that they include now."""
        try:
            account = Account.of_process()
            includes = Includes(account, self._env)
            for path, folder in config_roots(self._spec.ssh_config, self._env, account.home):
                includes.look_through(path, folder)
        except ConfigError:  # no such user: the dial says so
            return ()
        return includes.found


def _looks(paths: Iterable[str]) -> Looks:
    """The fingerprints of files; what no file can be called is none."""
    return fingerprints(path for path in paths if "\0" not in path)


def beside(key: str) -> tuple[str, str, str]:
    """A key file, its public half and its certificate."""
    return key, f"{key}.pub", f"{key}-cert.pub"


def files_of(target: SshTarget) -> tuple[str, ...]:
    """What the outcome of a dial depends on."""
    keys = (path for key in target.identity_files for path in beside(key))
    return tuple(os.path.abspath(path) for path in dict.fromkeys([*target.files, *keys]))


def _differ(before: Keys | None, after: Keys | None) -> bool:
    """Of an agent that does not answer, nothing is known; that is no difference, or each look would find one."""
    return before is not None and after is not None and before != after
