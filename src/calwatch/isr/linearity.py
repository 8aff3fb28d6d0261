"""Linearity: undo the curvature of each amplifier's response (ip_isr ``linearize.py``)."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.calibrations.model import Linearizer, LinearizerType
from calwatch.camera.model import Amplifier
from calwatch.errors import CalibrationError
from calwatch.isr.akima import subtract_spline
from calwatch.isr.buffers import copy_into

_SPLINE_MARGIN = 0.1
_DOUBLE_SPLINE_MARGIN = 0.01
"""Units of the image below the last node, at which brighter pixels are evaluated."""


def linearize(
    stack: FloatArray,
    amplifiers: tuple[Amplifier, ...],
    calibration: Linearizer,
    scale: DoubleArray,
    out: FloatArray | None = None,
) -> FloatArray:
    """Linearize the data pixels of every amplifier.

    Overscans have served their purpose by then and are left as they are.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order, overscan subtracted.
    amplifiers
        In the order of the stack and of the calibration.
    calibration
        One form and one coefficient vector per amplifier.
    scale
        Shape (n_amp,): units of the image per unit of the calibration, which is the gain where
        ADU coefficients meet electrons, else 1. NaN leaves the amplifier as it is.
    out
        Where to write the result; it may be `stack`. None makes a new array.

    Returns
    -------
    FloatArray
        The corrected stack.

    Raises
    ------
    CalibrationError
        If the coefficients of an amplifier are not of its form.
    """
    corrected = copy_into(stack, out)
    for k, amp in enumerate(amplifiers):
        if np.isfinite(scale[k]):
            data = corrected[k][amp.data.slices]
            data[...] = linearize_amplifier(data, calibration, k, float(scale[k]))
    return corrected


def linearize_amplifier(
    image: FloatArray, calibration: Linearizer, k: int, scale: float
) -> FloatArray:
    """Linearize the pixels of amplifier number `k`; see `linearize`."""
    kind, c = calibration.types[k], calibration.coefficients[k]
    try:
        match kind:
            case LinearizerType.SPLINE:
                return _spline(image, c, scale)
            case LinearizerType.DOUBLE_SPLINE:
                return _double_spline(image, c, scale)
            case LinearizerType.SQUARED:
                return _polynomial(image, c[:1], scale)
            case LinearizerType.POLYNOMIAL:
                return _polynomial(image, c, scale)
            case LinearizerType.LOOKUP_TABLE:
                return _lookup(image, calibration.table, c, scale)
            case LinearizerType.PROPORTIONAL | LinearizerType.NONE:
                return image
    except (ValueError, IndexError) as error:
        name = calibration.amp_names[k]
        raise CalibrationError(
            f"linearizer: amplifier {name}: the coefficients are not those of a {kind}: {error}"
        ) from error


def _spline(image: FloatArray, coefficients: DoubleArray, scale: float) -> FloatArray:
    """Nodes and values, one after the other, anchored at zero if they are not."""
    nodes, values = np.split(coefficients * scale, 2)
    if values[0] != 0:
        values = values - values[0]
    if nodes[0] != 0:
        nodes, values = np.concatenate([[0.0], nodes]), np.concatenate([[0.0], values])
    return _subtract(image, nodes, values, _SPLINE_MARGIN)


def _double_spline(image: FloatArray, coefficients: DoubleArray, scale: float) -> FloatArray:
    """Two lengths, then nodes and values of the first spline and of the second."""
    n1, n2 = int(coefficients[0]), int(coefficients[1])
    if coefficients.size != 2 + 2 * (n1 + n2):
        raise ValueError(f"{n1} and {n2} nodes do not fit {coefficients.size} numbers")
    nodes1, values1 = np.split(coefficients[2 : 2 + 2 * n1] * scale, 2)
    nodes2, values2 = np.split(coefficients[2 + 2 * n1 :] * scale, 2)
    once = _subtract(image, nodes1, values1, _DOUBLE_SPLINE_MARGIN)
    return _subtract(once, nodes2, values2, _DOUBLE_SPLINE_MARGIN)


def _subtract(
    image: FloatArray, nodes: DoubleArray, values: DoubleArray, margin: float
) -> FloatArray:
    """Subtract one spline; if a node is not finite nothing is known, and every pixel is NaN."""
    if not (np.isfinite(nodes).all() and np.isfinite(values).all()):
        return np.full_like(image, np.nan)
    return subtract_spline(image, nodes, values, margin)


def _polynomial(image: FloatArray, coefficients: DoubleArray, scale: float) -> FloatArray:
    """``img + Σ c_i·img^(i+2)``: a coefficient per ADU^(i+1) acts on electrons by 1/g^(i+1)."""
    x: DoubleArray = image.astype(np.float64)
    correction = np.zeros_like(x)
    for i in range(coefficients.size - 1, -1, -1):
        correction = (correction + coefficients[i] / scale ** (i + 1)) * x
    corrected: FloatArray = (x + correction * x).astype(np.float32)
    return corrected


def _lookup(
    image: FloatArray, table: FloatArray | None, coefficients: DoubleArray, scale: float
) -> FloatArray:
    """Add the table's entry for each pixel: the coefficients are the row and the first index."""
    if table is None:
        raise ValueError("there is no table")
    row: FloatArray = table[int(coefficients[0])]
    with np.errstate(invalid="ignore"):
        index = np.trunc(image / scale + coefficients[1])
    finite = np.isfinite(index)
    entry = np.clip(np.where(finite, index, 0), 0, row.size - 1).astype(np.intp)
    corrected: FloatArray = (image + row[entry] * scale).astype(np.float32)
    return corrected
