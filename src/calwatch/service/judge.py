"""From a job to a verdict: read the files, then hand plain data to the pure core.

The daemon and ``calwatch verify`` both come through here.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import CALIB_TYPES
from calwatch.butler.files import local_copy
from calwatch.butler.model import CertifiedDataset, ExposureRecord
from calwatch.calibrations.array_store import open_store
from calwatch.calibrations.cache import CalibrationCache
from calwatch.calibrations.model import CalibrationSet
from calwatch.calibrations.read import Calibration, read_calibration
from calwatch.camera import header
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import RawFile, open_raw
from calwatch.errors import (
    CalibrationError,
    CameraError,
    ChecksumError,
    RecordError,
    UnreachableFileError,
)
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput
from calwatch.isr.switches import needed_calibrations, switches_for
from calwatch.memory import keep_freed_memory
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.notes import CERTIFIED, ISR, MEASURE, READ, note_failure, timed
from calwatch.service.unmeasured import exposure_of, unmeasured
from calwatch.verify.amplifier import Frame
from calwatch.verify.inputs import check_raw
from calwatch.verify.judge import judge_detector
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult, ExposureResult

FALLBACK_SEED = 12345
"""Dither seed of an exposure whose header has no number, as IsrTaskLSST takes it."""


@dataclass(slots=True)
class _Certified:
    """What could be read of a chain, and why the rest could not."""

    found: dict[str, Calibration] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def calibrations(self) -> CalibrationSet:
        # The reader of each type returns what the field of that name holds.
        return CalibrationSet(**self.found)  # type: ignore[arg-type]


class Judge:
    """Judges jobs one after the other, keeping cameras, limits and calibrations warm."""

    def __init__(self, settings: JudgeSettings, limits: Limits | None = None) -> None:
        self._settings = settings
        self._limits = limits or load_limits(settings.limits)
        store = open_store(settings.calibration_folder, settings.calibration_folder_bytes)
        self._cache = CalibrationCache(settings.cache_bytes, store)

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
            return self._judge(job, camera, _detector(job, camera))
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
            raw, damage = _read_raw(job, camera, detector)
        facts = header.translate(raw.header, camera)
        _check_exposure(facts, job)
        if damage or job.calib_type not in CALIB_TYPES:
            raise RecordError("; ".join(_why_not(job, raw, detector, damage)))
        if job.calib_type == "dark" and not isfinite(facts.dark_time):
            raise RecordError(f"{_file(job)}: DARKTIME and EXPTIME give no number of seconds")
        with timed(CERTIFIED):
            needed = needed_calibrations(camera, job.calib_type)
            certified = self._certified(job, needed, detector)
        calibrations = certified.calibrations
        seed = _seed(facts, job.detector)
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

    def _certified(self, job: Job, needed: Sequence[str], detector: Detector) -> _Certified:
        certified = _Certified()
        for calib_type in needed:
            dataset = job.chain.datasets.get(calib_type)
            if dataset is None:
                reason = job.chain.missing.get(calib_type, f"no {calib_type} certified")
                certified.missing[calib_type] = reason
                continue
            try:
                certified.found[calib_type] = self._read(dataset, detector)
            except UnreachableFileError as error:
                if self._settings.wait_for_files:
                    raise UnreachableFileError(f"certified {calib_type}: {error}") from error
                note_failure(error)
                certified.missing[calib_type] = str(error)
            except CalibrationError as error:
                note_failure(error)
                certified.missing[calib_type] = str(error)
        return certified

    def _read(self, dataset: CertifiedDataset, detector: Detector) -> Calibration:
        def load() -> Calibration:
            with local_copy(dataset.uri) as path:
                return read_calibration(dataset.calib_type, path, detector)

        return self._cache.calibration(dataset.uuid, dataset.calib_type, detector, load)


def _detector(job: Job, camera: Camera) -> Detector:
    """Return the job's detector; one that the camera lacks cannot be judged."""
    try:
        return camera.detector(job.detector)
    except CameraError as error:
        raise RecordError(f"{_file(job)}: {error}") from error


def _check_exposure(facts: header.HeaderFacts, job: Job) -> None:
    """Refuse a file that holds another exposure than the Butler says."""
    if facts.obs_id and job.exposure.obs_id and facts.obs_id != job.exposure.obs_id:
        raise RecordError(
            f"{_file(job)}: holds exposure {facts.obs_id}, the Butler says {job.exposure.obs_id}"
        )


def _file(job: Job) -> str:
    """Return the name of the raw file, as all that is said of its content gives it."""
    return job.raw.uri.rsplit("/", 1)[-1]


def _read_raw(job: Job, camera: Camera, detector: Detector) -> tuple[RawFile, str]:
    """Read the raw file; if only its checksums are wrong, return what it holds and say so."""
    with local_copy(job.raw.uri) as path:
        try:
            return open_raw(path, camera, detector), ""
        except ChecksumError as error:
            try:
                raw = open_raw(path, camera, detector, checksums=False)
                return replace(raw, pixels=raw.frame().pixels), str(error)
            except RecordError as further:
                raise RecordError(f"{error}; {further}") from further


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


def _seed(facts: header.HeaderFacts, detector: int) -> int:
    if facts.day_obs is None or facts.seq_num is None:
        return FALLBACK_SEED
    packed = header.detector_exposure_id(facts.day_obs, facts.seq_num, facts.controller, detector)
    return packed & 0xFFFFFFFF


_judge: Judge | None = None


def start_worker(settings: JudgeSettings, limits: Limits | None = None) -> None:
    """Set up the judge of a worker process; its limits are those that the settings name if None."""
    global _judge
    keep_freed_memory()
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
