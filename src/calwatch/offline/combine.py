"""Making calibrations from the raws of a repository, by the documented way.

Only a person runs this: the daemon has no path to it. The way is that of cp_pipe: 3 σ clipped
means for bias, dark and flat, thresholds on a combined dark and flat for defects, pairs of flats
for the photon-transfer curve and a ramp of flats for the linearizer (DMTN-222 §3).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.calibrations.model import ImageCalibration
from calwatch.calibrations.read import read_calibration
from calwatch.camera.model import Camera, Detector
from calwatch.errors import StopError
from calwatch.offline.combine_frames import FrameSetup, forget_calibrations, worker_pool
from calwatch.offline.combine_images import combine_frames, creation_metadata, scaled
from calwatch.offline.combine_inputs import CORRECTED_WITH, DetectorInputs, find_inputs
from calwatch.offline.combine_tables import measure_defects, measure_linearizer, measure_ptc
from calwatch.offline.datasets import CalibrationFile, put_calibrations
from calwatch.offline.formats import (
    detector_metadata,
    write_defects,
    write_image_calibration,
    write_linearizer,
    write_ptc,
)

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being worked on."""

COMBINED_TYPES = tuple(CORRECTED_WITH)
"""Types that can be made here."""

_IMAGES = ("bias", "dark", "flat")
_MIN_FRAMES = 2


@dataclass(slots=True)
class _Work:
    """One call of `combine`: what is wanted, and how far it is."""

    camera: Camera
    calib_type: str
    pool: Executor | None
    compress: bool
    on_progress: Progress | None
    total: int
    done: int = 0

    def tick(self, what: str) -> Callable[[], None]:
        """Return a function that counts one step."""

        def count() -> None:
            self.done += 1
            if self.on_progress is not None:
                self.on_progress(min(self.done, self.total), self.total, what)

        return count


def combine(
    root: str | Path,
    camera: Camera,
    calib_type: str,
    *,
    exposure_ids: Iterable[int],
    detectors: Iterable[int] | None,
    output_run: str,
    inputs: Sequence[str] = (),
    calib_collection: str | None = None,
    physical_filter: str = "",
    processes: int = 1,
    pool: Executor | None = None,
    compress: bool = True,
    scratch: str | Path | None = None,
    on_progress: Progress | None = None,
) -> dict[int, str]:
    """Make one calibration for each detector and put it into a RUN collection.

    Parameters
    ----------
    root
        The repository; it is written to.
    camera
        The camera the raws are of.
    calib_type
        ``bias``, ``dark``, ``flat``, ``defects``, ``ptc`` or ``linearizer``.
    exposure_ids
        The exposures to combine; none for defects, which are found in a combined dark and flat.
    detectors
        Which detectors; every one of the instrument if None.
    output_run
        RUN collection for the result.
    inputs
        RUN collections whose calibrations are used without being certified, first match first.
    calib_collection
        Certified collection for what ``inputs`` do not hold; none is searched if None.
    physical_filter
        Of a flat; taken from the exposures if empty.
    processes
        Frames corrected at the same time.
    pool
        Worker processes to use instead of starting such.
    compress
        Write images with lossless compression.
    scratch
        Directory for the frames on their way (5 bytes a pixel and frame); the system's own if None.
    on_progress
        Called after each step.

    Returns
    -------
    dict
        UUID of the new dataset by detector number.

    Raises
    ------
    StopError
        If the exposures or calibrations asked for are not there or do not fit together.
    RawError, CalibrationError
        If a file cannot be used.
    RepositoryError
        If the repository cannot be read or written.
    """
    if calib_type not in COMBINED_TYPES:
        known = ", ".join(COMBINED_TYPES)
        raise StopError(f"cannot combine {calib_type!r}: known are {known}")
    exposure_ids = sorted(set(exposure_ids))
    found = find_inputs(
        root,
        camera.instrument,
        calib_type,
        exposure_ids=exposure_ids,
        detectors=None if detectors is None else sorted(set(detectors)),
        inputs=inputs,
        calib_collection=calib_collection,
        physical_filter=physical_filter,
    )
    if not found:
        raise StopError("no detectors to combine")
    filter_name = _check_exposures(calib_type, next(iter(found.values())), physical_filter)
    steps = max(1, len(exposure_ids)) * len(found)
    workers = nullcontext(pool) if pool else worker_pool(processes if exposure_ids else 1)
    with (
        tempfile.TemporaryDirectory(prefix="calwatch-combine-", dir=scratch) as directory,
        workers as used,
    ):
        work = _Work(camera, calib_type, used, compress, on_progress, steps)
        files = _make_all(work, found, Path(directory))
        uuids = put_calibrations(
            root,
            output_run,
            [
                CalibrationFile(
                    calib_type,
                    number,
                    path,
                    physical_filter=filter_name if calib_type == "flat" else "",
                    band=camera.filters.get(filter_name, "") or "unknown",
                )
                for number, path in files.items()
            ],
            instrument=camera.instrument,
        )
        return dict(zip(files, uuids, strict=True))


def _check_exposures(calib_type: str, inputs: DetectorInputs, physical_filter: str) -> str:
    """Refuse exposures that do not belong together; return the filter of a flat."""
    exposures = inputs.exposures
    if calib_type == "defects":
        return physical_filter
    if len(exposures) < _MIN_FRAMES:
        raise StopError(f"a {calib_type} needs {_MIN_FRAMES} exposures at least")
    allowed = {calib_type} if calib_type in _IMAGES else {"flat", "bias"}
    other = [e for e in exposures if e.observation_type not in allowed]
    if other:
        raise StopError(
            f"exposure {other[0].exposure_id} is a {other[0].observation_type}, which is no input "
            f"of a {calib_type}"
        )
    filters = {e.physical_filter for e in exposures}
    if calib_type != "flat":
        return ""
    if filters != {physical_filter or next(iter(filters))}:
        raise StopError(
            f"flats of more than the one filter {physical_filter!r}: {', '.join(sorted(filters))}"
        )
    return filters.pop()


def _make_all(work: _Work, found: dict[int, DetectorInputs], directory: Path) -> dict[int, Path]:
    files: dict[int, Path] = {}
    levels: dict[int, DoubleArray] = {}
    for number, inputs in found.items():
        detector = work.camera.detector(number)
        files[number] = directory / (
            f"{work.calib_type}_{work.camera.instrument}_{detector.name}.fits"
        )
        if work.calib_type in _IMAGES:
            levels[number] = _make_image(work, detector, inputs, directory, files[number])
        else:
            _make_table(work, detector, inputs, files[number])
    forget_calibrations()
    if work.calib_type == "flat" and len(files) > 1:
        _share_normalisation(work, files, levels)
    return files


def _make_image(
    work: _Work, detector: Detector, inputs: DetectorInputs, directory: Path, path: Path
) -> DoubleArray:
    setup = FrameSetup(work.camera, detector, work.calib_type, inputs.calibrations, True)
    tick = work.tick(f"{work.calib_type} {detector.name}")
    with tempfile.TemporaryDirectory(dir=directory) as stack:
        image, levels = combine_frames(setup, inputs, Path(stack), work.pool, tick)
    write_image_calibration(path, image, compress=work.compress)
    return levels


def _share_normalisation(
    work: _Work, files: dict[int, Path], levels: dict[int, DoubleArray]
) -> None:
    """Scale flats so that each exposure is normalised by the mean over all its detectors.

    The detectors then keep their relative response (cp_pipe ``cpFlatNormTask.py``).
    """
    exposure_means = np.mean(list(levels.values()), axis=0)
    for number, path in files.items():
        detector = work.camera.detector(number)
        flat = cast(ImageCalibration, read_calibration("flat", path, detector))
        factor = float(np.mean(levels[number] / exposure_means))
        write_image_calibration(path, scaled(flat, factor, detector), compress=work.compress)


def _make_table(work: _Work, detector: Detector, inputs: DetectorInputs, path: Path) -> None:
    setup = FrameSetup(work.camera, detector, work.calib_type, inputs.calibrations, False)
    tick = work.tick(f"{work.calib_type} {detector.name}")
    metadata = detector_metadata(work.camera.instrument, detector, work.calib_type.upper())
    metadata |= creation_metadata()
    if work.calib_type == "defects":
        defects = measure_defects(detector, inputs)
        write_defects(path, defects, metadata | {"OBSTYPE": "defects"})
        tick()
    elif work.calib_type == "ptc":
        measured = measure_ptc(setup, inputs, work.pool, tick)
        write_ptc(path, measured.ptc, metadata, columns=measured.columns)
    else:
        linearizer = measure_linearizer(setup, inputs, work.pool, tick)
        write_linearizer(path, linearizer, metadata)
