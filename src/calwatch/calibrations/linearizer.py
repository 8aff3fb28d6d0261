"""Reading a certified linearizer, in every form the stack has written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.calibrations.identity import camera_order, check_detector, text
from calwatch.calibrations.model import Linearizer, LinearizerType, Units
from calwatch.calibrations.tables import CalibrationTable, read_tables
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError

_FORMS = {form.value.lower(): form for form in LinearizerType}


def read_linearizer(path: Path, detector: Detector) -> Linearizer:
    """Read form and coefficients of every amplifier (ip_isr ``linearize.py``).

    Coefficients are as stored, without the padding that makes rows equally long: for Spline the
    node centres then values; for DoubleSpline ``n1, n2, nodes1, values1, nodes2, values2``; an
    amplifier whose coefficients are not finite keeps them so, and the ISR leaves it NaN.

    Raises
    ------
    CalibrationError
        If the file cannot be read, names another detector, lacks a column or an amplifier, holds
        an unknown form, too few coefficients, or a lookup row that is not in the table.
    """
    tables = read_tables(path)
    first = tables[0]
    check_detector(first.metadata, detector, path)
    rows = camera_order(first.texts("AMPLIFIER_NAME"), detector, path)
    words = first.texts("TYPE")
    stored = first.doubles("COEFFS").reshape(first.n_rows, -1)
    lookup = _lookup_table(tables)
    forms = tuple(_form(words[row], path) for row in rows)
    coefficients = tuple(
        _coefficients(form, stored[row], lookup, f"{path}: amplifier {name}")
        for form, row, name in zip(forms, rows, detector.amp_names, strict=True)
    )
    return Linearizer(
        amp_names=detector.amp_names,
        types=forms,
        coefficients=coefficients,
        table=lookup,
        units=_units(first),
        metadata=first.metadata,
    )


def _form(word: str, path: Path) -> LinearizerType:
    form = _FORMS.get(word.lower().removeprefix("linearize"))
    if form is None:
        raise CalibrationError(f"{path}: unknown linearizer form {word!r}")
    return form


def _lookup_table(tables: list[CalibrationTable]) -> FloatArray | None:
    for table in tables[1:]:
        if "LOOKUP_VALUES" in table.columns:
            return table.doubles("LOOKUP_VALUES").astype(np.float32).reshape(table.n_rows, -1)
    return None


def _coefficients(
    form: LinearizerType, stored: DoubleArray, lookup: FloatArray | None, where: str
) -> DoubleArray:
    if form in (LinearizerType.NONE, LinearizerType.PROPORTIONAL):
        return stored.copy()
    if stored.size == 0:
        raise CalibrationError(f"{where}: a {form} linearizer without coefficients")
    if form is LinearizerType.DOUBLE_SPLINE:
        return _double_spline(stored, where)
    if form is LinearizerType.SPLINE and (stored.size % 2 or stored.size < 4):
        raise CalibrationError(f"{where}: Spline needs as many values as nodes, two at least")
    if form is LinearizerType.LOOKUP_TABLE and np.isfinite(stored[0]):
        n_rows = 0 if lookup is None else len(lookup)
        if not 0 <= int(stored[0]) < n_rows:
            raise CalibrationError(f"{where}: lookup row {stored[0]:g} of a table of {n_rows} rows")
    return stored.copy()


def _double_spline(stored: DoubleArray, where: str) -> DoubleArray:
    if not np.all(np.isfinite(stored[:2])):
        return stored.copy()
    n_first, n_second = (int(count) for count in stored[:2])
    wanted = 2 + 2 * n_first + 2 * n_second
    if stored.size < wanted or min(n_first, n_second) < 2:
        raise CalibrationError(
            f"{where}: DoubleSpline of {n_first} and {n_second} nodes with {stored.size} numbers"
        )
    return stored[:wanted].copy()


def _units(table: CalibrationTable) -> Units:
    said = text(table.metadata.get("LINEARITY_UNITS")).lower()
    if said in ("", "adu"):
        return Units.ADU
    if said == "electron":
        return Units.ELECTRON
    raise CalibrationError(f"{table.path}: LINEARITY_UNITS is {said!r}")
