"""From a job to a verdict: read the files, then hand plain data to the pure core.

The daemon and ``calwatch verify`` both come through here.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from math import isfinite

from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import CALIB_TYPES
from calwatch.butler.model import ExposureRecord
from calwatch.camera import header
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import RawFile
from calwatch.errors import (
    RecordError,
    UnreachableFileError,
)
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput
from calwatch.isr.switches import needed_calibrations, switches_for
from calwatch.memory import hold_memory
from calwatch.service.certified_reading import CertifiedReader
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.notes import CERTIFIED, ISR, MEASURE, READ, note_failure, timed
from calwatch.service.photodiode_reading import PhotodiodeReader
from calwatch.service.raw_reading import (
    check_exposure,
    detector_of,
    dither_seed,
    file_name,
    read_raw,
)
from calwatch.service.unmeasured import exposure_of, unmeasured
from calwatch.verify.amplifier import Frame
from calwatch.verify.inputs import check_raw
from calwatch.verify.judge import judge_detector
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult, ExposureResult


class Judge:
    """Judges jobs one after the other, keeping cameras, limits and calibrations warm."""

    def __init__(self, settings: JudgeSettings, limits: Limits | None = None) -> None:
        self._settings = settings
        self._limits = limits or load_limits(settings.limits)
        self._certified = CertifiedReader(settings)
        self._photodiodes = PhotodiodeReader(settings)

    def __call__(self, job: Job) -> DetectorResult:
        """Judge one detector of one exposure.

        Raises
        ------
        UnreachableFileError
            If a file cannot be fetched and the settings say to wait for it.
        CameraError
            If the instrument is not known.
        """
        camera = self._settings.camera_of(job.exposure.instrument)
        try:
            detector = detector_of(job, camera)
            if job.members:
                # Fits and stacks are imported by who judges sets.
                from calwatch.service.judge_sets import judge_set

                return judge_set(
                    job,
                    camera,
                    detector,
                    self._settings,
                    self._limits,
                    self._certified,
                    self._photodiodes,
                )
            return self._judge(job, camera, detector)
        except RecordError as error:
            note_failure(error)
            return self.unknown(job, str(error))
        except UnreachableFileError as error:
            if self._settings.wait_for_files:
                raise
            note_failure(error)
            return self.unknown(job, str(error))

    def renew(self, limits: Limits) -> None:
        """Judge by other limits from now on."""
        self._limits = limits

    def unknown(self, job: Job, reason: str) -> DetectorResult:
        """Return the UNKNOWN result of a job of which nothing could be measured."""
        return unmeasured(job, reason, self._settings, self._limits)

    def merge(self, results: Sequence[DetectorResult], exposure: ExposureRecord) -> ExposureResult:
        """Merge all detectors of one exposure."""
        return merge_exposure(results, self._limits, exposure.end_utc)

    def _judge(self, job: Job, camera: Camera, detector: Detector) -> DetectorResult:
        with timed(READ):
            raw, damage = read_raw(job.raw, camera, detector)
        facts = header.translate(raw.header, camera)
        check_exposure(facts, job.exposure, job.raw)
        if damage or job.calib_type not in CALIB_TYPES:
            raise RecordError("; ".join(_why_not(job, raw, detector, damage)))
        if job.calib_type == "dark" and not isfinite(facts.dark_time):
            raise RecordError(f"{file_name(job.raw)}: neither DARKTIME nor EXPTIME is a time")
        with timed(CERTIFIED):
            needed = needed_calibrations(camera, job.calib_type)
            certified = self._certified.read(job, needed, detector)
        calibrations = certified.calibrations
        seed = dither_seed(facts, job.detector)
        with timed(ISR):
            isr = run_isr(
                IsrInput(
                    detector=detector,
                    raw=raw.pixels,
                    calibrations=calibrations,
                    switches=switches_for(camera, job.calib_type),
                    dither_seed=seed,
                    dark_time=facts.dark_time,
                    engine=self._settings.engine,
                )
            )
        frame = Frame(
            calib_type=job.calib_type,
            detector=detector,
            isr=isr,
            calibrations=calibrations,
            raw=check_raw(
                raw.pixels, detector, job.calib_type, calibrations.ptc, census=isr.census
            ),
            dark_time=facts.dark_time,
            seed=seed,
            engine=self._settings.engine,
        )
        exposure = exposure_of(
            job,
            camera,
            self._limits,
            sequencer=facts.sequencer,
            missing=certified.missing,
            warnings=header.contradictions(facts, camera, detector, job.exposure.observation_type),
        )
        with timed(MEASURE):
            return judge_detector(exposure, frame, self._limits, self._settings.images)


def _why_not(job: Job, raw: RawFile, detector: Detector, damage: str) -> list[str]:
    """Say everything that keeps this exposure from being judged."""
    reasons = []
    if job.calib_type not in CALIB_TYPES:
        reasons.append(f"observation type {job.calib_type!r} is not bias, dark or flat")
    if damage:
        reasons.append(damage)
    faults = check_raw(raw.pixels, detector, job.calib_type).faults
    if all(faults) and len(set(faults)) == 1:
        reasons.append(f"every amplifier: {faults[0]}")
    else:
        pairs = zip(detector.amp_names, faults, strict=True)
        reasons += [f"{amp}: {fault}" for amp, fault in pairs if fault]
    return reasons + list(job.chain.missing.values())


_judge: Judge | None = None


def start_worker(settings: JudgeSettings, limits: Limits | None = None) -> None:
    """Set up the judge of a worker process; its limits are those that the settings name if None."""
    global _judge
    hold_memory()
    _judge = Judge(settings, limits)
    # Modules, cameras and limits live as long as the worker: the collector need not look at them.
    gc.freeze()


def renew_worker(limits: Limits) -> None:
    """Have the judge of a worker process judge by other limits; it keeps its calibrations.

    Raises
    ------
    RuntimeError
        If the process was not set up by `start_worker`.
    """
    _own_judge().renew(limits)


def work(job: Job) -> DetectorResult:
    """Judge one job in a worker process.

    Raises
    ------
    RuntimeError
        If the process was not set up by `start_worker`.
    """
    return _own_judge()(job)


def _own_judge() -> Judge:
    if _judge is None:
        raise RuntimeError("start_worker was not called in this process")
    return _judge
