"""From a job of several exposures to a verdict: read the frames, hand them to the pure core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from calwatch.arrays import AnyArray
from calwatch.arrivals.job import Job, Member
from calwatch.calibrations.model import CalibrationSet, PhotonTransferCurve
from calwatch.camera import header
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw_tiles import RawTiles, decoded
from calwatch.errors import RecordError, UnreachableFileError
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput
from calwatch.isr.switches import switches_for
from calwatch.service.certified_reading import CertifiedReader
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.notes import CERTIFIED, ISR, MEASURE, READ, note_failure, timed
from calwatch.service.photodiode_reading import PhotodiodeReader
from calwatch.service.raw_reading import check_exposure, dither_seed, read_raw
from calwatch.service.unmeasured import exposure_of
from calwatch.verify.amplifier import Measured
from calwatch.verify.inputs import check_raw, reference_fault
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import Limits
from calwatch.verify.model import DetectorResult
from calwatch.verify.sets import (
    bias_stability,
    crosstalk,
    cti,
    dark_stack,
    defects,
    gain,
    linearity,
    ptc,
)
from calwatch.verify.sets.abscissa import Abscissa, choose
from calwatch.verify.sets.model import CorrectedFrame, RawFrame
from calwatch.verify.sets.needs import NEEDS, need_name, needed_of_set

Frame = TypeVar("Frame")
Pixels = RawTiles | AnyArray

MASKED = "masked: wholly inside a certified defect"
"""Why an amplifier of a corrected frame cannot be measured."""


def judge_set(
    job: Job,
    camera: Camera,
    detector: Detector,
    settings: JudgeSettings,
    limits: Limits,
    reader: CertifiedReader,
    photodiodes: PhotodiodeReader,
) -> DetectorResult:
    """Judge one detector of a set.

    Raises
    ------
    RecordError
        If nothing of it can be measured.
    UnreachableFileError
        If a file cannot be fetched.
    """
    if job.why_not:
        raise RecordError(job.why_not)
    need = NEEDS[need_name(job.calib_type, _type(job))]
    with timed(CERTIFIED):
        types = needed_of_set(camera, need_name(job.calib_type, _type(job)))
        certified = reader.read(job, types, detector)
    frames = _Frames(job, camera, detector, settings, certified.calibrations, need.isr)
    light = None
    if job.calib_type == "linearity":
        with timed(READ):
            light = choose(job.earlier, photodiodes.read(job), settings.linearity_by)
    with timed(MEASURE):
        measured = _measure(job, detector, frames, certified.calibrations, light)
    exposure = exposure_of(job, camera, limits, missing=certified.missing, warnings=frames.warnings)
    exposure = replace(
        exposure,
        optional=exposure.optional | need.optional,
        warnings=(*exposure.warnings, *measured.warnings),
        provenance={**exposure.provenance, **_provenance(job, settings, measured)},
    )
    result = judge_numbers(
        exposure, detector, measured.amps, measured.detector, limits, faults=measured.faults
    )
    return replace(result, arrays=dict(measured.arrays))


def _provenance(job: Job, settings: JudgeSettings, measured: Measured) -> dict[str, Any]:
    """Return how a set was measured; of a photodiode also which readings, and how integrated."""
    found = dict(measured.provenance)
    light = found.get("light", {})
    if light.get("by") == "photodiode":
        how = {"method": settings.photodiode_method, "scale": settings.photodiode_scale}
        found["light"] = {**light, **how, "datasets": [one.uuid for one in job.photodiodes]}
    return found


def _type(job: Job) -> str:
    return job.exposure.observation_type.strip().lower()


def _measure(
    job: Job,
    detector: Detector,
    frames: _Frames,
    calibrations: CalibrationSet,
    light: Abscissa | None,
) -> Measured:
    """Measure a set; the frames are read as they are asked for."""
    match job.calib_type:
        case "gain":
            first, second = frames.both(frames.corrected())
            return gain.measure(detector, first, second, calibrations)
        case "cti":
            one, other = frames.both(frames.raw())
            return cti.measure(detector, one, other, calibrations)
        case "ptc":
            return ptc.measure(detector, job.earlier, calibrations)
        case "linearity":
            return linearity.measure(detector, job.earlier, calibrations, light)
        case "defects":
            return defects.measure(detector, frames.corrected(), _type(job), calibrations)
        case "dark_stack":
            return dark_stack.measure(detector, frames.corrected(), calibrations)
        case "crosstalk":
            return crosstalk.measure(detector, frames.corrected(), calibrations)
        case "bias_stability":
            return bias_stability.measure(detector, job.earlier, calibrations)
    raise RecordError(f"there is no verification of {job.calib_type!r}")


class _Frames:
    """Reads the frames of a set one after the other; one that cannot be read is left out."""

    def __init__(
        self,
        job: Job,
        camera: Camera,
        detector: Detector,
        settings: JudgeSettings,
        calibrations: CalibrationSet,
        isr: str,
    ) -> None:
        self._job = job
        self._camera = camera
        self._detector = detector
        self._settings = settings
        self._calibrations = with_usable_gains(calibrations, detector)
        self._isr = isr
        self.warnings: list[str] = []

    def both(self, frames: Iterator[Frame]) -> tuple[Frame, Frame]:
        """Return the two frames of a pair.

        Raises
        ------
        RecordError
            If one of them cannot be read.
        """
        found = list(frames)
        if len(found) != len(self._job.members):
            raise RecordError("; ".join(self.warnings))
        first, second = found
        return first, second

    def raw(self) -> Iterator[RawFrame]:
        """Give the raw pixels of each member."""
        for member in self._job.members:
            read = self._read(member)
            if read is None:
                continue
            pixels, _facts = read
            check = check_raw(pixels, self._detector, _type(self._job), self._calibrations.ptc)
            yield RawFrame(
                member.exposure.exposure_id,
                member.exposure.exposure_time,
                decoded(pixels),
                tuple(check.faults),
            )

    def corrected(self) -> Iterator[CorrectedFrame]:
        """Give each member after its ISR."""
        switches = switches_for(self._camera, self._isr)
        for member in self._job.members:
            read = self._read(member)
            if read is None:
                continue
            pixels, facts = read
            with timed(ISR):
                isr = run_isr(
                    IsrInput(
                        detector=self._detector,
                        raw=pixels,
                        calibrations=self._calibrations,
                        switches=switches,
                        dither_seed=dither_seed(facts, self._job.detector),
                        dark_time=facts.dark_time,
                        engine=self._settings.engine,
                    )
                )
            check = check_raw(
                pixels, self._detector, _type(self._job), self._calibrations.ptc, census=isr.census
            )
            overscan = isr.statistics.overscan
            if overscan is None:
                raise RecordError("; ".join(isr.not_applied.values()) or "there is no overscan")
            yield CorrectedFrame(
                member.exposure.exposure_id,
                member.exposure.exposure_time,
                facts.dark_time,
                isr.image,
                isr.mask,
                isr.gain,
                overscan.serial_residual_stdev,
                tuple(
                    fault or (MASKED if amp in isr.bad_amps else "")
                    for amp, fault in zip(self._detector.amp_names, check.faults, strict=True)
                ),
            )

    def _read(self, member: Member) -> tuple[Pixels, header.HeaderFacts] | None:
        """Return the pixels and the header of a member; None if it cannot be read."""
        try:
            with timed(READ):
                raw, damage = read_raw(member.raw, self._camera, self._detector)
            facts = header.translate(raw.header, self._camera)
            check_exposure(facts, member.exposure, member.raw)
            if damage:
                raise RecordError(damage)
        except UnreachableFileError:
            raise
        except RecordError as error:
            note_failure(error)
            self.warnings.append(f"{member.exposure.obs_id} left out: {error}")
            return None
        return raw.pixels, facts


def with_usable_gains(calibrations: CalibrationSet, detector: Detector) -> CalibrationSet:
    """Return calibrations whose gains are all usable: nominal where the certified one is not.

    What is measured of a set does not depend on the gain that the ISR took, so an amplifier with a
    broken certified gain can still be measured; only there is nothing to compare it with.
    """
    amps = detector.amplifiers
    nominal = np.array([amp.nominal_gain for amp in amps])
    unknown = np.full(len(amps), np.nan)
    ptc = calibrations.ptc or PhotonTransferCurve(
        detector.amp_names, unknown, unknown, unknown, unknown, unknown, unknown, (), {}
    )
    broken = [bool(reference_fault(float(one), 1.0)) for one in ptc.gain]
    gain = np.where(broken, nominal, ptc.gain)
    return replace(calibrations, ptc=replace(ptc, gain=gain))
