"""When a message is tried again, and when a subscriber is left alone; pure."""

from __future__ import annotations

from dataclasses import dataclass

_FEW = 3
LONGEST_REST_SECONDS = 60.0


def pause_seconds(attempts: int, first: float, limit: float, chance: float) -> float:
    """The pause after so many attempts: doubles each time up to a limit; `chance`, 0 to 1, spreads it over its half."""
    # Beyond 2 ** 60 every limit is reached.
    whole = min(limit, first * 2.0 ** min(max(attempts - 1, 0), 60))
    return whole * (0.5 + chance / 2)


@dataclass(slots=True)
class Rest:
    """Whether a subscriber is there: while it is not, one request now and then looks, and nothing else is sent."""

    unreachable: int = 0
    """Attempts in a row that did not reach it."""
    until: float = 0.0
    """Nothing is sent before, by the monotonic clock."""
    first_seconds: float = 1.0
    limit_seconds: float = LONGEST_REST_SECONDS

    def reached(self) -> None:
        """It answered."""
        self.unreachable = 0

    def missed(self, now: float, asked_seconds: float, chance: float) -> None:
        """It was not there, or asked to be left alone for a while."""
        self.unreachable += 1
        rest = asked_seconds
        if self.unreachable >= _FEW:
            rest = max(rest, pause_seconds(self.unreachable - _FEW + 1, self.first_seconds, self.limit_seconds, chance))
        self.until = max(self.until, now + rest)

    def free(self, now: float, connections: int, busy: int) -> int:
        """How many more requests may be made now."""
        if now < self.until:
            return 0
        return max(0, (1 if self.unreachable >= _FEW else connections) - busy)
