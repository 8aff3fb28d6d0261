"""Reading a certified defect list: boxes, or the FITS region form."""

from __future__ import annotations

import math
from pathlib import Path

from calwatch.calibrations.identity import check_detector
from calwatch.calibrations.model import Defects
from calwatch.calibrations.tables import CalibrationTable, read_tables
from calwatch.camera.model import Box, Detector
from calwatch.errors import CalibrationError


def read_defects(path: Path, detector: Detector) -> Defects:
    """Read boxes of bad pixels in the assembled, trimmed frame, 0-based.

    Both forms the stack writes are read: columns ``x0, y0, width, height`` and the FITS region
    form ``X, Y, R, SHAPE`` (centres, 1-based; POINT, BOX and ROTBOX by quarter turns; ip_isr
    ``defects.py``). A box partly outside the detector is clipped to it. An empty list is fine.

    Raises
    ------
    CalibrationError
        If the file cannot be read, names another detector, lacks a column, or holds a box without
        area or wholly outside the detector.
    """
    table = read_tables(path)[0]
    check_detector(table.metadata, detector, path)
    boxes = _boxes(table) if "X0" in table.columns else _regions(table)
    return Defects(tuple(_inside(box, detector, path) for box in boxes), table.metadata)


def _boxes(table: CalibrationTable) -> list[Box]:
    columns = [table.scalars(name) for name in ("X0", "Y0", "WIDTH", "HEIGHT")]
    boxes = []
    for row in zip(*columns, strict=True):
        if not all(map(math.isfinite, row)):
            raise CalibrationError(f"{table.path}: a defect box holds NaN")
        boxes.append(Box(*(int(value) for value in row)))
    return boxes


def _regions(table: CalibrationTable) -> list[Box]:
    shapes = [shape.upper() for shape in table.texts("SHAPE")]
    xs, ys, sizes = table.doubles("X"), table.doubles("Y"), table.doubles("R")
    turns = table.doubles("ROTANG") if "ROTANG" in table.columns else xs * 0.0
    boxes = []
    for row, shape in enumerate(shapes):
        if shape.startswith("!"):  # excluded from the region: not a defect.
            continue
        x, y = float(xs[row].flat[0]), float(ys[row].flat[0])
        if shape == "POINT":
            boxes.append(Box(round(x) - 1, round(y) - 1, 1, 1))
            continue
        turn = round(float(turns[row].flat[0])) % 180
        if shape not in ("BOX", "ROTBOX") or turn not in (0, 90) or sizes[row].size < 2:
            raise CalibrationError(f"{table.path}: cannot read a defect of shape {shape!r}")
        width, height = (round(float(size)) for size in sizes[row].flat[:2])
        if shape == "ROTBOX" and turn == 90:
            width, height = height, width
        boxes.append(Box(_corner(x, width), _corner(y, height), width, height))
    return boxes


def _corner(centre: float, size: int) -> int:
    """Return the first 0-based pixel of ``size`` pixels around a 1-based centre."""
    return math.floor(centre - 1 - (size - 1) / 2 + 0.5)


def _inside(box: Box, detector: Detector, path: Path) -> Box:
    if box.width <= 0 or box.height <= 0:
        raise CalibrationError(f"{path}: a defect box has no area: {box}")
    x0, y0 = max(box.x0, 0), max(box.y0, 0)
    x1, y1 = min(box.x1, detector.width), min(box.y1, detector.height)
    if x1 <= x0 or y1 <= y0:
        raise CalibrationError(
            f"{path}: defect at ({box.x0}, {box.y0}) is outside detector {detector.name} "
            f"({detector.width} x {detector.height})"
        )
    return Box(x0, y0, x1 - x0, y1 - y0)
