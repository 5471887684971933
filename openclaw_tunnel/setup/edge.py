"""Where ``setup`` touches the world: looks at what the plan needs, and carries out its steps."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.setup.computer import ThisComputer
from openclaw_tunnel.setup.facts import Facts
from openclaw_tunnel.setup.openclawjson import ByHand, check_can_write, edit_file, write_settings
from openclaw_tunnel.setup.patch import snippet_of
from openclaw_tunnel.setup.prompts import Prompts
from openclaw_tunnel.setup.remote import RemoteHost
from openclaw_tunnel.setup.steps import Do, Look, Options, Step
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ui import output, progress


@dataclass(frozen=True, slots=True)
class Edge:
    """The gateway's host, and this computer.

    Attributes:
        prompts: answer the host's own questions.
        env: the process's environment.
        runner: where the connection to the host lives.
    """

    host: RemoteHost
    computer: ThisComputer
    prompts: Prompts
    options: Options
    env: Mapping[str, str]
    runner: asyncio.Runner

    def leave(self) -> None:
        """Close the connection to the host, if there is one."""
        self.runner.run(self.host.close())

    def look(self, needs: Look, facts: Facts) -> Facts:
        """The facts, and what was looked at.

        Raises:
            TunnelError: it cannot be looked at.
        """
        with progress.working(needs.doing) if needs.doing else contextlib.nullcontext():
            return replace(facts, **{needs.what: self._look(needs, facts)})

    def _look(self, needs: Look, facts: Facts) -> Any:
        match needs.what:
            case "host":
                return self.runner.run(self.host.look())
            case "login":
                return self.runner.run(self._log_in())
            case "key":
                return self.runner.run(self.host.choose_key())
            case "remote":
                return self.runner.run(self.host.gateway())
            case "probes":
                return (*facts.probes, self.runner.run(self.host.probe(needs.ports[0])))
            case "computer":
                return self.computer.look(facts.local.entry.name)
            case "ports":
                return self._ports(needs)

    def apply(self, step: Step, facts: Facts) -> Step:
        """Carry it out; the step as it went.

        Raises:
            TunnelError: it failed; nothing of it is half done.
        """
        try:
            return self._apply(step, facts)
        except ByHand:
            output.say(snippet_of(step.patch))
            raise

    def _apply(self, step: Step, facts: Facts) -> Step:
        host, computer, options, local = self.host, self.computer, self.options, facts.local
        match step.do:
            case Do.REMEMBER_KEY if facts.host:
                host.remember(facts.host)
            case Do.MAKE_KEY if facts.key:
                host.make_key(facts.key.path)
            case Do.INSTALL_KEY if facts.key:
                with progress.working(f"installing the key on {options.target}"):
                    key = self.runner.run(host.install(facts.key))
                words = f"{options.target} accepts {key.path or 'the key'} ({key.shown}) now"
                return replace(step, words=words)
            case Do.CHECK_SETTINGS:
                check_can_write(local.settings.loaded, step.patch, self.env)
            case Do.WRITE_SETTINGS:
                with progress.working(f"writing {local.settings.path}"):
                    written = write_settings(local.settings.loaded, step.patch, self.env)
                how = f", through {written.through}" if written.through else ""
                copy = f" (before: {written.copy.name})" if written.copy else ""
                return replace(step, words=f"{step.words}{how}{copy}")
            case Do.EDIT_TUNNELS:
                edit_file(local.tunnels.path, step.patch)
            case Do.SHOW_TUNNEL if facts.computer and facts.computer.running:
                computer.show(facts.computer.running)
            case Do.OPEN_TUNNEL:
                return replace(step, code=computer.open_tunnel())
            case Do.REOPEN_TUNNEL:
                return replace(step, code=computer.open_tunnel(close=local.entry.name))
            case Do.INSTALL_SERVICE:
                code = computer.install_service(yes=options.yes, replace=options.replace)
                return replace(step, code=code)
        return step

    async def _log_in(self) -> HowIn | TunnelError:
        """How that succeeded, or why it was refused where nobody could be asked for a password."""
        asker = None if self.options.dry_run else self.prompts.asker
        try:
            return await self.host.log_in(asker)
        except TunnelError as error:
            if error.exit_code is ExitCode.LOGIN and asker is None:
                return error
            raise

    def _ports(self, needs: Look) -> tuple[tuple[int, str], ...]:
        """The local ports up to the first that is free, or the tunnel's own; who has each."""
        looked: list[tuple[int, str]] = []
        for port in needs.ports:
            looked.append((port, "" if port == needs.own else self.computer.why_taken(port)))
            if not looked[-1][1]:
                break
        return tuple(looked)
