"""Certified images shared by all worker processes of a machine: decompressed once, then mapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from calwatch.calibrations.array_store import ArrayStore, Entry
from calwatch.calibrations.identity import check_detector
from calwatch.calibrations.images import check_shape
from calwatch.calibrations.model import ImageCalibration, Units
from calwatch.camera.model import Detector

PLANES = ("image", "mask", "variance")


def shared_image(
    store: ArrayStore, uuid: str, detector: Detector, read: Callable[[], ImageCalibration]
) -> ImageCalibration:
    """Return a certified bias, dark or flat from the store, reading its file if it is not there.

    Parameters
    ----------
    store
        Where decompressed images are kept.
    uuid
        Of the dataset: it names one unchanging file.
    detector
        The detector the calibration is to be used for.
    read
        Reads the file, as `calwatch.calibrations.images.read_image_calibration` does.

    Returns
    -------
    ImageCalibration
        Equal to what ``read`` gives, bit for bit.

    Raises
    ------
    CalibrationError
        If it is of another detector or size, or its file cannot be read.
    """
    entry = store.get(uuid, lambda: to_entry(read()))
    check_detector(entry.metadata["metadata"], detector, Path(uuid))
    for plane in PLANES:
        check_shape(entry.arrays[plane].shape, detector, f"{uuid} ({plane})")
    return from_entry(entry)


def to_entry(calibration: ImageCalibration) -> Entry:
    """Return the planes of an image, and all else that is known of it as plain data."""
    names = [field.name for field in fields(calibration) if field.name not in PLANES]
    return Entry(
        {plane: getattr(calibration, plane) for plane in PLANES},
        {name: getattr(calibration, name) for name in names},
    )


def from_entry(entry: Entry) -> ImageCalibration:
    """Return the image that `to_entry` took apart."""
    facts = {**entry.metadata, "units": Units(entry.metadata["units"])}
    # `to_entry` put in every field.
    return ImageCalibration(**entry.arrays, **facts)  # type: ignore[arg-type]
