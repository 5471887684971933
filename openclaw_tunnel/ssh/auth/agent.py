"""The SSH agent, asked with a deadline: one that hangs must not stop a login that a key file could do."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import asyncssh

from openclaw_tunnel.ssh.asyncssh_seams import SigningClient, agent_answered

AGENT_SECONDS = 10.0
"""What an agent has to list its keys: it may have to be unlocked, or to wake up a card reader."""

LIST_SECONDS = 3.0
"""What it has where nobody waits for them, and it is only asked whether they have changed."""

Keys = frozenset[bytes]
"""The keys and certificates that an agent holds, in wire format."""


class AgentClient(SigningClient):
    """asyncssh's agent client, which also notes what became of the signatures it was asked for.

    Attributes:
        signing: it owes a signature, or did so when the login was given up.
        refusals: how many signatures it has refused.
        broken: why the last signature did not come where that was no refusal; empty where all went well.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
        self.signing = False
        self.refusals = 0
        self.broken = ""

    @contextmanager
    def signature(self) -> Iterator[None]:
        """Note what becomes of a signature."""
        self.signing = True  # and stays so when the login is given up: then this is what it was waiting for
        try:
            yield
        except ValueError as exc:
            self.signing = False
            if agent_answered(exc):
                self.refusals += 1
            else:
                self.broken = str(exc) or "it hung up"
            raise
        self.signing = False

    def count_as_refusal(self) -> None:
        """What looked broken was a person who did not confirm."""
        self.refusals, self.broken = self.refusals + 1, ""


@dataclass(slots=True)
class AgentAnswer:
    """What the agent said.

    Attributes:
        keys: its keys, in its order.
        problem: why it could not be asked, for the message; empty if all went well or there is no agent.
        client: to be closed after the login; None if there is no connection.
        silent: there is an agent, and it has not answered in time.
    """

    keys: list[asyncssh.SSHKeyPair] = field(default_factory=list)
    problem: str = ""
    client: AgentClient | None = None
    silent: bool = False

    @property
    def held(self) -> Keys | None:
        """What the agent holds: nothing where it cannot be asked; None where that is not known."""
        return None if self.silent else frozenset(pair.public_data for pair in self.keys)


def agent_path(identity_agent: str | None, env: Mapping[str, str]) -> str:
    """The socket to ask: IdentityAgent as resolved, else SSH_AUTH_SOCK; empty for no agent."""
    return env.get("SSH_AUTH_SOCK", "") if identity_agent is None else identity_agent


async def ask_agent(path: str, *, timeout: float = AGENT_SECONDS) -> AgentAnswer:
    """The keys an agent holds.

    Args:
        path: its socket; empty for no agent.
        timeout: seconds for the whole answer.
    """
    if not path:
        return AgentAnswer()
    client = AgentClient(path)
    try:
        async with asyncio.timeout(timeout):
            return AgentAnswer(list(await client.get_keys()), client=client)
    except TimeoutError:
        problem, silent = f"the SSH agent at {path} did not answer within {timeout:g} s", True
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or exc
        problem, silent = f"the SSH agent at {path} cannot be asked: {why}", False
    except BaseException:
        await close_agent(client)
        raise
    await close_agent(client)
    return AgentAnswer(problem=problem, silent=silent)


async def list_keys(path: str, *, timeout: float = LIST_SECONDS) -> Keys | None:
    """As ``AgentAnswer.held``, of an agent that is asked for nothing else.

    Args:
        path: its socket; empty for no agent.
        timeout: seconds for the whole answer.
    """
    answer = await ask_agent(path, timeout=timeout)
    await close_agent(answer.client)
    return answer.held


async def close_agent(client: AgentClient | None) -> None:
    """Close the connection to the agent; idempotent."""
    if client:
        client.close()
        with suppress(OSError):  # one that has hung up: that it is closed is all that is wanted
            await client.wait_closed()
