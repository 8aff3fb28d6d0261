"""Combining frames to a bias, dark or flat, with the header its users expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.camera.model import Camera, Detector
from calwatch.errors import StopError
from calwatch.offline.combine_frames import (
    Frame,
    FrameSetup,
    FrameTask,
    make_store,
    read_bands,
    run_tasks,
    store_frame,
)
from calwatch.offline.combine_inputs import DetectorInputs
from calwatch.offline.combine_stack import clipped_mean

LEVELS = (0.0, 5.0, 16.0, 50.0, 84.0, 95.0, 100.0)
"""Percentiles of each amplifier that are written to the header (cp_pipe ``cpCombine.py``)."""
BAND_BYTES = 100_000_000
"""Of the stack held in memory at a time."""

Tick = Callable[[], None]


def combine_frames(
    setup: FrameSetup, inputs: DetectorInputs, scratch: Path, pool: Executor | None, tick: Tick
) -> tuple[ImageCalibration, DoubleArray]:
    """Return the combined image of one detector and the level of each of its frames.

    Parameters
    ----------
    setup
        Camera, detector, type and what to correct the frames with.
    inputs
        Raws, oldest first.
    scratch
        Directory for the stack of frames: 5 bytes a pixel and frame.
    pool
        Worker processes that correct the frames; this process if None.
    tick
        Called after each frame.

    Raises
    ------
    StopError
        If frames differ in units, or a flat has no light.
    RawError, CalibrationError
        If a file cannot be used.
    """
    pixels, masks = make_store(scratch, len(inputs.raws), setup.detector)
    tasks = [FrameTask(setup, uri, index, pixels, masks) for index, uri in enumerate(inputs.raws)]
    frames = []
    for frame in run_tasks(store_frame, tasks, pool):
        frames.append(frame)
        tick()
    levels = np.array([frame.level for frame in frames])
    scale = np.ones(len(frames))
    if setup.calib_type == "flat":
        if not np.all(levels > 0):
            dark = [uri for uri, level in zip(inputs.raws, levels, strict=True) if not level > 0]
            raise StopError(f"no light in flat {', '.join(dark)}")
        scale = levels
    image = _combined(setup, pixels, masks, scale, frames)
    metadata = image_metadata(setup.camera, setup.detector, image, inputs, frames, scale)
    return with_metadata(image, metadata), levels


def _combined(
    setup: FrameSetup, pixels: str, masks: str, scale: DoubleArray, frames: Sequence[Frame]
) -> ImageCalibration:
    shape = setup.detector.shape
    image, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    mask = np.zeros(shape, np.uint16)
    rows = max(1, BAND_BYTES // (4 * shape[1] * len(scale)))
    for band, values in read_bands(pixels, masks, shape, scale, rows):
        image[band], variance[band], kept = clipped_mean(values)
        mask[band][kept == 0] = int(Mask.BAD)
    neutral = 1.0 if setup.calib_type == "flat" else 0.0
    image[mask != 0] = neutral
    _fill_variance(variance)
    return ImageCalibration(
        calib_type=setup.calib_type,
        image=image,
        mask=mask,
        variance=variance,
        units=_units(setup.calib_type, {frame.units for frame in frames}),
        dark_time=0.0 if setup.calib_type == "bias" else 1.0,
        physical_filter=frames[0].facts.physical_filter if setup.calib_type == "flat" else "",
        metadata={},
    )


def _fill_variance(variance: FloatArray) -> None:
    """Give pixels seen fewer than twice the median variance of the others."""
    unknown = ~np.isfinite(variance)
    if unknown.any():
        variance[unknown] = 0.0 if unknown.all() else np.median(variance[~unknown])


def _units(calib_type: str, found: set[str]) -> Units:
    if len(found) != 1:
        raise StopError(f"the frames are in different units: {', '.join(sorted(found))}")
    if found == {"adu"}:
        return Units.ADU
    return {"dark": Units.ELECTRON_PER_SECOND, "flat": Units.NONE}.get(calib_type, Units.ELECTRON)


def with_metadata(image: ImageCalibration, metadata: Mapping[str, Any]) -> ImageCalibration:
    """Return the same image with other metadata."""
    return ImageCalibration(
        calib_type=image.calib_type,
        image=image.image,
        mask=image.mask,
        variance=image.variance,
        units=image.units,
        dark_time=image.dark_time,
        physical_filter=image.physical_filter,
        metadata=metadata,
    )


def scaled(image: ImageCalibration, factor: float, detector: Detector) -> ImageCalibration:
    """Return a flat multiplied by a factor, pixels without data left at 1."""
    bad = image.mask != 0
    pixels = np.where(bad, image.image, image.image * np.float32(factor))
    result = ImageCalibration(
        calib_type=image.calib_type,
        image=pixels,
        mask=image.mask,
        variance=image.variance * np.float32(factor**2),
        units=image.units,
        dark_time=image.dark_time,
        physical_filter=image.physical_filter,
        metadata=image.metadata,
    )
    return with_metadata(result, {**image.metadata, **distribution(detector, result)})


def image_metadata(
    camera: Camera,
    detector: Detector,
    image: ImageCalibration,
    inputs: DetectorInputs,
    frames: Sequence[Frame],
    scale: DoubleArray,
) -> dict[str, Any]:
    """Return the header of a combined image (cp_pipe ``cpCombine.py``)."""
    metadata: dict[str, Any] = {
        "OBSTYPE": image.calib_type,
        "INSTRUME": camera.instrument,
        "DETECTOR": detector.number,
        "DETNAME": detector.name,
        "DETSER": detector.serial or frames[0].facts.serial,
        **creation_metadata(),
        **common_sequencer(camera, [frame.header for frame in frames]),
    }
    if image.calib_type == "flat":
        metadata["FILTER"] = image.physical_filter
        source = frames[0].header.get("FLATSRC")
        if source:
            metadata["FLATSRC"] = source
    for index, (exposure, frame) in enumerate(zip(inputs.exposures, frames, strict=True)):
        metadata[f"CPP_INPUT_{index}"] = exposure.exposure_id
        metadata[f"CPP_INPUT_DATE_{index}"] = str(frame.header.get("DATE-BEG") or "")
        metadata[f"CPP_INPUT_EXPT_{index}"] = exposure.exposure_time
        metadata[f"CPP_INPUT_SCALE_{index}"] = float(scale[index])
    return metadata | distribution(detector, image)


def creation_metadata() -> dict[str, str]:
    """Return when this is being made, in UTC."""
    now = datetime.now(UTC)
    return {
        "CALIB_CREATION_DATETIME": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "CALIB_CREATION_DATE": now.strftime("%Y-%m-%d"),
        "CALIB_CREATION_TIME": now.strftime("%H:%M:%S UTC"),
    }


def common_sequencer(camera: Camera, headers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sequencer keywords that have one and the same value in all headers."""
    common = {}
    for key in camera.sequencer_keywords:
        values = {header.get(key) for header in headers}
        if len(values) == 1 and None not in values:
            common[key] = values.pop()
    return common


def distribution(detector: Detector, image: ImageCalibration) -> dict[str, Any]:
    """Return percentiles and the number of bad pixels of every amplifier, as header keywords."""
    found: dict[str, Any] = {}
    for amp in detector.amplifiers:
        good = image.image[amp.bbox.slices][image.mask[amp.bbox.slices] == 0]
        start = f"LSST CALIB {image.calib_type.upper()} {amp.name}"
        found[f"{start} BADPIX-NUM"] = amp.bbox.area - good.size
        if good.size:
            for level, value in zip(LEVELS, np.percentile(good, LEVELS), strict=True):
                found[f"{start} DISTRIBUTION {level}-PCT"] = float(value)
    return found
