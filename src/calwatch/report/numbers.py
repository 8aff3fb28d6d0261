"""Counting the numbers of many results together; memory does not grow with the exposures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calwatch.alarms.parts import amp_part
from calwatch.plots.readings import Reading, worst
from calwatch.report.model import Number, Range
from calwatch.verify.brief import ABSENT, gravest, outcome
from calwatch.verify.distance import distance
from calwatch.verify.metrics import METRICS
from calwatch.verify.model import DetectorResult, TestResult, Verdict

Floats = NDArray[np.float64]


class Spread:
    """Sum, number, lowest and highest of each number of each amplifier.

    Parameters
    ----------
    shape
        Numbers and amplifiers.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.count = np.zeros(shape)
        self.total = np.zeros(shape)
        self.low: Floats = np.full(shape, np.inf)
        self.high: Floats = np.full(shape, -np.inf)

    def add(self, values: Floats) -> None:
        """Add one exposure; NaN stands for no value."""
        there = np.isfinite(values)
        self.count += there
        self.total += np.where(there, values, 0.0)
        self.low = np.fmin(self.low, values)
        self.high = np.fmax(self.high, values)

    def mean(self, row: int) -> Floats:
        """Return the mean of one number over the exposures; NaN where there was no value."""
        count = self.count[row]
        found: Floats = np.where(count > 0, self.total[row], np.nan) / np.maximum(count, 1)
        return found


@dataclass(slots=True)
class Farthest:
    """The value of one test of one amplifier that stood nearest to its limit, or beyond."""

    distance: float | None = None
    value: float | None = None
    limit: Range = (None, None)
    unit: str = ""
    outcome: str = ABSENT
    """The gravest of all exposures."""
    exposure_id: int = 0


_Key = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""Kind, detector, amplifiers, names."""


@dataclass(slots=True)
class Numbers:
    """The numbers of all results of a report."""

    _metrics: dict[_Key, Spread] = field(default_factory=dict)
    _tests: dict[_Key, Spread] = field(default_factory=dict)
    _farthest: dict[tuple[str, str], dict[tuple[str, str], Farthest]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By (kind, detector), then by (amplifier, test)."""

    def add(self, kind: str, result: DetectorResult) -> None:
        """Count one result."""
        if not result.amps:
            return
        where = (kind, result.detector_name, tuple(result.amps))
        metrics = [amp.metrics for amp in result.amps.values()]
        tests = [amp.tests for amp in result.amps.values()]
        values = [{name: test.value for name, test in of.items()} for of in tests]
        _count(self._metrics, where, metrics)
        _count(self._tests, where, values)
        mine = self._farthest[kind, result.detector_name]
        for amp, judged in zip(result.amps, tests, strict=True):
            for name, test in judged.items():
                _compare(mine.setdefault((amp, name), Farthest()), test, result.exposure_id)

    def by_detector(self) -> Iterator[Number]:
        """Give what tests look at, of each detector."""
        for (kind, detector, amps, names), spread in sorted(self._tests.items()):
            farthest = self._farthest[kind, detector]
            for row, name in enumerate(names):
                mine = {amp: farthest[amp, name] for amp in amps if (amp, name) in farthest}
                place = (spread.low[row], spread.high[row], spread.mean(row))
                yield _number(kind, detector, name, amps, place, mine)

    def of_camera(self) -> Iterator[Number]:
        """Give every measured number over all amplifiers of the camera."""
        together: dict[tuple[str, str], list[tuple[str, tuple[str, ...], Spread, int]]] = {}
        for (kind, detector, amps, names), spread in sorted(self._metrics.items()):
            for row, name in enumerate(names):
                together.setdefault((kind, name), []).append((detector, amps, spread, row))
        for (kind, name), pieces in sorted(together.items()):
            yield _over_camera(kind, name, pieces)

    def focal(self) -> dict[str, tuple[Reading, ...]]:
        """Return the worst of each amplifier, by kind."""
        found: dict[str, list[Reading]] = {}
        for (kind, detector), tests in sorted(self._farthest.items()):
            found.setdefault(kind, []).extend(
                Reading(far.exposure_id, detector, amp, test, far.value, *far.limit, far.unit,
                        far.outcome)
                for (amp, test), far in tests.items()
            )  # fmt: skip
        return {kind: tuple(worst(readings)) for kind, readings in found.items()}


def _count(
    into: dict[_Key, Spread],
    where: tuple[str, str, tuple[str, ...]],
    of_amps: Sequence[Mapping[str, float | None]],
) -> None:
    names = tuple(dict.fromkeys(name for of in of_amps for name in of))
    if not names:
        return
    values = np.array([[of.get(name) for of in of_amps] for name in names], dtype=np.float64)
    key = (*where, names)
    if key not in into:
        into[key] = Spread((len(names), len(of_amps)))
    into[key].add(values)


def _compare(known: Farthest, test: TestResult, exposure_id: int) -> None:
    """Keep the gravest outcome and the value farthest out."""
    if not test.counts:
        return
    known.outcome = gravest(known.outcome + outcome(test))
    known.exposure_id = known.exposure_id or exposure_id
    good = test.verdict is Verdict.PASS and not test.severity
    if good and test.value in test.limit:
        return  # A count on its limit is as good as a count can be: it stands near to nothing.
    far = distance(test.value, *test.limit)
    if far is not None and (known.distance is None or far > known.distance):
        known.distance, known.value, known.limit = far, test.value, test.limit
        known.unit, known.exposure_id = test.unit, exposure_id


def _number(
    kind: str,
    detector: str,
    name: str,
    parts: Sequence[str],
    spread: tuple[Floats, Floats, Floats],
    farthest: Mapping[str, Farthest],
) -> Number:
    """Return one number.

    Parameters
    ----------
    kind, detector, name
        Which.
    parts
        Names of the amplifiers.
    spread
        Lowest, highest and mean of each.
    farthest
        Of those that a test looks at.
    """
    lows, highs, means = spread
    low, high = _lowest(lows), _lowest(-highs)
    known = [amp for amp, far in farthest.items() if far.distance is not None]
    outermost = max(known, key=lambda amp: farthest[amp].distance or 0.0, default="")
    far = farthest.get(outermost, Farthest())
    units = [one.unit for one in farthest.values() if one.unit]
    units += [METRICS[name].unit] if name in METRICS else []
    return Number(
        kind=kind,
        detector=detector,
        name=name,
        unit=units[0] if units else "",
        median=_median(means),
        low=None if low is None else float(lows[low]),
        low_part="" if low is None else parts[low],
        high=None if high is None else float(highs[high]),
        high_part="" if high is None else parts[high],
        worst_part=outermost,
        worst_value=far.value,
        distance=far.distance,
    )


def _over_camera(
    kind: str, name: str, pieces: Sequence[tuple[str, tuple[str, ...], Spread, int]]
) -> Number:
    parts = [amp_part(detector, amp) for detector, amps, _, _ in pieces for amp in amps]
    lows = np.concatenate([spread.low[row] for _, _, spread, row in pieces])
    highs = np.concatenate([spread.high[row] for _, _, spread, row in pieces])
    means = np.concatenate([spread.mean(row) for _, _, spread, row in pieces])
    return _number(kind, "", name, parts, (lows, highs, means), {})


def _lowest(values: Floats) -> int | None:
    """Return the place of the smallest finite value."""
    finite = np.where(np.isfinite(values), values, np.inf)
    return int(np.argmin(finite)) if np.isfinite(finite).any() else None


def _median(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else None
