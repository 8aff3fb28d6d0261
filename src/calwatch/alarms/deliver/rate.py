"""How many notices a minute a channel takes: a token bucket, without a clock of its own."""

from __future__ import annotations

MINUTE = 60.0


class Bucket:
    """Lets so many through at once as may go in a minute, then one after another.

    Parameters
    ----------
    per_minute
        How many; 0 for no limit.
    """

    def __init__(self, per_minute: float) -> None:
        if per_minute < 0:
            raise ValueError(f"a rate of {per_minute} a minute makes no sense")
        self._per_minute = per_minute
        self._most = max(per_minute, 1.0)
        self._tokens = self._most
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Return the seconds until the next one may go; 0 if it may now.

        Parameters
        ----------
        now
            Seconds by a clock that never goes back.
        """
        if not self._per_minute:
            return 0.0
        self._fill(now)
        # A part in a million is rounding: it must not make a waiter wake too early for ever.
        missing = 1.0 - self._tokens
        return 0.0 if missing < 1e-6 else missing * MINUTE / self._per_minute

    def take(self, now: float) -> None:
        """Count one that goes now, whether it might or not."""
        if self._per_minute:
            self._fill(now)
            self._tokens -= 1.0

    def _fill(self, now: float) -> None:
        since = max(now - self._at, 0.0) if self._at is not None else 0.0
        self._at = now if self._at is None else max(now, self._at)
        self._tokens = min(self._most, self._tokens + since * self._per_minute / MINUTE)
