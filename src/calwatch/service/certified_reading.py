"""Reading the certified calibrations of a job, as far as they can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calwatch.arrivals.job import Job
from calwatch.butler.files import local_copy
from calwatch.butler.model import CertifiedDataset
from calwatch.calibrations.array_store import open_store
from calwatch.calibrations.cache import CalibrationCache
from calwatch.calibrations.model import CalibrationSet
from calwatch.calibrations.read import Calibration, read_calibration
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError, UnreachableFileError
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.notes import note_failure


@dataclass(frozen=True, slots=True)
class Certified:
    """What could be read of a chain, and why the rest could not."""

    calibrations: CalibrationSet
    missing: Mapping[str, str]


class CertifiedReader:
    """Reads certified calibrations and keeps them warm."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._wait_for_files = settings.wait_for_files
        store = open_store(settings.calibration_folder, settings.calibration_folder_bytes)
        self._cache = CalibrationCache(settings.cache_bytes, store)

    def read(self, job: Job, needed: Sequence[str], detector: Detector) -> Certified:
        """Return the needed types of a job's chain.

        Raises
        ------
        UnreachableFileError
            If a file cannot be fetched and the settings say to wait for it.
        """
        found: dict[str, Calibration] = {}
        missing: dict[str, str] = {}
        for calib_type in needed:
            dataset = job.chain.datasets.get(calib_type)
            if dataset is None:
                reason = job.chain.missing.get(calib_type, f"no {calib_type} certified")
                missing[calib_type] = reason
                continue
            try:
                found[calib_type] = self._one(dataset, detector)
            except UnreachableFileError as error:
                if self._wait_for_files:
                    raise UnreachableFileError(f"certified {calib_type}: {error}") from error
                note_failure(error)
                missing[calib_type] = str(error)
            except CalibrationError as error:
                note_failure(error)
                missing[calib_type] = str(error)
        # The reader of each type returns what the field of that name holds.
        return Certified(CalibrationSet(**found), missing)  # type: ignore[arg-type]

    def _one(self, dataset: CertifiedDataset, detector: Detector) -> Calibration:
        def load() -> Calibration:
            with local_copy(dataset.uri) as path:
                return read_calibration(dataset.calib_type, path, detector)

        return self._cache.calibration(dataset.uuid, dataset.calib_type, detector, load)
