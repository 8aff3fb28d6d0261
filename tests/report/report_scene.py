"""Nights in a ledger without pixels: numbers that are drawn, judged by the real limits."""

from __future__ import annotations

import random
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("service", "alarms", "web"))

from fakes import make_exposure
from golden_words import USUAL

from calwatch.alarms.rules import load_rules
from calwatch.butler.model import ExposureRecord
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.ledger.store import Ledger
from calwatch.publish.schemas import metrics_of
from calwatch.report.gather import gather
from calwatch.report.model import Question, Report
from calwatch.verify.evaluate import evaluate, unknown_test
from calwatch.verify.limits import Part, load_limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import ALGORITHM, AmpResult, DetectorResult, TestResult, Verdict, worst

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CHAIN = ("ptc", "bias", "defects")
_limits = cache(load_limits)


@dataclass
class Scene:
    """A ledger that fills as a camera takes exposures."""

    ledger: Ledger
    instrument: str = "LSSTCam"
    detectors: tuple[str, ...] = ("R22_S11", "R22_S12")
    metrics: Collection[str] | None = None
    """None: those that tests need."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def chosen(self) -> list[Detector]:
        camera = load_camera(self.instrument)
        return [d for d in camera.detectors if not self.detectors or d.name in self.detectors]

    def take(
        self,
        number: int,
        kind: str = "bias",
        day: int = 20261122,
        *,
        bad: Mapping[str, Mapping[str, float]] | None = None,
        unknown: Mapping[str, str] | None = None,
        absent: Collection[str] = (),
        chain: str = "a",
        filter_name: str = "i_39",
    ) -> ExposureRecord:
        """Judge and record one exposure.

        Parameters
        ----------
        number, kind, day
            Which.
        bad
            By amplifier (``R22_S11/C05``), numbers that are multiplied.
        unknown
            By detector, the reason why it cannot be judged.
        absent
            Detectors whose raw files are there and that are not judged.
        chain
            The last letter of the RUNs of the certified calibrations.
        """
        exposure = self.exposure(number, kind, day, filter_name)
        for detector in self.chosen():
            if detector.name in absent:
                continue
            reason = (unknown or {}).get(detector.name)
            result = self.result(exposure, detector, bad or {}, chain, reason)
            assert self.ledger.record(result, exposure, exposure.end_utc)
        found = self.ledger.results(self.instrument, exposure.exposure_id)
        merged = merge_exposure(found.results, _limits("dmtn101"), exposure.end_utc)
        expected = [detector.number for detector in self.chosen()]
        assert self.ledger.record_exposure(
            merged, exposure, exposure.end_utc, expected=expected,
            last_judgement_id=found.last_judgement_id,
        )  # fmt: skip
        return exposure

    def exposure(self, number: int, kind: str, day: int, filter_name: str) -> ExposureRecord:
        at = datetime.strptime(str(day), "%Y%m%d").replace(tzinfo=UTC)
        return make_exposure(
            number, self.instrument, kind,
            exposure_id=day * 100000 + number,
            day_obs=day,
            physical_filter=filter_name if kind == "flat" else "empty",
            end_utc=at + timedelta(hours=18, minutes=number),
        )  # fmt: skip

    def result(
        self,
        exposure: ExposureRecord,
        detector: Detector,
        bad: Mapping[str, Mapping[str, float]],
        chain: str,
        reason: str | None,
    ) -> DetectorResult:
        kind, amps = exposure.observation_type, {}
        for amp in detector.amp_names if reason is None else ():
            numbers = self.numbers(kind, "amp", bad.get(f"{detector.name}/{amp}", {}))
            tests = _judged(exposure, detector, amp, numbers)
            amps[amp] = AmpResult(numbers, tests, _verdict(tests))
        of_detector = self.numbers(kind, "detector", {}) if amps else {}
        tests = _judged(exposure, detector, "", of_detector) if amps else {}
        verdicts = [amp.verdict for amp in amps.values()] + [t.verdict for t in tests.values()]
        return DetectorResult(
            instrument=self.instrument,
            exposure_id=exposure.exposure_id,
            detector=detector.number,
            detector_name=detector.name,
            calib_type=kind,
            verdict=Verdict.UNKNOWN if reason is not None else worst(verdicts),
            reason=reason or "",
            amps=amps,
            detector_metrics=of_detector,
            detector_tests=tests,
            provenance={
                "chain": {name: _entry(name, detector, chain) for name in CHAIN},
                "fingerprint": chain,
                "physical_filter": exposure.physical_filter,
            },
            algorithm=ALGORITHM,
            limits="dmtn101 2026-11-22",
        )

    def numbers(self, kind: str, level: str, factors: Mapping[str, float]) -> dict[str, float]:
        names = [m.name for m in metrics_of(level, kind)]
        if self.metrics is not None:
            names = [name for name in names if name in self.metrics]
        usual = {**USUAL, "MEAN": 20000.0} if kind == "flat" else USUAL
        return {
            name: usual.get(name, 1.0) * self._jitter(name) * factors.get(name, 1) for name in names
        }

    def _jitter(self, name: str) -> float:
        return 1.0 if name == "PROCESSING" else self.chance.uniform(0.9999, 1.0001)

    def report(self, question: Question | None = None, **changes: object) -> Report:
        asked = question or Question(self.instrument, 20261122, 20261122)
        camera, rules = load_camera(self.instrument), load_rules()
        return gather(self.ledger, asked, camera, rules, NOW, **changes)


def _judged(
    exposure: ExposureRecord, detector: Detector, amp: str, numbers: Mapping[str, float]
) -> dict[str, TestResult]:
    part = Part(exposure.instrument, detector.number, detector.name, amp)
    level = "amp" if amp else "detector"
    active = _active(exposure.observation_type, level, part, exposure.end_utc)
    found = [evaluate(test, numbers, amp) or unknown_test(test, "no number") for test in active]
    return {test.name: test for test in found}


@cache
def _active(kind: str, level: str, part: Part, at: datetime):
    return tuple(_limits("dmtn101").active(kind, level, part, at))


def _verdict(tests: Mapping[str, TestResult]) -> Verdict:
    return worst([test.verdict for test in tests.values() if test.counts])


def _entry(name: str, detector: Detector, chain: str) -> dict[str, object]:
    run = f"LSSTCam/calib/DM-1/first/{name}"
    return {
        "uuid": f"{name}-{detector.name}-{chain}",
        "run": f"{run}Gen.20261101{chain}",
        "collection": f"{run}.20261101{chain}",
        "begin_tai": 61000.0,
        "end_tai": None,
    }


NOISY = {"R22_S11/C05": {"NOISE": 1.4, "CR_NOISE": 1.4}}
DRIFTED = {"R22_S12/C10": {"OVERSCAN_LEVEL": 1.0012}}


def take_nights(scene: Scene) -> None:
    """Take two nights: a noisy amplifier since the first, and all else a report can speak of."""
    scene.take(1, day=20261121)
    scene.take(2, day=20261121, bad=NOISY)
    scene.take(1, bad=NOISY)
    scene.take(2, bad={**NOISY, **DRIFTED}, chain="b")
    scene.take(3, unknown={"R22_S12": "HDU Segment06 is truncated <sic>"}, chain="b", bad=NOISY)
    scene.take(4, absent=("R22_S12",), chain="b")
    scene.take(5, "dark", chain="b")
    scene.take(6, "flat", chain="b")
