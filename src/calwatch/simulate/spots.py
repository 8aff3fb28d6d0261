"""Spots of light on a flat: bright features, each alone in its readout, as crosstalk needs them."""

from __future__ import annotations

import numpy as np

from calwatch.arrays import FloatArray

LARGEST = 20
"""Pixels: radius of a spot, less where the amplifiers are small."""
APART = 40
"""Pixels between two spots of a row: room for what is measured beside them."""


def spot_pattern(shape: tuple[int, int], index: int, count: int, shift: int) -> FloatArray:
    """Return where an amplifier has spots: 1 in them, 0 beside them.

    The rows are cut into as many bands as there are amplifiers, and each has its spots in another
    one, so that no two are bright in the same rows. From exposure to exposure they move on.

    Parameters
    ----------
    shape
        Rows and columns of the imaging pixels, readout order.
    index, count
        Which amplifier, of how many.
    shift
        By how many bands the pattern has moved.

    Returns
    -------
    FloatArray
        Of that shape.
    """
    rows, columns = shape
    band = max(rows // count, 1)
    radius = max(min(LARGEST, (band - 1) // 2, columns // 8), 1)
    step = 2 * radius + 1
    first = (index + shift) % count * band
    y, x = np.ogrid[:rows, :columns]
    inside = (y >= first) & (y < first + max(band // step, 1) * step)
    dy = (y - first) % step - radius
    dx = x % (step + APART) - (step + APART) // 2
    whole = x // (step + APART) < columns // (step + APART)
    pattern: FloatArray = (inside & whole & (dx**2 + dy**2 <= radius**2)).astype(np.float32)
    return pattern
