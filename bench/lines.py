"""The lines on which the data path is measured. Pure."""

from dataclasses import dataclass

_SLOW_MBIT = 10


@dataclass(frozen=True, slots=True)
class Line:
    """What lies between the two sides, both ways alike.

    Attributes:
        delay_ms: one way.
        rate_mbit: of the bottleneck; 0: there is none.
        queue_kb: in front of the bottleneck.
        loss_percent: of the packets.
    """

    delay_ms: float
    rate_mbit: float = 0
    queue_kb: float = 256
    loss_percent: float = 0

    @property
    def words(self) -> list[str]:
        """As ``line.c`` takes them, at its start and while it runs."""
        return [f"{value:g}" for value in (self.delay_ms, self.rate_mbit, self.queue_kb, self.loss_percent)]

    @property
    def title(self) -> str:
        """For people, with the round trip."""
        rate = f"{self.rate_mbit:g} Mbit/s" if self.rate_mbit else "no bottleneck"
        loss = f", {self.loss_percent:g} % loss" if self.loss_percent else ""
        return f"{rate}, {2 * self.delay_ms:g} ms{loss}"

    @property
    def slow(self) -> bool:
        """A single full packet takes long on it."""
        return 0 < self.rate_mbit < _SLOW_MBIT


LINES = {
    "20": Line(20, 20),
    "100": Line(10, 100),
    "5": Line(40, 5),
    "long": Line(50),
    "lossy": Line(20, 20, loss_percent=1),
}
FAR = Line(200, 20)
SLOW = Line(20, 2)
"""What the first line becomes while it runs."""
