"""What the rest of the program knows of an SSH connection: a port in the hexagonal sense.

``ssh/connection.py`` implements it with asyncssh; tests pass their own. Nothing above ``ssh/`` sees more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from openclaw_tunnel.core.failures import Failure


class LinkLost(Exception):
    """The SSH connection went away while, or before, something was asked of it."""


class ChannelFailed(Exception):
    """The far end would not open a channel, or took longer than the deadline.

    ``failure.code`` is NOT_LISTENING (nothing accepts there), FORWARDING_FORBIDDEN (the server's rules),
    TIMEOUT (no answer within the deadline) or, for everything else, GATEWAY_UNREACHABLE.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the SSH server said of itself: its version string without ``SSH-2.0-``, the cipher towards it."""

    version: str
    cipher: str


class Source(Protocol):
    """Whoever has bytes to send through a channel, and keeps them until they are asked for."""

    def read(self, most: int) -> bytes:
        """Up to ``most`` bytes that are there.

        Fewer than that: there are no more for now, and :meth:`SharedChannel.ready` is called when there are.
        """


class Channel(Protocol):
    """One open direct-tcpip (or direct-streamlocal) channel: the write half of a pipe.

    What arrives is delivered to the ``asyncio.Protocol`` given to :meth:`Link.open_channel`, with the calls
    and rules of asyncio: ``data_received``, ``eof_received``, ``pause_writing``, ``resume_writing`` and, once
    and last, ``connection_lost(exc)``; ``connection_made`` is not called. After ``eof_received`` the channel
    stays open for writing, whatever is returned.
    """

    def write(self, data: bytes) -> None:
        """Send a message, ahead of all that waits; never blocks, ``pause_writing`` says when to hold back."""

    def write_eof(self) -> None:
        """Send no more; may be called once. What arrives is still delivered."""

    def pause_reading(self) -> None:
        """Deliver nothing more for now: the far end stops when its window is used up."""

    def resume_reading(self) -> None:
        """Go on delivering."""

    def close(self) -> None:
        """Close after what was written is sent; idempotent."""

    def abort(self) -> None:
        """Close now; idempotent."""


class SharedChannel(Channel, Protocol):
    """A channel among others of one connection, which takes turns with them."""

    def ready(self, source: Source) -> bool:
        """``source`` has bytes to send: they are read when it is their turn, at once where nobody else waits.

        Returns:
            False where they have to wait: ``source.read`` is called when it is their turn. True: they were read, and
            this is to be called again when there are more.
        """


Opened = Callable[[SharedChannel], None]
"""Takes a channel that has just been opened."""


def nobody_waits(channel: SharedChannel) -> None:
    """For a channel that is taken from what ``open_channel`` returns."""


class Link(Protocol):
    """One live SSH connection."""

    @property
    def server(self) -> ServerInfo:
        """Who answered."""

    @property
    def local_address(self) -> str:
        """The IP address of this computer that the connection comes from; empty where a proxy's process hides it."""

    async def open_channel(
        self, host: str, port: int, receiver: Any, *, timeout: float, opened: Opened = nobody_waits
    ) -> SharedChannel:
        """Open a direct-tcpip channel to ``host``:``port`` as the SSH server sees it.

        ``port`` 0 means that ``host`` is the path of a Unix socket (direct-streamlocal@openssh.com).

        Args:
            receiver: an ``asyncio.Protocol`` that gets what arrives. Calls may begin before this returns.
            timeout: seconds until the channel must be open.
            opened: called with the channel as soon as it is open, which is some turns of the event loop before this
                returns; not where it comes too late.

        Raises:
            ChannelFailed: refused, forbidden or too late. The connection itself goes on.
            LinkLost: the connection is gone, or retired.
        """

    async def ping(self, *, timeout: float) -> float:
        """Ask the SSH server for any answer at all; the round-trip time in seconds.

        Args:
            timeout: seconds without an answer, or any other sign that bytes still get through: behind a large
                upload the question itself takes its time.

        Raises:
            TimeoutError: none came in time.
            LinkLost: the connection is gone.
        """

    async def close(self) -> None:
        """Close the connection, its jump hosts and its proxy process; idempotent, at most a second or two."""

    def retire(self) -> None:
        """Open no more channels: openings under way end with LinkLost, what is open goes on. Idempotent."""

    async def wait_idle(self) -> None:
        """Return when no channel is open, and none is being opened."""

    async def wait_lost(self) -> Failure:
        """Return when the connection is gone, with the reason (LOST, KEEPALIVE_TIMEOUT, ...)."""


class DialFailed(Exception):
    """A dial ended without a connection."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


Asks = Callable[[str], None]
"""Takes what a person is asked to do for the dial under way, in one line (and its URL, where there is one); empty: it
has been done, or is not waited for any more."""


def nobody_asked(what: str) -> None:
    """For a dial that nobody looks at."""


class Connector(Protocol):
    """Dials one tunnel's SSH server, each time with the settings of the moment."""

    @property
    def files(self) -> tuple[str, ...]:
        """Absolute paths whose content the last dial depended on: ssh_config with what it includes, known_hosts, keys.

        Known after the first dial; before it, what follows from the spec alone.
        """

    @property
    def agent(self) -> str:
        """The socket of the SSH agent that the last dial asked; empty for none."""

    async def changed(self, *, agent: bool) -> bool:
        """Whether something that the last dial depended on is no longer what it was when that dial began.

        Args:
            agent: look at the keys that the SSH agent holds too: it is asked for their list.
        """

    async def connect(self, *, asks: Asks = nobody_asked) -> Link:
        """Dial once; cancelling gives the dial up.

        It ends within the policy's connect deadline, or ssh_config's. The time in which a person is asked for something
        does not count, but has a limit of its own, ``PERSON_SECONDS``.

        Raises:
            DialFailed: with the failure, already in our words.
        """


DIAL_SECONDS = 300.0
"""The most that ssh_config's ConnectTimeout can give a dial: longer than any network takes, and a dial that hangs for
good is noticed."""

PERSON_SECONDS = 120.0
"""How long a dial waits for a person: to touch a key, to confirm in the agent, to log in with the browser. OpenSSH's
server hangs up on a login after 120 s (LoginGraceTime)."""
