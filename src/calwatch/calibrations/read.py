"""One door to all certified calibrations: from type, file and detector to plain data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from calwatch.calibrations.crosstalk import read_crosstalk
from calwatch.calibrations.cti import read_cti
from calwatch.calibrations.defects import read_defects
from calwatch.calibrations.images import IMAGE_TYPES, read_image_calibration
from calwatch.calibrations.linearizer import read_linearizer
from calwatch.calibrations.model import (
    ChargeTransfer,
    Crosstalk,
    Defects,
    ImageCalibration,
    Linearizer,
    PhotonTransferCurve,
)
from calwatch.calibrations.ptc import read_ptc
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError
from calwatch.memory import give_back

Calibration: TypeAlias = (
    ImageCalibration | Defects | PhotonTransferCurve | Linearizer | Crosstalk | ChargeTransfer
)
"""Any certified calibration."""

_TABLE_READERS: dict[str, Callable[[Path, Detector], Calibration]] = {
    "defects": read_defects,
    "ptc": read_ptc,
    "linearizer": read_linearizer,
    "crosstalk": read_crosstalk,
    "cti": read_cti,
}

CALIBRATION_TYPES = (*IMAGE_TYPES, *_TABLE_READERS)
"""Every type that can be read, by its Butler dataset type name."""


def read_calibration(calib_type: str, path: str | Path, detector: Detector) -> Calibration:
    """Read one certified calibration and check that it fits the detector.

    Only structure is judged: a gain of zero or a NaN noise is handed on as it stands, and the ISR
    and the verification decide about each amplifier.

    Parameters
    ----------
    calib_type
        Butler dataset type: ``bias``, ``dark``, ``flat``, ``defects``, ``ptc``, ``linearizer``,
        ``crosstalk`` or ``cti``.
    path
        A local file.
    detector
        The detector it is to be used for.

    Raises
    ------
    CalibrationError
        If the file is missing, truncated, damaged, of another size, type or detector, or lacks
        columns. The message names the file and the cause.
    """
    where = Path(path)
    if calib_type in IMAGE_TYPES:
        image = read_image_calibration(calib_type, where, detector)
        give_back()  # hundreds of MB that decompression took
        return image
    reader = _TABLE_READERS.get(calib_type)
    if reader is None:
        raise CalibrationError(f"{where}: no reader for calibration type {calib_type!r}")
    return reader(where, detector)
