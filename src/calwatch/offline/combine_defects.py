"""Finding defects in a combined dark and a combined flat."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import ImageCalibration
from calwatch.camera.model import Box, Detector

HOT_SIGMA = 7.0
"""A dark pixel is hot beyond this many robust standard deviations of its amplifier."""
FLAT_DEVIATION = 0.1
"""A flat pixel is bad beyond this fraction of its surroundings (and beyond 7 σ)."""
COLUMN_SIGMA = 6.0
COLUMN_DEVIATION = 0.02
"""A flat column is bad beyond this fraction of its surroundings (and beyond 6 σ)."""
COLUMN_WINDOW = 11
"""Columns whose median a flat column is compared with."""
BLOCK = 20
"""Pixels on a side of the surroundings a flat pixel is compared with."""

_IQR_TO_SIGMA = 0.741301109252802


def find_defects(
    detector: Detector, dark: ImageCalibration | None, flat: ImageCalibration | None
) -> tuple[Box, ...]:
    """Return boxes of bad pixels, from whichever of the two images there is.

    Pixels that a combination could not measure (BAD, NO_DATA or not finite) are defects too.
    """
    bad = np.zeros(detector.shape, bool)
    for amp in detector.amplifiers:
        part = bad[amp.bbox.slices]
        for image, judge in ((dark, hot_pixels), (flat, odd_flat_pixels)):
            if image is not None:
                unusable = image.mask[amp.bbox.slices] & int(Mask.BAD | Mask.NO_DATA) != 0
                pixels = np.where(unusable, np.nan, image.image[amp.bbox.slices])
                part |= judge(pixels.astype(np.float32))
    return boxes_of(bad)


def hot_pixels(dark: FloatArray) -> BoolArray:
    """Return the hot pixels and hot columns of one amplifier of a combined dark.

    Parameters
    ----------
    dark
        Shape (rows, columns), any unit; NaN where it was not measured (then a defect).
    """
    bad = ~np.isfinite(dark)
    if bad.all():
        return bad
    centre, sigma = _robust(dark[~bad])
    bad |= dark > centre + HOT_SIGMA * sigma
    columns = _column_medians(dark)
    centre, sigma = _robust(columns[np.isfinite(columns)])
    bad[:, columns > centre + COLUMN_SIGMA * sigma] |= sigma > 0
    return bad


def odd_flat_pixels(flat: FloatArray) -> BoolArray:
    """Return the pixels and columns of one amplifier of a flat that are far off their surroundings.

    Parameters
    ----------
    flat
        Shape (rows, columns); NaN where it was not measured (then a defect).
    """
    bad = ~np.isfinite(flat)
    if bad.all():
        return bad
    local = _block_medians(flat)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = flat / local - 1.0
    bad |= ~np.isfinite(deviation)
    if bad.all():
        return bad
    centre, sigma = _robust(deviation[~bad])
    bad |= np.abs(deviation - centre) > max(FLAT_DEVIATION, HOT_SIGMA * sigma)
    columns = _column_medians(np.where(bad, np.nan, flat))
    filled = np.where(np.isfinite(columns), columns, np.nanmedian(columns))
    excess = filled / ndimage.median_filter(filled, size=COLUMN_WINDOW) - 1.0
    _, sigma = _robust(excess)
    bad[:, np.abs(excess) > max(COLUMN_DEVIATION, COLUMN_SIGMA * sigma)] = True
    return bad


def boxes_of(bad: BoolArray) -> tuple[Box, ...]:
    """Cover the bad pixels with boxes that do not overlap: runs along columns, joined if equal."""
    boxes: list[Box] = []
    open_runs: dict[tuple[int, int], int] = {}
    for x in range(bad.shape[1] + 1):
        runs = _runs(bad[:, x]) if x < bad.shape[1] and bad[:, x].any() else set()
        for run in [run for run in open_runs if run not in runs]:
            first = open_runs.pop(run)
            boxes.append(Box(first, run[0], x - first, run[1] - run[0]))
        for run in runs:
            open_runs.setdefault(run, x)
    return tuple(sorted(boxes, key=lambda box: (box.x0, box.y0)))


def _runs(flags: BoolArray) -> set[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return {(int(first), int(last)) for first, last in edges.reshape(-1, 2)}


def _robust(values: FloatArray | DoubleArray) -> tuple[float, float]:
    if values.size == 0:
        return np.nan, np.nan
    low, centre, high = np.percentile(values, [25, 50, 75])
    return float(centre), float(_IQR_TO_SIGMA * (high - low))


def _column_medians(image: FloatArray | DoubleArray) -> DoubleArray:
    """Return the median of each column; NaN where a column has no finite pixel."""
    some = np.isfinite(image).any(axis=0)
    medians = np.full(image.shape[1], np.nan)
    medians[some] = np.nanmedian(image[:, some], axis=0)
    return medians


def _block_medians(image: FloatArray) -> FloatArray:
    """Return, for each pixel, the median of the block it lies in; NaN where that has none."""
    rows, columns = image.shape
    result = np.full(image.shape, np.nan, np.float32)
    for y in np.array_split(np.arange(rows), max(1, rows // BLOCK)):
        band = image[y[0] : y[-1] + 1]
        for x in np.array_split(np.arange(columns), max(1, columns // BLOCK)):
            block = band[:, x[0] : x[-1] + 1]
            good = block[np.isfinite(block)]
            if good.size:
                result[y[0] : y[-1] + 1, x[0] : x[-1] + 1] = np.median(good)
    return result
