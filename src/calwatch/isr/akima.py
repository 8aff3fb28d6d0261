"""Subtraction of an Akima spline from an image."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.interpolate import Akima1DInterpolator

from calwatch.arrays import DoubleArray, FloatArray


def subtract_spline(
    image: FloatArray, nodes: DoubleArray, values: DoubleArray, margin: float
) -> FloatArray:
    """Return ``image − spline(clip(image, nodes[0], nodes[-1] − margin))``.

    Parameters
    ----------
    image
        Any shape; NaN stays NaN.
    nodes, values
        Of the spline, in units of the image; `nodes` strictly increasing.
    margin
        How far below the last node larger pixels are evaluated.

    Raises
    ------
    ValueError
        If no spline goes through these nodes (scipy says why).
    """
    corrected = np.empty_like(image)
    _subtract(
        np.ascontiguousarray(image).ravel(),
        np.ascontiguousarray(nodes, dtype=np.float64),
        spline_cubics(nodes, values),
        float(nodes[-1]) - margin,
        corrected.ravel(),
    )
    return corrected


def spline_cubics(nodes: DoubleArray, values: DoubleArray) -> DoubleArray:
    """Return the cubic of each interval, shape (intervals, 4), highest power first.

    Raises
    ------
    ValueError
        If no spline goes through these nodes (scipy says why).
    """
    spline = Akima1DInterpolator(nodes, values, method="akima")
    return np.ascontiguousarray(spline.c.T, dtype=np.float64)


def subtract_spline_reference(
    image: FloatArray, nodes: DoubleArray, values: DoubleArray, margin: float
) -> FloatArray:
    """Do what `subtract_spline` does, in plain scipy: the definition the kernel is held to."""
    spline = Akima1DInterpolator(nodes, values, method="akima")
    x = np.clip(image.astype(np.float64), nodes[0], nodes[-1] - margin)
    corrected: FloatArray = (image.astype(np.float64) - spline(x)).astype(np.float32)
    return corrected


@njit(cache=True, nogil=True)
def _subtract(
    image: FloatArray, nodes: DoubleArray, cubics: DoubleArray, top: float, corrected: FloatArray
) -> None:
    """Evaluate as scipy does, from the lowest power up; look near the last interval first."""
    last = nodes.size - 2
    k = 0
    for i in range(image.size):
        value = np.float64(image[i])
        if np.isnan(value):
            corrected[i] = np.nan
            continue
        x = min(max(value, nodes[0]), top)
        if not nodes[k] <= x < nodes[k + 1]:
            k = min(max(np.searchsorted(nodes, x, side="right") - 1, 0), last)
        d = x - nodes[k]
        delta = cubics[k, 3] + cubics[k, 2] * d
        square = d * d
        delta += cubics[k, 1] * square
        delta += cubics[k, 0] * (square * d)
        corrected[i] = np.float32(value - delta)
