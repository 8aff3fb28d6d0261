"""Which exposures belong together: pairs and sequences of flats, and the sets of one day.

Plain functions of what the Butler knows, of what was paired before, and of the time given in. The
same exposures give the same sets whatever the order in which they came, but for one thing: a pair
that was judged stays a pair when a late exposure would have made another of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise
from math import isfinite
from typing import Literal

from calwatch.arrivals.reconcile import age
from calwatch.butler.model import ExposureRecord

PairBy = Literal["time", "exposure_id", "flux"]


class SetKind(StrEnum):
    """What a set consists of."""

    PAIR = "pair"
    """Two flats of equal light."""
    SEQUENCE = "sequence"
    """Pairs of flats at several levels: a photon transfer curve."""
    FLATS = "flats"
    """Flats of one filter and level."""
    SOURCES = "sources"
    """Exposures of spots and the like: with features that are bright beside what is around them."""
    DARKS = "darks"
    BIASES = "biases"


ANALYSES: Mapping[SetKind, tuple[str, ...]] = {
    SetKind.PAIR: ("gain", "cti"),
    SetKind.SEQUENCE: ("ptc", "linearity"),
    SetKind.FLATS: ("defects",),
    SetKind.SOURCES: ("crosstalk",),
    SetKind.DARKS: ("defects", "dark_stack"),
    SetKind.BIASES: ("bias_stability",),
}
"""What is judged of each kind of set."""

_DAY_SETS = {"flat": SetKind.FLATS, "dark": SetKind.DARKS, "bias": SetKind.BIASES}
SOURCE_TYPES = ("spot", "cbp")
"""Observation types (obs_lsst) that are no flats and may have sources; only sets are judged of
them. ``cbp`` is the collimated beam projector."""
ALL_FLATS = "*"
LEAST_BIASES = 6
"""The first bias after a pause has not settled and is left out; five more tell how stable it is."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How sets are found."""

    pair_by: PairBy = "time"
    """Neighbours of equal exposure time, neighbours by number, or flats of equal measured light."""
    time_tolerance: float = 5e-3
    """Seconds by which the exposure times of a pair may differ (cp_pipe ``cpPtcExtract.py``)."""
    flux_tolerance: float = 0.02
    """Relative difference of light in a pair."""
    wait: timedelta = timedelta(minutes=15)
    """So long after its end an exposure may still get a partner, and a set another member."""
    least_levels: int = 5
    """Different exposure times that make a sequence."""
    least_frames: int = 4
    """Exposures that make a set of one day."""
    sources: tuple[str, ...] = ("*crosstalk*", "*xtalk*", "*spot*", "*cbp*")
    """What exposures with sources are called: globs on reason, program and type, whatever the case.
    `ALL_FLATS` takes every flat for one as well, without keeping it from pairs and defects."""


@dataclass(frozen=True, slots=True)
class ExposureSet:
    """Exposures that are judged together, the oldest first."""

    kind: SetKind
    members: tuple[ExposureRecord, ...]
    why_not: str = ""
    """Why it cannot be measured; empty if it can."""
    pairs: tuple[ExposureRecord, ...] = ()
    """Of a sequence: the second exposure of each pair, under which the pair was judged."""
    firsts: tuple[ExposureRecord, ...] = ()
    """Of a sequence: the first exposure of each pair."""

    @property
    def last(self) -> ExposureRecord:
        """The exposure under which the set is judged."""
        return self.members[-1]


def find_sets(
    exposures: Iterable[ExposureRecord],
    now: datetime,
    grouping: Grouping,
    *,
    paired: Collection[tuple[int, int]] = (),
    light: Mapping[int, float] | None = None,
) -> list[ExposureSet]:
    """Return every set that is complete or for which it was waited long enough.

    Parameters
    ----------
    exposures
        All exposures of whole days of one instrument.
    now
        Aware.
    grouping
        How.
    paired
        Exposure ids of the pairs that are judged already.
    light
        By exposure id the measured level of a flat, e-; for ``pair_by: flux``.
    """
    ordered = sorted(exposures, key=age)
    blocks = _blocks(ordered, grouping.wait)
    pairing = _Pairing(now, grouping, _numbers(ordered), dict(paired), light or {})
    found: list[ExposureSet] = []
    for block in blocks:
        if _has_sources(block[0], grouping) and _ended(block, ordered, now, grouping.wait):
            # One frame will do: what counts is how many features it has.
            found.append(ExposureSet(SetKind.SOURCES, tuple(block)))
        kind = _DAY_SETS.get(_type(block[0]))
        if kind is None or _is_named(block[0], grouping):
            continue
        sequence = False
        if kind is SetKind.FLATS:
            pairs = pairing.pairs(block)
            found += pairs
            sequence = _levels(pairs, grouping) >= grouping.least_levels
        if not _ended(block, ordered, now, grouping.wait):
            continue
        if sequence:
            found += _sequence(pairs)
        elif len(block) >= _least(kind, grouping) and _is_even(kind, block, grouping):
            found.append(ExposureSet(kind, tuple(block)))
    return found


def _least(kind: SetKind, grouping: Grouping) -> int:
    """Return how many exposures make a set of one day."""
    least = grouping.least_frames
    return max(least, LEAST_BIASES) if kind is SetKind.BIASES else least


def _is_even(kind: SetKind, block: Sequence[ExposureRecord], grouping: Grouping) -> bool:
    """Tell whether flats are of one exposure time; others may be of any."""
    times = [exposure.exposure_time for exposure in block]
    return kind is not SetKind.FLATS or max(times) - min(times) <= grouping.time_tolerance


def _type(exposure: ExposureRecord) -> str:
    return exposure.observation_type.strip().lower()


def _has_sources(exposure: ExposureRecord, grouping: Grouping) -> bool:
    """Tell whether an exposure may have bright features, by its name or because all flats may."""
    if _type(exposure) not in ("flat", *SOURCE_TYPES):
        return False
    return ALL_FLATS in grouping.sources or _is_named(exposure, grouping)


def _is_named(exposure: ExposureRecord, grouping: Grouping) -> bool:
    """Tell whether an exposure is called one with sources: it is then no flat in any other way."""
    words = (exposure.observation_reason, exposure.science_program, exposure.observation_type)
    return _type(exposure) in ("flat", *SOURCE_TYPES) and any(
        fnmatchcase(word.strip().lower(), pattern.lower())
        for pattern in grouping.sources
        if pattern != ALL_FLATS
        for word in words
    )


def _purpose(exposure: ExposureRecord) -> tuple[str, str]:
    return exposure.science_program, exposure.observation_reason.strip().lower()


def _blocks(ordered: Sequence[ExposureRecord], gap: timedelta) -> list[list[ExposureRecord]]:
    """Split exposures by day, type, purpose and filter, and where nothing came for a long time."""
    open_blocks: dict[tuple[object, ...], list[ExposureRecord]] = {}
    blocks: list[list[ExposureRecord]] = []
    for exposure in ordered:
        light = "" if _type(exposure) in ("bias", "dark") else exposure.physical_filter
        key = (exposure.day_obs, _type(exposure), *_purpose(exposure), light)
        block = open_blocks.get(key)
        if block is None or _seconds_between(block[-1], exposure) > gap.total_seconds():
            block = open_blocks[key] = []
            blocks.append(block)
        block.append(exposure)
    return blocks


def _seconds_between(first: ExposureRecord, second: ExposureRecord) -> float:
    days = second.begin_tai - first.end_tai
    return days * 86_400.0 if isfinite(days) else 0.0


def _numbers(exposures: Iterable[ExposureRecord]) -> frozenset[tuple[int, int]]:
    return frozenset((exposure.day_obs, exposure.seq_num) for exposure in exposures)


def is_settled(exposure: ExposureRecord, now: datetime, wait: timedelta) -> bool:
    """Tell whether nothing more is waited for after an exposure; one without a time: at once."""
    return exposure.end_utc is None or now - exposure.end_utc > wait


def _ended(
    block: Sequence[ExposureRecord],
    ordered: Sequence[ExposureRecord],
    now: datetime,
    wait: timedelta,
) -> bool:
    """Tell whether a block gets no more members: something else was begun, or time is up."""
    last = block[-1]
    begun = any(age(e) > age(last) and _purpose(e) != _purpose(last) for e in ordered)
    return begun or is_settled(last, now, wait)


def _levels(sets: Iterable[ExposureSet], grouping: Grouping) -> int:
    """Return the number of different exposure times among pairs."""
    times = sorted(found.last.exposure_time for found in sets if not found.why_not)
    steps = pairwise(times)
    return bool(times) + sum(b - a > grouping.time_tolerance for a, b in steps)


def _sequence(pairs: Sequence[ExposureSet]) -> list[ExposureSet]:
    whole = [pair for pair in pairs if not pair.why_not]
    members = sorted((member for pair in whole for member in pair.members), key=age)
    seconds = tuple(pair.last for pair in whole)
    firsts = tuple(pair.members[0] for pair in whole)
    return [ExposureSet(SetKind.SEQUENCE, tuple(members), pairs=seconds, firsts=firsts)]


@dataclass(frozen=True, slots=True)
class _Pairing:
    now: datetime
    grouping: Grouping
    known: frozenset[tuple[int, int]]
    """Day and number of every exposure that has come."""
    paired: Mapping[int, int]
    """First to second exposure of what is judged."""
    light: Mapping[int, float]

    def pairs(self, block: Sequence[ExposureRecord]) -> list[ExposureSet]:
        """Return the pairs of a block of flats, and those that have waited in vain, by age."""
        by_id = {exposure.exposure_id: exposure for exposure in block}
        judged = [
            (by_id[first], by_id[second])
            for first, second in self.paired.items()
            if first in by_id and second in by_id
        ]
        taken = {e.exposure_id for pair in judged for e in pair}
        free = [exposure for exposure in block if exposure.exposure_id not in taken]
        found = [ExposureSet(SetKind.PAIR, pair) for pair in judged]
        while free:
            first = free.pop(0)
            partner = self._partner(first, free)
            if partner is not None:
                free.remove(partner)
                found.append(ExposureSet(SetKind.PAIR, (first, partner)))
            elif self._settled(first):
                found.append(ExposureSet(SetKind.PAIR, (first,), self._why_not(first)))
        return sorted(found, key=lambda pair: age(pair.last))

    def _settled(self, exposure: ExposureRecord) -> bool:
        return is_settled(exposure, self.now, self.grouping.wait)

    def _partner(
        self, first: ExposureRecord, later: Sequence[ExposureRecord]
    ) -> ExposureRecord | None:
        if self.grouping.pair_by == "flux":
            return next((second for second in later if self._same_light(first, second)), None)
        if not later or not self._nothing_between(first, later[0]):
            return None
        second = later[0]
        if self.grouping.pair_by == "exposure_id":
            return second if second.seq_num == first.seq_num + 1 else None
        apart = abs(second.exposure_time - first.exposure_time)
        return second if apart <= self.grouping.time_tolerance else None

    def _same_light(self, first: ExposureRecord, second: ExposureRecord) -> bool:
        one = self.light.get(first.exposure_id, 0.0)
        other = self.light.get(second.exposure_id, 0.0)
        if min(one, other) <= 0:
            return False
        return abs(one - other) <= self.grouping.flux_tolerance * 0.5 * (one + other)

    def _nothing_between(self, first: ExposureRecord, second: ExposureRecord) -> bool:
        """Tell whether no exposure between two may still come."""
        between = range(first.seq_num + 1, second.seq_num)
        if all((first.day_obs, number) in self.known for number in between):
            return True
        return self._settled(second)

    def _why_not(self, exposure: ExposureRecord) -> str:
        grouping = self.grouping
        minutes = grouping.wait.total_seconds() / 60
        wanted = {
            "time": f"flat of {exposure.exposure_time:g} s beside it",
            "exposure_id": "flat with the next number",
            "flux": f"flat of the same light (within {100 * grouping.flux_tolerance:g} %)",
        }[grouping.pair_by]
        return f"it has no partner: no {wanted} came within {minutes:g} min"
