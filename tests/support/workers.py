"""How the workers of pytest-xdist share the tests: who only waits runs beside who computes.

A file is one piece: its tests run in their order, in one worker, with the fixtures that they share. The files that need
the gateway, which takes ten seconds and 500 MB, share a few of them. The other pieces of ``tests/real``, which mostly
wait, lie between those of all others, which mostly compute.
"""

import os
from collections.abc import Sequence

_REAL = "tests/real/"
_MOST = 12
_GATEWAYS = (
    ("gateway_commands", "watch"),
    ("doctor", "heals", "setup"),
    ("gateway_client", "open", "ports", "rig", "tunnel", "waiting_page"),
)
"""Files of ``tests/real`` that have a gateway together; about equally long."""

_GATEWAY_OF = {f"{_REAL}test_{name}.py": f"gateway {n}" for n, names in enumerate(_GATEWAYS) for name in names}
_REAL_ENDS = 0.7
"""The part of all other pieces before whose end the last of ``tests/real`` begins: some of them are long."""


def how_many(cores: int, chosen: Sequence[str], *, some: bool) -> int:
    """Workers for a run; 0: none, for the few tests that somebody has named.

    There are more than cores, for half of them wait.

    Args:
        cores: of the machine.
        chosen: files and folders on the command line.
        some: whether tests were picked by their names or marks.
    """
    if some or (chosen and all("::" in one or one.endswith(".py") for one in chosen)):
        return 0
    return min(cores + 3, _MOST)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def piece_of(nodeid: str) -> str:
    """The piece that a test belongs to."""
    file = nodeid.partition("::")[0]
    return _GATEWAY_OF.get(file, file)


def in_turn(nodeids: Sequence[str]) -> list[int]:
    """The order in which to hand tests out, as positions: gateways, then ``tests/real`` between the others."""
    pieces: dict[str, list[int]] = {}
    for position, nodeid in enumerate(nodeids):
        pieces.setdefault(piece_of(nodeid), []).append(position)
    waiting = [piece for piece in pieces if piece.startswith(_REAL)]
    computing = [piece for piece in pieces if "/" in piece and piece not in waiting]
    turns = {piece: _REAL_ENDS * n / len(waiting) for n, piece in enumerate(waiting)}
    turns.update((piece, n / len(computing)) for n, piece in enumerate(computing))
    return [position for piece in sorted(pieces, key=lambda one: turns.get(one, -1.0)) for position in pieces[piece]]
