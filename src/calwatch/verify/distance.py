"""How far a value is from the middle of what is allowed, in parts of the way to the limit."""

from __future__ import annotations


def distance(value: float | None, lower: float | None, upper: float | None) -> float | None:
    """Return 0 in the middle of the allowed range, 1 on a limit, more beyond it.

    Values of different tests and units can so be compared and drawn in one scale.

    Parameters
    ----------
    value
        As it was judged.
    lower, upper
        The allowed range, None where it is open. With one side only the way is counted from zero
        to the limit; from a limit of zero, or one on the far side of zero, there is no such way.

    Returns
    -------
    float or None
        Never negative. None where there is no value or no way to count.
    """
    if value is None:
        return None
    if lower is not None and upper is not None:
        half = (upper - lower) / 2
        middle = lower + half
        if half > 0:
            return abs(value - middle) / half
        return 0.0 if value == middle else None
    if upper is not None and upper > 0:
        return max(value / upper, 0.0)
    if lower is not None and lower > 0:
        # Good values lie above: 1 on the limit, less above it, without end as the value vanishes.
        return lower / value if value > 0 else None
    return None
