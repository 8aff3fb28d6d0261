"""A day of pairs of flats in a ledger, and the sets they make: true numbers, real limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from night_scene import DAY, Judging

from calwatch.butler.model import ExposureRecord
from calwatch.calibrations.model import (
    CalibrationSet,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
)
from calwatch.camera.model import Detector
from calwatch.ledger.sets import earlier_numbers
from calwatch.ledger.store import Ledger
from calwatch.verify.amplifier import Measured
from calwatch.verify.definitions import defects as definitions
from calwatch.verify.exposure import Exposure, unknown_result
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult
from calwatch.verify.sets import linearity, ptc
from calwatch.verify.sets.needs import NEEDS
from calwatch.verify.sets.ptc_models import curve

DETECTORS = ("R22_S11", "R22_S12")
DETECTOR = DETECTORS[0]
PAIRS = 11
FIRST = 11
"""Number of the first flat of the first pair."""
LAST = FIRST + 2 * PAIRS - 1
ODD = LAST + 1
"""A flat without a partner."""
SEQUENCE = DAY * 100000 + LAST
WRONG_GAIN = "C05"
"""Its certified gain is 8 % off, in `DETECTOR`."""
BENT = "C07"
"""It leaves proportionality by 6 % at the top, in `DETECTOR`."""
GAIN, NOISE, A00 = 1.5, 6.0, -3.0e-6
WHY_ODD = "a flat alone makes no pair: no other one of the same light came"
TURNOFF = 85_000.0
"""ADU: the last pair is above it."""
PIXELS = 900_000.0
_limits = cache(load_limits)


class Sets(Judging):
    """A camera of which sets are judged as well."""

    def take_all(self) -> None:
        """Take and judge the pairs, the sequence that they are, and sets of other kinds."""
        for number in range(FIRST, ODD + 1):
            self.take(number, "flat", filter_name="i_39")
        rng = np.random.default_rng(3)
        levels = np.geomspace(600, 95_000, PAIRS)
        for k, mean in enumerate(levels):
            numbers = (FIRST + 2 * k, FIRST + 2 * k + 1)
            self.put("gain", numbers, {d.name: _pair(d, mean, rng) for d in self.chosen()})
        self.put("gain", (ODD,), {})
        every = range(FIRST, LAST + 1)
        times = {DAY * 100000 + FIRST + 2 * k + 1: mean / 1000 for k, mean in enumerate(levels)}
        for kind, measure in (("ptc", ptc.measure), ("linearity", linearity.measure)):
            need = NEEDS[kind]
            pairs = earlier_numbers(self.ledger, self.instrument, times, need.metrics, "gain")
            found = {d.name: measure(d, pairs[d.number], _certified(d)) for d in self.chosen()}
            self.put(kind, every, found)
        self.put("defects", range(FIRST, FIRST + 6), {d.name: _defects(d) for d in self.chosen()})
        self.put("crosstalk", (FIRST, FIRST + 1), {DETECTOR: _crosstalk(self.chosen()[0])})

    def put(
        self, kind: str, numbers: Sequence[int], measured: Mapping[str, Measured]
    ) -> ExposureRecord:
        """Judge and record one set; what is not measured is UNKNOWN."""
        exposure = self.exposure(numbers[-1], "flat", DAY, "i_39")
        limits = _limits("dmtn101")
        results = [
            self._result(kind, exposure, numbers, one, measured.get(one.name), limits)
            for one in self.chosen()
        ]
        for result in results:
            assert self.ledger.record(result, exposure, exposure.end_utc)
        algorithm = results[0].algorithm
        found = self.ledger.results(self.instrument, exposure.exposure_id, algorithm)
        assert self.ledger.record_exposure(
            merge_exposure(found.results, limits, exposure.end_utc), exposure, exposure.end_utc,
            expected=[one.number for one in self.chosen()],
            last_judgement_id=found.last_judgement_id, algorithm=algorithm,
        )  # fmt: skip
        return exposure

    def _result(
        self,
        kind: str,
        exposure: ExposureRecord,
        numbers: Sequence[int],
        detector: Detector,
        measured: Measured | None,
        limits: Limits,
    ) -> DetectorResult:
        members = [exposure.day_obs * 100000 + number for number in numbers]
        provenance = {
            "members": members,
            **({"made_of": members[1::2]} if kind in ("ptc", "linearity") else {}),
            "fingerprint": f"{kind}-a",
            "collection": "LSSTCam/calib",
            "physical_filter": exposure.physical_filter,
            **({} if measured is None else measured.provenance),
        }
        seen = Exposure(
            self.instrument, exposure.exposure_id, kind, exposure.end_utc, provenance=provenance
        )
        if measured is None:
            why = WHY_ODD if len(numbers) == 1 else "none of its frames could be read"
            return unknown_result(seen, detector.number, detector.name, why, limits)
        result = judge_numbers(
            seen, detector, measured.amps, measured.detector, limits, faults=measured.faults
        )
        return replace(result, arrays=dict(measured.arrays))


def take_sets(ledger: Ledger) -> Sets:
    """Take the day."""
    camera = Sets(ledger, "LSSTCam", DETECTORS)
    camera.take_all()
    return camera


def _pair(detector: Detector, mean: float, rng: np.random.Generator) -> Measured:
    amps = {}
    for amp in detector.amp_names:
        bent = 1.0 - (0.06 * mean / 95_000 if (detector.name, amp) == (DETECTOR, BENT) else 0.0)
        seen = mean * bent * (1 + 1e-5 * rng.normal())
        variance = float(curve(np.array([seen]), GAIN, A00, NOISE)[0])
        variance *= 1 + np.sqrt(2 / PIXELS) * rng.normal()
        if mean > TURNOFF:
            variance *= 0.5
        amps[amp] = {
            "PAIR_MEAN": seen, "PAIR_MEAN_1": seen, "PAIR_MEAN_2": seen,
            "PAIR_VARIANCE": variance, "PAIR_NPIXELS": PIXELS, "PAIR_BALANCE": 1e-4,
            "ROW_MEAN_VARIANCE": 2 * mean / GAIN / 491 * (1 + 0.03 * rng.normal()),
            "NOISE_ADU": NOISE / GAIN * (1 + 2e-3 * rng.normal()),
            "PAIR_GAIN_ZERO": GAIN, "PAIR_GAIN_ZERO_ERROR": 3e-3, "CERTIFIED_GAIN": GAIN,
            "NOMINAL_GAIN": GAIN, "PAIR_NOISE": NOISE, "PAIR_NOISE_ERROR": 0.02,
            "CERTIFIED_NOISE": NOISE, "NOMINAL_NOISE": NOISE, "BOUNDARY_GAIN_RATIO": 1.0,
            "BOUNDARY_GAIN_ERROR": 1e-4,
        }  # fmt: skip
    return Measured(amps)


def _certified(detector: Detector) -> CalibrationSet:
    names = detector.amp_names

    def all_of(value: float) -> np.ndarray[Any, Any]:
        return np.full(len(names), value)

    gain = all_of(GAIN)
    if detector.name == DETECTOR:
        gain[names.index(WRONG_GAIN)] *= 1.08
    curve_of = PhotonTransferCurve(
        names, gain, all_of(NOISE), all_of(TURNOFF), all_of(24_000), all_of(10), all_of(A00), (),
        {},
    )  # fmt: skip
    types = (LinearizerType.NONE,) * len(names)
    linear = Linearizer(names, types, (np.zeros(1),) * len(names), None, "adu", {})
    return CalibrationSet(ptc=curve_of, linearizer=linear)


def _defects(detector: Detector) -> Measured:
    places = [[500.0, 700.0, 1], [520.0, 900.0, 2], [3000.0, 3100.0, 3], [2100.0, 1000.0, 4]]
    counts = {metric.name: 0.0 for metric in definitions.METRICS} | {"DEFECT_FRAMES": 6.0}
    if detector.name != DETECTOR:
        places = []
    arrays = {"defect_places": np.array(places).reshape(-1, 3)}
    return Measured({amp: dict(counts) for amp in detector.amp_names}, arrays=arrays)


def _crosstalk(detector: Detector) -> Measured:
    rng = np.random.default_rng(5)
    shape = (len(detector.amplifiers),) * 2
    values = 1e-6 * rng.normal(size=shape)
    values[3, 4] = 8e-5
    values[6] = np.nan
    arrays = {"crosstalk_residual": values, "crosstalk_error": np.full(shape, 1e-6)}
    return Measured({amp: {} for amp in detector.amp_names}, arrays=arrays)
