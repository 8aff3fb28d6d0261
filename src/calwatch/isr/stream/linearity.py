"""Linearity of one row: subtraction of one or two Akima splines.

Formula: ``image − spline(clip(image, first node, last node − margin))``, see
`calwatch.isr.linearity`. Neighbouring pixels mostly lie between the same two nodes, so that a part
of a row is one cubic (or a few), which is evaluated for all its pixels together.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from calwatch.calibrations.model import Linearizer, LinearizerType, Units
from calwatch.isr.akima import spline_cubics
from calwatch.isr.linearity import Spline, splines_of, wrong_form
from calwatch.isr.steps import AmplifierFacts
from calwatch.isr.stream.plan import CannotStreamError

_CHUNK = 128
"""Columns evaluated together."""
_MANY = 4
"""A part of a row that spans more intervals than this is evaluated pixel by pixel."""
_CACHED_LINEARIZERS = 256
_WITHOUT_SPLINE = (LinearizerType.PROPORTIONAL, LinearizerType.NONE)
_OF_SPLINES = (LinearizerType.SPLINE, LinearizerType.DOUBLE_SPLINE)


class Splines(NamedTuple):
    """The splines of every amplifier, in the order they are subtracted."""

    how_many: IntArray
    """Shape (n_amp,): how many there are; 0 leaves the amplifier as it is."""
    unknown: BoolArray
    """Shape (n_amp,): the calibration holds something that is no number: every pixel is NaN."""
    n_nodes: IntArray
    """Shape (n_amp, 2)."""
    nodes: DoubleArray
    """Shape (n_amp, 2, most nodes), units of the image."""
    cubics: DoubleArray
    """Shape (n_amp, 2, most nodes, 4): highest power first, as scipy has them."""
    top: DoubleArray
    """Shape (n_amp, 2): larger pixels are evaluated here."""


def no_splines(n_amp: int) -> Splines:
    """Return splines that leave every amplifier as it is."""
    return _packed([()] * n_amp)


def linearizer_splines(calibration: Linearizer, amps: AmplifierFacts) -> Splines:
    """Return the splines of a linearizer in units of the image.

    Raises
    ------
    CannotStreamError
        If the linearizer is of another form than one or two splines.
    CalibrationError
        If its coefficients are not of its form.
    """
    in_adu = calibration.units is not Units.ELECTRON
    return _splines(calibration, tuple(amps.scale if in_adu else np.ones(amps.gain.size)))


@lru_cache(maxsize=_CACHED_LINEARIZERS)
def _splines(calibration: Linearizer, scale: tuple[float, ...]) -> Splines:
    """Scipy takes a while over them, and they are the same for every exposure.

    A spline of zeros, which stands for one that was not needed, is left out.
    """
    for kind in calibration.types:
        if kind not in _OF_SPLINES + _WITHOUT_SPLINE:
            raise CannotStreamError(f"the linearizer is a {kind}")
    found = []
    for k, factor in enumerate(scale):
        try:
            splines = splines_of(calibration, k, float(factor))
        except (ValueError, IndexError) as error:
            raise wrong_form(calibration, k, error) from error
        found.append(tuple(s for s in splines if s.values.any() or not s.known))
    return _packed(found)


def _packed(found: list[tuple[Spline, ...]]) -> Splines:
    n_amp = len(found)
    most = max((spline.nodes.size for splines in found for spline in splines), default=1)
    packed = Splines(
        how_many=np.array([len(splines) for splines in found], np.int32),
        unknown=np.array([not all(spline.known for spline in splines) for splines in found]),
        n_nodes=np.zeros((n_amp, 2), np.int32),
        nodes=np.zeros((n_amp, 2, most)),
        cubics=np.zeros((n_amp, 2, most, 4)),
        top=np.zeros((n_amp, 2)),
    )
    for k, splines in enumerate(found):
        for i, spline in enumerate(splines):
            if packed.unknown[k]:
                continue
            n = spline.nodes.size
            packed.n_nodes[k, i] = n
            packed.nodes[k, i, :n] = spline.nodes
            packed.cubics[k, i, : n - 1] = spline_cubics(spline.nodes, spline.values)
            packed.top[k, i] = spline.nodes[-1] - spline.margin
    return packed


@njit(cache=True, nogil=True)
def linearize_row(row: FloatArray, splines: Splines, k: int) -> None:
    """Linearize data pixels of amplifier number `k`, all finite, in place."""
    if splines.unknown[k]:
        row[:] = np.nan
        return
    for i in range(splines.how_many[k]):
        n = splines.n_nodes[k, i]
        nodes, cubics = splines.nodes[k, i, :n], splines.cubics[k, i]
        top = splines.top[k, i]
        if not _subtracted_as_one(row, nodes, cubics, top):
            for x0 in range(0, row.size, _CHUNK):
                part = row[x0 : x0 + _CHUNK]
                if not _subtracted_as_one(part, nodes, cubics, top):
                    _subtract_spline(part, nodes, cubics, top)


@njit(cache=True, nogil=True)
def _subtracted_as_one(
    part: FloatArray, nodes: DoubleArray, cubics: DoubleArray, top: float
) -> bool:
    """Subtract one cubic if all pixels lie in the interval of the first one; else do nothing."""
    k = _interval(nodes, np.float64(part[0]))
    low = nodes[k] if k > 0 else -np.inf
    high = nodes[k + 1] if k < nodes.size - 2 else np.inf
    if count_outside(part, low, high) > 0:
        return False
    _subtract_cubic(part, nodes[0], top, nodes[k], cubics[k])
    return True


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def count_outside(part: FloatArray, low: float, high: float) -> float:
    """Count pixels outside [low, high), in float32, which is quick to add up."""
    one, zero = np.float32(1.0), np.float32(0.0)
    least, most = np.float32(low), np.float32(high)
    outside = zero
    for x in range(part.size):
        outside += zero if (part[x] >= least) & (part[x] < most) else one
    return float(outside)


@njit(cache=True, nogil=True)
def _subtract_spline(part: FloatArray, nodes: DoubleArray, cubics: DoubleArray, top: float) -> None:
    """Evaluate the few cubics between the least and the greatest pixel of a part, or each one."""
    least, greatest = part.min(), part.max()
    first, last = _interval(nodes, np.float64(least)), _interval(nodes, np.float64(greatest))
    if last - first < _MANY:
        _subtract_cubics(part, nodes, cubics, top, first, last)
    else:
        for x in range(part.size):
            k = _interval(nodes, np.float64(part[x]))
            _subtract_cubic(part[x : x + 1], nodes[0], top, nodes[k], cubics[k])


@njit(cache=True, nogil=True)
def _interval(nodes: DoubleArray, value: float) -> int:
    """Return the number of the node at or below a value, but not of the last one."""
    k = 0
    while k < nodes.size - 2 and value >= nodes[k + 1]:
        k += 1
    return k


@njit(cache=True, nogil=True, fastmath={"contract"})
def _subtract_cubic(
    part: FloatArray, bottom: float, top: float, node: float, cubic: DoubleArray
) -> None:
    low, high, origin = np.float32(bottom), np.float32(top), np.float32(node)
    c3, c2, c1, c0 = (
        np.float32(cubic[0]),
        np.float32(cubic[1]),
        np.float32(cubic[2]),
        np.float32(cubic[3]),
    )
    for x in range(part.size):
        value = part[x]
        clipped = low if value < low else (high if value > high else value)
        d = clipped - origin
        part[x] = value - (((c3 * d + c2) * d + c1) * d + c0)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _subtract_cubics(
    part: FloatArray, nodes: DoubleArray, cubics: DoubleArray, top: float, first: int, last: int
) -> None:
    """Evaluate several cubics for all pixels and take for each pixel the one of its interval."""
    low, high = np.float32(nodes[0]), np.float32(top)
    delta = np.empty(_CHUNK, np.float32)
    for k in range(first, last + 1):
        origin = np.float32(nodes[k])
        c3, c2, c1, c0 = (
            np.float32(cubics[k, 0]),
            np.float32(cubics[k, 1]),
            np.float32(cubics[k, 2]),
            np.float32(cubics[k, 3]),
        )
        for x in range(part.size):
            value = part[x]
            clipped = low if value < low else (high if value > high else value)
            d = clipped - origin
            own = ((c3 * d + c2) * d + c1) * d + c0
            delta[x] = own if (k == first) | (clipped >= origin) else delta[x]
    for x in range(part.size):
        part[x] -= delta[x]
