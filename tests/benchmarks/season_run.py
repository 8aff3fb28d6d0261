"""A season goes by: every exposure is drawn and judged, in several processes, in its order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.pool import AsyncResult

import numpy as np
import season_plan
from season_faults import Fault
from season_model import INSTRUMENT, KINDS, Conditions, Layout, Season
from season_plan import DAYS

from calwatch.alarms.evidence import Sighting, ingest_sighting, sighting
from calwatch.alarms.rules import load_rules
from calwatch.verify.exposure import Exposure, unknown_result
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.limits_schema import Override
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult, Verdict

PROGRAM = {"bias": 10, "dark": 10, "flat": 6}
"""Exposures of one day."""
FIRST = datetime(2026, 9, 1, 18, 0, tzinfo=UTC)
STEP = timedelta(seconds=50)
LATENCY = timedelta(minutes=4)
NEEDED = {
    "bias": ("bias", "ptc", "defects"),
    "dark": ("bias", "dark", "ptc", "defects"),
    "flat": ("bias", "dark", "flat", "ptc", "defects"),
}
FILTERS = ("i_39", "r_57")
"""Of the first and the second half of a day's flats."""


@dataclass(frozen=True)
class Slot:
    """One exposure of the season."""

    day: int
    kind: str
    number: int
    """Within the day and kind, from 1."""
    order: int
    """Within the day, from 0."""

    @property
    def end(self) -> datetime:
        return FIRST + timedelta(days=self.day) + self.order * STEP

    @property
    def physical_filter(self) -> str:
        if self.kind != "flat":
            return ""
        return FILTERS[0] if self.number <= PROGRAM["flat"] // 2 else FILTERS[1]

    @property
    def exposure_id(self) -> int:
        return int(f"{self.end:%Y%m%d}") * 100_000 + self.order + 1


@dataclass
class Judged:
    """What came of one exposure."""

    slot: Slot
    ingest: Sighting
    seen: Sighting | None
    """None if no detector came."""
    amp_tests: int = 0
    detector_tests: int = 0
    failed: int = 0
    warned: int = 0
    unknown: int = 0


def slots(days: int) -> list[Slot]:
    """Return all exposures in order of time."""
    found = []
    for day in range(days):
        program = [(kind, n + 1) for kind in KINDS for n in range(PROGRAM[kind])]
        found += [Slot(day, kind, number, i) for i, (kind, number) in enumerate(program)]
    return found


@dataclass(frozen=True)
class Setup:
    """What a season is made from."""

    rafts: tuple[str, ...] = ()
    """Only these; all if none is given."""
    days: int = DAYS
    seed: int = 1
    plan: str = "full_plan"
    """Function of `season_plan` that gives the problems."""
    known: bool = False
    """Whether the limits file names the unstable amplifiers, with wider limits of their mean."""

    def layout(self) -> Layout:
        return Layout(self.rafts)

    def faults(self, layout: Layout) -> list[Fault]:
        """Return the problems of the parts that are there."""
        within = layout.parts.within
        faults: list[Fault] = getattr(season_plan, self.plan)()
        return [
            f for f in faults
            if any(within(d.name, f.part) or within(f.part, d.name) for d in layout.detectors)
        ]  # fmt: skip


@dataclass
class Judge:
    """Draws the numbers of an exposure and judges them, as the daemon's worker does."""

    setup: Setup

    def __post_init__(self) -> None:
        self.layout = self.setup.layout()
        self.season = Season(self.layout, self.setup.days, self.setup.seed)
        self.faults = self.setup.faults(self.layout)
        self.limits, self.rules = load_limits("dmtn101"), load_rules()
        if self.setup.known:
            self.limits = _known(self.limits, self.layout, self.unstable)
        self.ends = np.searchsorted(self.layout.of, np.arange(len(self.layout.detectors) + 1))

    @property
    def unstable(self) -> set[str]:
        """Names of the amplifiers whose bias is unstable by the model."""
        flags = zip(self.layout.names, self.season.unstable, strict=True)
        return {name for name, is_unstable in flags if is_unstable}

    def conditions(self, slot: Slot) -> Conditions:
        """Return what is wrong in one exposure."""
        at = Conditions(len(self.layout.amps))
        for fault in self.faults:
            if fault.hits(slot.kind, slot.day, slot.number):
                fault.change(at, self.layout, fault, slot.day - fault.day)
        return at

    def __call__(self, slot: Slot) -> Judged:
        at = self.conditions(slot)
        arrays = self.season.measure(slot.kind, slot.day, slot.number, at)
        results = [
            self._judge(slot, at, arrays, i)
            for i, detector in enumerate(self.layout.detectors)
            if detector.name not in at.absent
        ]
        names = [d.name for d in self.layout.detectors]
        lost = {name: "its file has not come" for name in names if name in at.absent}
        ingest = ingest_sighting(INSTRUMENT, slot.exposure_id, slot.end, names, lost)
        judged = Judged(slot, ingest, None)
        if results:
            merged = merge_exposure(results, self.limits, slot.end)
            judged.seen = sighting(results, merged.tests, slot.end, self.layout.parts, self.rules)
            _count(judged, results)
        return judged

    def _judge(
        self, slot: Slot, at: Conditions, arrays: dict[str, np.ndarray], i: int
    ) -> DetectorResult:
        detector = self.layout.detectors[i]
        exposure = Exposure(
            INSTRUMENT,
            slot.exposure_id,
            slot.kind,
            slot.end,
            observation_reason=f"daily_{slot.kind}",
            missing={
                t: why for t, why in at.missing.get(detector.name, {}).items()
                if t in NEEDED[slot.kind]
            },
            provenance={
                "chain": _chain(slot, detector.name, at),
                "physical_filter": slot.physical_filter,
            },
        )  # fmt: skip
        if detector.name in at.unreadable:
            why = "the raw file is damaged"
            return unknown_result(exposure, detector.number, detector.name, why, self.limits)
        first, last = int(self.ends[i]), int(self.ends[i + 1])
        numbers = {name: values[first:last].tolist() for name, values in arrays.items()}
        amps = {
            amp: {name: values[k] for name, values in numbers.items()}
            for k, amp in enumerate(detector.amp_names)
        }
        faults = {amp: at.dead.get(first + k, "") for k, amp in enumerate(detector.amp_names)}
        found: dict[str, float] = {"SEQUENCER_MISMATCHES": int(detector.name in at.sequencer)}
        if slot.kind == "flat":
            found |= _levels(amps, faults)
        differ = ("SEQNAME is A in the raw and B in the certified bias",)
        return judge_numbers(
            exposure, detector, amps, found, self.limits, faults=faults,
            differences=differ if detector.name in at.sequencer else (),
        )  # fmt: skip


def _levels(amps: dict[str, dict[str, float]], faults: dict[str, str]) -> dict[str, float]:
    """Compare the amplifiers of a detector, as `calwatch.verify.flat` does."""
    means = np.array([numbers["MEAN"] for name, numbers in amps.items() if not faults[name]])
    if not means.size:
        return {"DET_MEAN": np.nan, "DET_SCATTER": np.nan}
    typical = float(np.median(means))
    if typical > 0:
        for numbers in amps.values():
            numbers["RELATIVE_LEVEL"] = numbers["MEAN"] / typical
            numbers["RELATIVE_LEVEL_ERROR"] = numbers["MEAN_ERROR"] / typical
    else:
        for numbers in amps.values():
            numbers["RELATIVE_LEVEL"] = numbers["RELATIVE_LEVEL_ERROR"] = np.nan
    return {"DET_MEAN": float(means.mean()), "DET_SCATTER": float(means.std(ddof=1))}


def _chain(slot: Slot, detector: str, at: Conditions) -> dict[str, dict[str, object]]:
    generations = at.chains.get(detector, {})
    missing = at.missing.get(detector, {})
    found: dict[str, dict[str, object]] = {}
    for calib_type in NEEDED[slot.kind]:
        if calib_type in missing:
            continue
        day = 15 + generations.get(calib_type, 0)
        found[calib_type] = {
            "uuid": f"{detector}-{calib_type}-{day}",
            "run": f"u/calib/{calib_type}.202608{day}",
            "collection": f"LSSTCam/calib/{calib_type}.202608{day}",
            "begin_tai": 61_000.0 + day,
            "physical_filter": slot.physical_filter if calib_type == "flat" else "",
        }
    return found


def _count(judged: Judged, results: Iterable[DetectorResult]) -> None:
    for result in results:
        for amp in result.amps.values():
            for test in amp.tests.values():
                judged.amp_tests += test.verdict is not Verdict.UNKNOWN
                judged.unknown += test.verdict is Verdict.UNKNOWN
                judged.failed += test.verdict is Verdict.FAIL
                judged.warned += test.severity == "WARNING"
        judged.detector_tests += len(result.detector_tests)


def _known(limits: Limits, layout: Layout, unstable: set[str]) -> Limits:
    """Return limits with an override for each detector that has unstable amplifiers."""
    of: dict[str, list[str]] = {}
    for name in sorted(unstable):
        detector, _, amp = name.partition("/")
        of.setdefault(detector, []).append(amp)
    overrides = tuple(
        Override(
            instrument=INSTRUMENT, detectors=(detector,), amps=tuple(amps), warning=10.0,
            serious=20.0, reason="known unstable bias",
        )
        for detector, amps in of.items()
    )  # fmt: skip
    tests = tuple(
        spec.model_copy(update={"overrides": overrides}) if spec.name == "MEAN" else spec
        for spec in limits.tests
    )
    return replace(limits, tests=tests)


_judge: list[Judge] = []
"""That of a process."""


def _start(setup: Setup) -> None:
    _judge[:] = [Judge(setup)]


def _work(slot: Slot) -> Judged:
    return _judge[0](slot)


def judge_all(setup: Setup, processes: int) -> Iterator[Judged]:
    """Yield every exposure of the season, judged, in order of time."""
    todo = slots(setup.days)
    if processes < 2:
        _start(setup)
        yield from map(_work, todo)
        return
    waiting: deque[AsyncResult[Judged]] = deque()
    with get_context("spawn").Pool(processes, _start, (setup,)) as pool:
        for slot in todo:
            waiting.append(pool.apply_async(_work, (slot,)))
            if len(waiting) > 8 * processes:
                yield waiting.popleft().get()
        while waiting:
            yield waiting.popleft().get()
