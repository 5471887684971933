"""A small script, run by the POSIX shell of the computer at the other end.

The script goes through standard input and never through the command line, so that it is one and the same text under
every login shell (csh, fish), and nobody reads it in a list of processes there.
"""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field

import asyncssh

from openclaw_tunnel.ssh.words import clean

COMMAND = "exec sh"
"""What the login shell over there is asked for: sh, csh and fish all understand it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a script.

    Attributes:
        reached: its first line was run: there is a shell, and it may be used.
        output: what it printed after that; nothing that login scripts print is in it.
        words: what stood before the script's output, for a message: a refusal, or what login scripts print.
        status: its exit status; None where it was not told.
        in_time: it ended within its time, and printed no more than allowed.
    """

    reached: bool
    output: bytes = field(default=b"", repr=False)
    words: str = ""
    status: int | None = None
    in_time: bool = True


async def run_script(connection: asyncssh.SSHClientConnection, script: str, *, timeout: float, limit: int) -> Ran:
    """Run ``script``; what it runs must not read standard input.

    A script that arrives only in part does nothing: it is one compound command, which a shell reads to its end
    before it begins. Standard error joins the output, unless the script turns it away.

    Args:
        timeout: seconds for everything.
        limit: bytes of output.

    Raises:
        asyncssh.Error, OSError: the server opens no session, or the connection is gone.
    """
    mark = f"openclaw-tunnel-{secrets.token_hex(8)}"
    text = f"{{\nprintf '%s\\n' {mark}\n{script}\nexit\n}}\n".encode("utf-8", "surrogateescape")
    printed = bytearray()
    process: asyncssh.SSHClientProcess[bytes] | None = None
    in_time = True
    try:
        async with asyncio.timeout(timeout):
            process = await connection.create_process(COMMAND, encoding=None, stderr=asyncssh.STDOUT)
            _write(process, text)
            while len(printed) <= limit and (data := await process.stdout.read(1 << 16)):
                printed += data
            if in_time := len(printed) <= limit:
                await process.wait_closed()
    except TimeoutError:
        in_time = False
        if process:
            with suppress(OSError):  # it has just ended by itself
                process.terminate()
    finally:
        if process:
            process.close()
    before, found, output = bytes(printed[:limit]).partition(mark.encode() + b"\n")
    words = clean(before.decode("utf-8", "replace"))
    return Ran(bool(found), output, words, process.exit_status if process else None, in_time)


def _write(process: "asyncssh.SSHClientProcess[bytes]", text: bytes) -> None:
    with suppress(OSError):  # it has ended without reading: what it said tells why
        process.stdin.write(text)
        process.stdin.write_eof()
