"""What 24 hours of LSSTCam are: exposures, and what happens to the event of each file.

The arithmetic of a day
-----------------------
* 60 daily calibrations: 20 biases, 20 darks and 20 flats.
* 1000 science exposures: a night of 10 h, 36 s from one to the next (30 s open, the rest readout
  and slew).
* For each of them 205 notices of an ingested file (189 science sensors, 8 wavefront, 8 guiders)
  and one end of readout: 1060 × 206 = 218,360 events.
* On top of it files that are announced twice or fail first (some 2 % more), and the events of
  another camera on the same topics: nine notices an exposure of LSSTComCam, with every tenth.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

CALIB_TYPES = ("bias", "dark", "flat")
CALIBRATIONS, SCIENCE = 60, 1000
"""Exposures of a whole day."""
OTHER_EVERY, OTHER_FILES = 10, 9
"""With every tenth exposure one of LSSTComCam is announced."""
UNREADABLE_EVERY = 50
"""With every fiftieth exposure a file fails of which not even the header can be read."""


class Fate(StrEnum):
    """What happens to one file or its event; nothing of it may change the outcome."""

    LOST = "lost"
    """No event."""
    DOUBLED = "doubled"
    """Announced twice."""
    RETRIED = "retried"
    """The ingest fails first, which is told, and then succeeds."""
    EARLY = "early"
    """Announced before the Butler has it."""
    LATE = "late"
    """The Butler has it, and the file itself comes seconds later."""
    BROKEN = "broken"
    """Cut off in the middle: UNKNOWN is the right verdict."""


CHANCES = {
    Fate.LOST: 0.01, Fate.DOUBLED: 0.01, Fate.RETRIED: 0.005, Fate.EARLY: 0.01, Fate.LATE: 0.003,
    Fate.BROKEN: 0.001,
}  # fmt: skip
OF_EVENTS = (Fate.LOST, Fate.DOUBLED, Fate.RETRIED)
"""What may happen to the files of science exposures, whose pixels nobody reads."""


@dataclass(frozen=True)
class Exposure:
    """One exposure of the day."""

    number: int
    kind: str
    """``bias``, ``dark``, ``flat`` or ``science``."""
    fates: dict[int, Fate] = field(default_factory=dict)
    """By detector; all others have none."""
    noisy: bool = False
    """The read-out noise of one raft is too high."""
    silent: bool = False
    """None of its events comes, as in an outage: only a look at the Butler finds it."""
    readout_last: bool = False
    """Its end of readout is told after its files."""

    @property
    def is_calibration(self) -> bool:
        """Whether it is to be judged."""
        return self.kind in CALIB_TYPES


@dataclass(frozen=True)
class Notice:
    """One event to be sent."""

    exposure: int
    detector: int | None = None
    """None for the end of readout."""
    failed: bool = False
    early: bool = False
    """Sent before the files are ingested."""


def make_plan(
    calibrations: int, science: int, imaging: Sequence[int], seed: int = 1
) -> list[Exposure]:
    """Return the exposures in the order in which they are taken.

    At the observatory calibrations come in the afternoon. Here they are spread between the
    science exposures, so that everything is under load together, for the whole time.

    Parameters
    ----------
    calibrations, science
        How many; the types of calibrations take turns.
    imaging
        Numbers of all detectors but the guiders.
    seed
        Of the chance in it.
    """
    chance = random.Random(seed)
    total = calibrations + science
    places = {(2 * i + 1) * total // (2 * calibrations) for i in range(calibrations)}
    plan, taken = [], 0
    for place in range(total):
        if place in places:
            plan.append(_calibration(place + 1, taken, calibrations, imaging, chance))
            taken += 1
        else:
            fates = _fates(imaging, OF_EVENTS, chance)
            last = chance.random() < 0.02
            plan.append(Exposure(place + 1, "science", fates, readout_last=last))
    return plan


def _calibration(
    number: int, index: int, of: int, imaging: Sequence[int], chance: random.Random
) -> Exposure:
    kind = CALIB_TYPES[index % len(CALIB_TYPES)]
    noisy = kind == "bias" and 0.3 <= index / of < 0.5
    fates = _fates(imaging, tuple(CHANCES), chance)
    return Exposure(number, kind, fates, noisy, silent=index % 20 == 10)


def _fates(
    imaging: Sequence[int], allowed: Sequence[Fate], chance: random.Random
) -> dict[int, Fate]:
    found = {}
    for detector in imaging:
        at = chance.random()
        for fate in allowed:
            at -= CHANCES[fate]
            if at < 0:
                found[detector] = fate
                break
    return found


def notices(exposure: Exposure, detectors: Sequence[int], chance: random.Random) -> list[Notice]:
    """Return the events of an exposure in the order in which they are sent.

    Parameters
    ----------
    exposure
        Of the plan.
    detectors
        All of the camera, guiders included: each has a file that is announced.
    chance
        Shuffles them: files are ingested in any order.
    """
    if exposure.silent:
        return []
    early, later, again = [], [], []
    for detector in detectors:
        fate = exposure.fates.get(detector)
        notice = Notice(exposure.number, detector)
        if fate is Fate.EARLY:
            early.append(Notice(exposure.number, detector, early=True))
        elif fate is Fate.RETRIED:
            later.append(Notice(exposure.number, detector, failed=True))
            again.append(notice)
        elif fate is not Fate.LOST:
            later.append(notice)
        if fate is Fate.DOUBLED:
            again.append(notice)
    chance.shuffle(later)
    files = [*early, *later, *again]
    readout = Notice(exposure.number, early=not exposure.readout_last)
    return [*files, readout] if exposure.readout_last else [readout, *files]


@dataclass(frozen=True)
class Counts:
    """What a plan amounts to."""

    exposures: Counter[str]
    fates: Counter[str]
    """Of the files of calibrations."""
    events: int
    """That will be sent, those of another camera and of failed ingests included."""

    @classmethod
    def of(cls, plan: Sequence[Exposure], detectors: Sequence[int]) -> Counts:
        """Count."""
        chance = random.Random(0)
        mine = [exposure for exposure in plan if exposure.is_calibration]
        return cls(
            Counter(exposure.kind for exposure in plan),
            Counter(fate.value for exposure in mine for fate in exposure.fates.values()),
            sum(len(notices(e, detectors, chance)) + others(e.number) for e in plan),
        )


def others(number: int) -> int:
    """Return how many events of other cameras, and of nothing, come with an exposure."""
    return OTHER_FILES * (number % OTHER_EVERY == 0) + (number % UNREADABLE_EVERY == 0)


def expected_verdicts(
    plan: Sequence[Exposure], imaging: Sequence[int], noisy: Sequence[int]
) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield exposure number and detector with the verdict there should be.

    Parameters
    ----------
    plan, imaging
        As `make_plan` has them.
    noisy
        The detectors that a noisy exposure is noisy in.
    """
    for exposure in plan:
        if not exposure.is_calibration:
            continue
        for detector in imaging:
            verdict = "FAIL" if exposure.noisy and detector in noisy else "PASS"
            if exposure.fates.get(detector) is Fate.BROKEN:
                verdict = "UNKNOWN"
            yield (exposure.number, detector), verdict
