"""What a focal plane is coloured by: one reading an amplifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from calwatch.verify.brief import ABSENT, PASS, Brief, BriefTest, gravest
from calwatch.verify.distance import distance

_GRAVITY = "-PWUF"


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of one amplifier in one exposure, or the worst of several."""

    exposure_id: int
    detector: str
    """Name."""
    amp: str
    test: str
    """Name of the test, or of the metric where none looks at it."""
    value: float | None
    lower: float | None
    upper: float | None
    unit: str
    outcome: str
    """A letter of `calwatch.verify.brief`."""

    @property
    def distance(self) -> float | None:
        """1 on the limit: see `calwatch.verify.distance`.

        A count that passes on its limit (all 1 of 1 done, 0 of 0 allowed) is as good as it can be.
        """
        if self.outcome.upper() == PASS and self.value in (self.lower, self.upper):
            return 0.0
        return distance(self.value, self.lower, self.upper)


def readings(exposure_id: int, detector: str, brief: Brief, test: str | None) -> Iterator[Reading]:
    """Yield a reading of every amplifier: of one test, or of all of them."""
    for name, found in brief.tests.items():
        if test in (None, name):
            yield from _of_test(exposure_id, detector, brief, name, found)


def worst(found: Iterable[Reading]) -> list[Reading]:
    """Return the worst reading of each amplifier: by outcome, then by distance from the limit.

    The order is that in which the amplifiers first come.
    """
    kept: dict[tuple[str, str], Reading] = {}
    for reading in found:
        place = reading.detector, reading.amp
        if place not in kept or gravity(reading) > gravity(kept[place]):
            kept[place] = reading
    return list(kept.values())


def gravity(reading: Reading) -> tuple[int, bool, float]:
    """Return what orders readings: the gravest is greatest. What does not count comes last."""
    way = reading.distance
    counts = reading.outcome.isupper() and reading.outcome != ABSENT
    return _GRAVITY.index(gravest(reading.outcome)) if counts else 0, counts, way or 0.0


def _of_test(
    exposure_id: int, detector: str, brief: Brief, name: str, found: BriefTest
) -> Iterator[Reading]:
    for i, amp in enumerate(brief.amps):
        yield Reading(
            exposure_id, detector, amp, name, found.values[i], found.lower[i], found.upper[i],
            found.unit, found.outcomes[i],
        )  # fmt: skip
