"""Linearity: undo the curvature of each amplifier's response (ip_isr ``linearize.py``)."""

from __future__ import annotations

from dataclasses import dataclass

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
            case LinearizerType.SPLINE | LinearizerType.DOUBLE_SPLINE:
                for spline in splines_of(calibration, k, scale):
                    image = _subtract(image, spline)
                return image
            case LinearizerType.SQUARED:
                return _polynomial(image, c[:1], scale)
            case LinearizerType.POLYNOMIAL:
                return _polynomial(image, c, scale)
            case LinearizerType.LOOKUP_TABLE:
                return _lookup(image, calibration.table, c, scale)
            case LinearizerType.PROPORTIONAL | LinearizerType.NONE:
                return image
    except (ValueError, IndexError) as error:
        raise wrong_form(calibration, k, error) from error


@dataclass(frozen=True, slots=True, eq=False)
class Spline:
    """One spline to subtract, in units of the image."""

    nodes: DoubleArray
    values: DoubleArray
    margin: float
    """How far below the last node brighter pixels are evaluated."""

    @property
    def known(self) -> bool:
        """Whether all its numbers are finite."""
        return bool(np.isfinite(self.nodes).all() and np.isfinite(self.values).all())


def splines_of(calibration: Linearizer, k: int, scale: float) -> tuple[Spline, ...]:
    """Return the splines to subtract from amplifier number `k`, in order; see `linearize`.

    There are none if the linearizer is of another form.

    Raises
    ------
    ValueError, IndexError
        If the coefficients are not those of its form.
    """
    coefficients = calibration.coefficients[k]
    match calibration.types[k]:
        case LinearizerType.SPLINE:
            return (_spline(coefficients, scale),)
        case LinearizerType.DOUBLE_SPLINE:
            return _double_spline(coefficients, scale)
    return ()


def wrong_form(calibration: Linearizer, k: int, error: Exception) -> CalibrationError:
    """Return the error that says that the coefficients of amplifier number `k` do not fit."""
    return CalibrationError(
        f"linearizer: amplifier {calibration.amp_names[k]}: the coefficients are not those of "
        f"a {calibration.types[k]}: {error}"
    )


def _spline(coefficients: DoubleArray, scale: float) -> Spline:
    """Nodes and values, one after the other, anchored at zero if they are not."""
    nodes, values = np.split(coefficients * scale, 2)
    if values[0] != 0:
        values = values - values[0]
    if nodes[0] != 0:
        nodes, values = np.concatenate([[0.0], nodes]), np.concatenate([[0.0], values])
    return Spline(nodes, values, _SPLINE_MARGIN)


def _double_spline(coefficients: DoubleArray, scale: float) -> tuple[Spline, Spline]:
    """Two lengths, then nodes and values of the first spline and of the second."""
    n1, n2 = int(coefficients[0]), int(coefficients[1])
    if coefficients.size != 2 + 2 * (n1 + n2):
        raise ValueError(f"{n1} and {n2} nodes do not fit {coefficients.size} numbers")
    nodes1, values1 = np.split(coefficients[2 : 2 + 2 * n1] * scale, 2)
    nodes2, values2 = np.split(coefficients[2 + 2 * n1 :] * scale, 2)
    margin = _DOUBLE_SPLINE_MARGIN
    return Spline(nodes1, values1, margin), Spline(nodes2, values2, margin)


def _subtract(image: FloatArray, spline: Spline) -> FloatArray:
    """Subtract one spline; if a node is not finite nothing is known, and every pixel is NaN."""
    if not spline.known:
        return np.full_like(image, np.nan)
    return subtract_spline(image, spline.nodes, spline.values, spline.margin)


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
