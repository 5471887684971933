"""One dial as the machine knows it: its number, and what has happened since it began."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dial:
    """A dial that is under way, or whose connection is up.

    Attributes:
        number: counted from 1; 0 before the first.
        hurried: somebody waited for it: its failure does not make the next wait longer.
        again: a dial was given up for it because the network changed; it gets its full time whatever changes.
        outdated: the network has changed since it began.
        asked: what a person is asked for it at this moment; empty for nothing. It is not given up meanwhile, for the
            next one would ask again.
    """

    number: int = 0
    hurried: bool = False
    again: bool = False
    outdated: bool = False
    asked: str = ""
