"""Reading a certified charge-transfer (deferred charge) calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calwatch.calibrations.identity import camera_order, check_detector
from calwatch.calibrations.model import ChargeTransfer, SerialTrap
from calwatch.calibrations.tables import CalibrationTable, read_tables
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError

_TRAP_KINDS = ("linear", "logistic", "spline")


def read_cti(path: Path, detector: Detector) -> ChargeTransfer:
    """Read output drift, global CTI and serial traps (Snyder+21; ip_isr ``deferredCharge.py``).

    The first table has one row per amplifier; the second, which may be absent, one row per
    serial trap. Coefficients lose the NaN padding that makes rows equally long.

    Raises
    ------
    CalibrationError
        If the file cannot be read, names another detector, lacks a column or an amplifier, or
        holds an unknown kind of trap or two traps for one amplifier.
    """
    tables = read_tables(path)
    first = tables[0]
    check_detector(first.metadata, detector, path)
    rows = camera_order(first.texts("AMPLIFIER"), detector, path)
    traps = _traps(tables[1], detector) if len(tables) > 1 else {}
    return ChargeTransfer(
        amp_names=detector.amp_names,
        drift_scale=first.scalars("DRIFT_SCALE")[rows],
        decay_time=first.scalars("DECAY_TIME")[rows],
        global_cti=first.scalars("GLOBAL_CTI")[rows],
        traps=tuple(traps.get(name) for name in detector.amp_names),
        metadata=first.metadata,
    )


def _traps(table: CalibrationTable, detector: Detector) -> dict[str, SerialTrap]:
    names = table.texts("AMPLIFIER")
    kinds = [word.lower() for word in table.texts("TYPE")]
    sizes = table.scalars("SIZE")
    times = table.scalars("EMISSION_TIME")
    pixels = table.scalars("PIXEL")
    coefficients = table.doubles("COEFFS").reshape(table.n_rows, -1)
    traps: dict[str, SerialTrap] = {}
    for row, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if name not in detector.amp_names or name in traps:
            raise CalibrationError(f"{table.path}: unexpected trap of amplifier {name!r}")
        if kind not in _TRAP_KINDS:
            raise CalibrationError(f"{table.path}: unknown kind of trap {kind!r} ({name})")
        kept = coefficients[row]
        finite = np.flatnonzero(np.isfinite(kept))
        traps[name] = SerialTrap(
            kind=kind,
            size=float(sizes[row]),
            emission_time=float(times[row]),
            pixel=int(np.nan_to_num(pixels[row])),
            coefficients=kept[: finite[-1] + 1].copy() if finite.size else kept[:0].copy(),
        )
    return traps
