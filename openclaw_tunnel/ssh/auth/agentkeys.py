"""Which keys an SSH agent holds, asked only to see whether they are still the same.

asyncssh's client is not used: its errors say why a login could not use the agent, and here none is of interest.
"""

import asyncio
import contextlib

LIST_SECONDS = 3.0

Keys = frozenset[bytes]
"""The keys and certificates, in wire format."""

_REQUEST = b"\0\0\0\x01\x0b"  # SSH_AGENTC_REQUEST_IDENTITIES (draft-ietf-sshm-ssh-agent)
_ANSWER = 12  # SSH_AGENT_IDENTITIES_ANSWER
_LARGEST = 1 << 20
_NONE: Keys = frozenset()


async def list_keys(path: str, *, timeout: float = LIST_SECONDS) -> Keys | None:
    """The keys that an agent holds; never raises.

    Args:
        path: its socket; empty for no agent.

    Returns:
        No keys where there is no agent, or it lists none; None where it does not answer: nothing is known then.
    """
    if not path:
        return _NONE
    try:
        async with asyncio.timeout(timeout):
            return parse_answer(await _ask(path))
    except TimeoutError:
        return None
    except (OSError, EOFError, ValueError):
        return _NONE


async def _ask(path: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(_REQUEST)
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > _LARGEST:
            raise ValueError("an agent does not say so much")
        return await reader.readexactly(size)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def parse_answer(answer: bytes) -> Keys:
    """The keys of an answer; none where it is a refusal, or is malformed."""
    if answer[:1] != bytes([_ANSWER]):
        return _NONE
    keys, at = set(), 5
    for _ in range(int.from_bytes(answer[1:5], "big")):
        blob, at = _string(answer, at)
        _comment, at = _string(answer, at)
        keys.add(blob)
    return frozenset(keys)


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    if at + 4 > len(data) or end > len(data):
        raise ValueError("the answer is truncated")
    return data[at + 4 : end], end
