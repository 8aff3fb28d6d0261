"""Dither: spread each integer count over one unit, so that medians and quantiles are smooth."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray, IntArray
from calwatch.camera.model import Detector

_ROWS_AT_A_TIME = 64
"""Rows of the mosaic drawn together; it bounds the memory and does not change the numbers."""


def dither(raw: IntArray | FloatArray, detector: Detector, seed: int) -> FloatArray:
    """Add uniform [−0.5, 0.5) noise to every raw pixel (ip_isr ``isrTaskLSST.py``).

    IsrTaskLSST dithers the untrimmed mosaic: each raw amplifier, overscans included, flipped into
    the orientation of the focal plane and set beside its neighbours. The mosaic is drawn here from
    its lowest row up and each amplifier takes its own part, flipped back into readout order, so
    that the noise on each pixel is the stack's own for the same seed.

    Parameters
    ----------
    raw
        Shape (n_amp, rows, columns), readout order, ADU.
    detector
        Gives the place of each amplifier: the rank of ``bbox.x0`` and of ``bbox.y0``.
    seed
        Of the Mersenne twister (``numpy.random.RandomState``).

    Returns
    -------
    FloatArray
        Same shape, ADU.
    """
    _, rows, columns = raw.shape
    xs = sorted({amp.bbox.x0 for amp in detector.amplifiers})
    ys = sorted({amp.bbox.y0 for amp in detector.amplifiers})
    random = _uniform(seed)
    draws = np.empty((_ROWS_AT_A_TIME, len(xs) * columns))
    dithered = np.empty(raw.shape, np.float32)
    for y in ys:
        band = [(k, amp) for k, amp in enumerate(detector.amplifiers) if amp.bbox.y0 == y]
        for first in range(0, rows, _ROWS_AT_A_TIME):
            last = min(first + _ROWS_AT_A_TIME, rows)
            noise = draws[: last - first]
            random.random(out=noise)
            for k, amp in band:
                x0 = xs.index(amp.bbox.x0) * columns
                part = noise[:, x0 : x0 + columns]
                part = part[:, ::-1] if amp.flip_x else part
                if amp.flip_y:
                    where, part = slice(rows - last, rows - first), part[::-1]
                else:
                    where = slice(first, last)
                _add(raw[k, where], part, dithered[k, where])
    return dithered


def _uniform(seed: int) -> np.random.Generator:
    """Return the sequence of ``RandomState(seed)``, which is the one the stack draws.

    A generator on the same Mersenne twister gives the same numbers and fills an array in place.
    """
    twister = np.random.MT19937()
    state = np.random.RandomState(seed).get_state(legacy=False)
    twister.state = state  # type: ignore[assignment]  # numpy's stubs give it a wider type
    return np.random.Generator(twister)


@njit(cache=True, nogil=True)
def _add(raw: IntArray | FloatArray, draws: DoubleArray, dithered: FloatArray) -> None:
    """Add draws from [0, 1), less a half, in double precision."""
    rows, columns = raw.shape
    for y in range(rows):
        for x in range(columns):
            dithered[y, x] = np.float32(raw[y, x] + (draws[y, x] - 0.5))
