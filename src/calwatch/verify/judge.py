"""From a corrected frame, or from its numbers, to the verdict on one detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite, nan
from types import MappingProxyType
from typing import Any, Literal

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.camera.model import Detector
from calwatch.isr.switches import CALIBRATION_OF_STEP
from calwatch.verify import bias, dark, flat
from calwatch.verify.amplifier import Frame, Measured, Metrics
from calwatch.verify.binned import binned_residual
from calwatch.verify.evaluate import evaluate, unknown_test
from calwatch.verify.exposure import Exposure
from calwatch.verify.inputs import reference_fault
from calwatch.verify.limits import ActiveTest, Limits, Part
from calwatch.verify.metrics import Level
from calwatch.verify.model import (
    AmpResult,
    DetectorResult,
    TestResult,
    Verdict,
    algorithm_of,
    worst,
)
from calwatch.verify.reasons import detector_reason, fault_reason, missing_reason
from calwatch.verify.sequencer import compared, mismatches

MEASURES: Mapping[str, Callable[[Frame], Measured]] = {
    "bias": bias.measure,
    "dark": dark.measure,
    "flat": flat.measure,
}
"""The measurement of each calibration type."""
Images = Literal["all", "not_passed", "none"]
"""Of which frames an image is kept: a plain PASS has nothing to show."""


def judge_detector(
    exposure: Exposure, frame: Frame, limits: Limits, images: Images = "none"
) -> DetectorResult:
    """Measure one corrected frame and judge it, as `judge_numbers` does.

    Parameters
    ----------
    exposure, frame, limits
        What is judged, and by what.
    images
        Of which frames the arrays of the result hold a `binned_residual`.

    Raises
    ------
    KeyError
        If no measurement is defined for the exposure's calibration type.
    """
    measured = MEASURES[exposure.calib_type](frame)
    missing = _missing(exposure, frame)
    not_applied = [
        f"{kind} not applied: {why}"
        for kind, why in frame.isr.not_applied.items()
        if CALIBRATION_OF_STEP.get(kind) not in missing
    ]
    headers = _headers(frame)
    differences = mismatches(exposure.sequencer, headers)
    measured.detector["SEQUENCER_MISMATCHES"] = (
        len(differences) if compared(exposure.sequencer, headers) else nan
    )
    known = replace(
        exposure,
        missing=missing,
        provenance=_provenance(exposure, frame),
        warnings=(*exposure.warnings, *measured.warnings, *not_applied),
    )
    faults = {
        name: _amp_fault(frame, i, numbers)
        for i, (name, numbers) in enumerate(measured.amps.items())
    }
    result = judge_numbers(
        known,
        frame.detector,
        measured.amps,
        measured.detector,
        limits,
        faults=faults,
        differences=differences,
    )
    arrays = _arrays(frame)
    if images == "all" or (images == "not_passed" and not _is_plain(result)):
        arrays["binned_residual"] = binned_residual(frame.isr.image, frame.isr.mask, frame.detector)
    return replace(result, arrays=arrays)


def judge_numbers(
    exposure: Exposure,
    detector: Detector,
    amps: Mapping[str, Metrics],
    detector_metrics: Metrics,
    limits: Limits,
    *,
    faults: Mapping[str, str] = MappingProxyType({}),
    differences: tuple[str, ...] = (),
) -> DetectorResult:
    """Judge the numbers of one detector, wherever they come from.

    FAIL stands above UNKNOWN, and UNKNOWN above PASS. Without a certified PTC, or without the
    calibration under test, no test can be judged and all are UNKNOWN. Without any other needed
    calibration the tests are judged, and nothing becomes better than UNKNOWN.

    Parameters
    ----------
    exposure
        The exposure, with what is missing.
    detector
        Which overrides of the limits apply.
    amps
        Metrics of each amplifier by its name.
    detector_metrics
        Metrics of the detector as a whole.
    limits
        The limits.
    faults
        By name of the amplifier why it cannot be judged; empty or absent if it can.
    differences
        What differs between the sequencers, one sentence for each of SEQUENCER_MISMATCHES.
    """
    missing = {t: why for t, why in exposure.missing.items() if t not in exposure.optional}
    fatal = {t: why for t, why in missing.items() if t in ("ptc", exposure.calib_type)}
    warnings = [*exposure.warnings]
    if exposure.end_utc is None:
        warnings.append("the exposure has no end time: the latest limits were used")
    judge = _Judge(exposure, detector, limits, missing_reason(fatal), warnings)
    judged = {
        name: judge.amp(name, numbers, faults.get(name, ""), missing)
        for name, numbers in amps.items()
    }
    tests = judge.detector_tests(detector_metrics, differences)
    verdict = worst(
        [a.verdict for a in judged.values()] + [t.verdict for t in tests.values() if t.counts]
    )
    if missing and verdict is Verdict.PASS:
        verdict = Verdict.UNKNOWN
    return DetectorResult(
        instrument=exposure.instrument,
        exposure_id=exposure.exposure_id,
        detector=detector.number,
        detector_name=detector.name,
        calib_type=exposure.calib_type,
        verdict=verdict,
        reason=detector_reason(verdict, judged, tests, missing),
        amps=judged,
        detector_metrics=finite(detector_metrics),
        detector_tests=tests,
        provenance={
            **exposure.provenance,
            "sequencer": dict(exposure.sequencer),
            "missing": missing,
        },
        algorithm=algorithm_of(exposure.calib_type),
        limits=limits.label,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def finite(numbers: Metrics) -> dict[str, float | None]:
    """Return the numbers as plain floats and ints, None where there is none."""
    return {
        name: (value if type(value) is float else _plain(value)) if isfinite(value) else None
        for name, value in numbers.items()
    }


def _plain(value: float) -> float:
    """Return an int as it is, and what numpy gave as a float."""
    return value if type(value) is int else float(value)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Applies the limits in force to the parts of one detector."""

    exposure: Exposure
    detector: Detector
    limits: Limits
    fatal: str
    """Why no test can be judged; empty if they can."""
    warnings: list[str]

    def amp(self, name: str, metrics: Metrics, fault: str, missing: Mapping[str, str]) -> AmpResult:
        """Judge one amplifier; with a fault all its tests are UNKNOWN."""
        numbers = finite(metrics)
        tests = {}
        for test in self._active("amp", name):
            result = self._judged(test, numbers, name, fault)
            if result is not None:
                tests[result.name] = result
        counted = [t for t in tests.values() if t.counts]
        verdict = worst([t.verdict for t in counted])
        if fault:
            return AmpResult(numbers, tests, Verdict.UNKNOWN, fault_reason(name, fault))
        if missing and verdict is Verdict.PASS:
            return AmpResult(numbers, tests, Verdict.UNKNOWN, missing_reason(missing))
        reasons = [t.reason for t in counted if t.verdict is verdict and t.reason]
        if self.fatal:
            reasons = [self.fatal]
        elif not counted:
            reasons = [f"no limit is in force for {name}"]
        return AmpResult(numbers, tests, verdict, "; ".join(reasons))

    def detector_tests(
        self, metrics: Metrics, differences: tuple[str, ...]
    ) -> dict[str, TestResult]:
        """Judge the detector as a whole."""
        numbers = finite(metrics)
        tests = {}
        for test in self._active("detector", ""):
            if test.spec.metric == "SEQUENCER_MISMATCHES":
                if numbers["SEQUENCER_MISMATCHES"] is None:
                    self.warnings.append(f"{test.spec.name} not tested: no keyword to compare")
                    continue
                tests[test.spec.name] = _sequencer_result(test, numbers, differences)
                continue
            result = self._judged(test, numbers, "", "")
            if result is not None:
                tests[result.name] = result
        return tests

    def _active(self, level: Level, amp: str) -> Iterator[ActiveTest]:
        return self.limits.active(
            self.exposure.calib_type,
            level,
            Part(self.exposure.instrument, self.detector.number, self.detector.name, amp),
            self.exposure.end_utc,
            self.exposure.observation_reason,
        )

    def _judged(
        self, test: ActiveTest, numbers: dict[str, float | None], subject: str, fault: str
    ) -> TestResult | None:
        why = fault or self.fatal
        if why:
            value = numbers.get(test.spec.metric)
            label = f"{subject} {test.spec.name}".strip()
            return unknown_test(test, f"{label} unknown: {why}", value)
        result = evaluate(test, numbers, subject)
        if result is None and numbers.get(test.spec.metric) is not None:
            reference = test.spec.reference
            self.warnings.append(f"{test.spec.name} not tested: there is no {reference}")
        return result


def _sequencer_result(
    test: ActiveTest, numbers: dict[str, float | None], differences: tuple[str, ...]
) -> TestResult:
    """Judge the sequencer, naming what differs. It needs no pixels and no PTC."""
    result = evaluate(test, numbers, "") or unknown_test(test, "")
    if not differences:
        return result
    return result._replace(reason=f"{test.spec.name}: {'; '.join(differences)}")


def _missing(exposure: Exposure, frame: Frame) -> dict[str, str]:
    """Return the needed calibrations that were not there or could not be applied."""
    missing = {t: why for t, why in exposure.missing.items() if t not in exposure.optional}
    for step, why in frame.isr.not_applied.items():
        needed = CALIBRATION_OF_STEP.get(step)
        if (
            needed
            and needed not in exposure.optional
            and getattr(frame.calibrations, needed) is None
        ):
            missing.setdefault(needed, why)
    return missing


def _amp_fault(frame: Frame, index: int, metrics: Metrics) -> str:
    """Say why an amplifier cannot be judged; empty if it can."""
    amp, isr = frame.detector.amplifiers[index], frame.isr
    if frame.raw.faults[index]:
        return frame.raw.faults[index]
    ptc = frame.calibrations.ptc
    if ptc is not None:
        fault = reference_fault(float(ptc.gain[index]), float(ptc.noise[index]))
        if fault:
            return fault
    if amp.name in isr.bad_amps:
        return "masked: wholly inside a certified defect, or without a gain"
    if metrics["NGOOD"] == 0:
        return "masked: no pixel is left by the certified masks"
    saturated = frame.calib_type == "flat" and metrics["SATURATED"] > 0
    if not saturated and not (metrics["STDEV"] > 0 and metrics["NOISE"] > 0):
        return "its pixels have no noise at all"
    return ""


def _headers(frame: Frame) -> dict[str, Mapping[str, Any]]:
    """Return the headers of the certified calibrations that were there."""
    held = {t: getattr(frame.calibrations, t) for t in dict.fromkeys(CALIBRATION_OF_STEP.values())}
    return {t: calibration.metadata for t, calibration in held.items() if calibration is not None}


def _provenance(exposure: Exposure, frame: Frame) -> dict[str, Any]:
    return {
        **exposure.provenance,
        "steps_applied": list(frame.isr.applied),
        "steps_not_applied": dict(frame.isr.not_applied),
    }


def _is_plain(result: DetectorResult) -> bool:
    """Tell whether everything was passed without a warning."""
    tests = [result.detector_tests, *(amp.tests for amp in result.amps.values())]
    return result.verdict is Verdict.PASS and not any(
        t.severity for ts in tests for t in ts.values()
    )


def _arrays(frame: Frame) -> dict[str, DoubleArray | FloatArray]:
    """Return the correlations and projections that were measured."""
    names = ("overscan_correlation", "image_correlation", "row_projection", "column_projection")
    found = {name: getattr(frame.isr.statistics, name) for name in names}
    return {name: array for name, array in found.items() if array is not None}
