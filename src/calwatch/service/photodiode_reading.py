"""The charges of the photodiode for a sequence, read once for all detectors of a worker."""

from __future__ import annotations

from collections import OrderedDict

from calwatch.arrivals.job import Job
from calwatch.butler.files import local_copy
from calwatch.butler.model import ExposureRecord, PhotodiodeDataset
from calwatch.calibrations.photodiode import read_photodiode
from calwatch.errors import CalibrationError, UnreachableFileError
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.notes import note_failure
from calwatch.verify.sets.abscissa import Photodiode
from calwatch.verify.sets.photodiode import Charge, Integration, charge_of

REMEMBERED = 1000
"""Charges: those of a few sequences. All detectors of a sequence have the same."""


class PhotodiodeReader:
    """Reads what the photodiode saw, and remembers the charges."""

    def __init__(self, settings: JudgeSettings) -> None:
        # Where it is only to be used if it is there, the exposure time takes its place at once.
        self._wait_for_files = settings.wait_for_files and settings.linearity_by == "photodiode"
        self._how = Integration(settings.photodiode_method, settings.photodiode_scale)
        self._known: OrderedDict[str, Charge] = OrderedDict()

    def read(self, job: Job) -> Photodiode:
        """Return the charges of the exposures of a sequence; why there is none of one is said.

        Raises
        ------
        UnreachableFileError
            If a file cannot be fetched and the settings say to wait for it.
        """
        exposures = {member.exposure.exposure_id: member.exposure for member in job.members}
        charges = {
            dataset.exposure_id: self._charge(dataset, exposures[dataset.exposure_id])
            for dataset in job.photodiodes
            if dataset.exposure_id in exposures
        }
        return Photodiode(
            charges,
            {second: (first, second) for first, second in job.pairs},
            {number: exposure.obs_id for number, exposure in exposures.items()},
        )

    def _charge(self, dataset: PhotodiodeDataset, exposure: ExposureRecord) -> Charge:
        known = self._known.get(dataset.uuid)
        if known is not None:
            self._known.move_to_end(dataset.uuid)
            return known
        if not dataset.uri:
            return Charge(fault="the datastore has no file of its photodiode")
        try:
            with local_copy(dataset.uri) as path:
                readings = read_photodiode(path, exposure.day_obs, exposure.seq_num)
            charge = charge_of(readings, exposure.exposure_time, self._how)
        except UnreachableFileError as error:
            if self._wait_for_files:
                raise UnreachableFileError(f"photodiode: {error}") from error
            # It may be there for the next detector.
            note_failure(error)
            return Charge(fault=f"its photodiode is out of reach: {error}")
        except CalibrationError as error:
            note_failure(error)
            charge = Charge(fault=f"its photodiode is damaged: {error}")
        self._known[dataset.uuid] = charge
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return charge
