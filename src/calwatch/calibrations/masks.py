"""Mask planes, as afw numbers them, and how foreign planes are brought to these bits."""

from __future__ import annotations

from enum import IntFlag


class Mask(IntFlag):
    """Bits of a mask image. The first nine are afw's usual numbers."""

    BAD = 1 << 0
    SAT = 1 << 1
    INTRP = 1 << 2
    CR = 1 << 3
    EDGE = 1 << 4
    DETECTED = 1 << 5
    DETECTED_NEGATIVE = 1 << 6
    SUSPECT = 1 << 7
    NO_DATA = 1 << 8
    CROSSTALK = 1 << 9
    UNMASKEDNAN = 1 << 10
    VIGNETTED = 1 << 11
    PARTLY_VIGNETTED = 1 << 12


EXCLUDED = Mask.DETECTED | Mask.BAD | Mask.NO_DATA
"""Pixels that cp_verify leaves out of its statistics (cp_verify ``verifyStats.py``)."""
