"""Whether the data of an HDU are as they were written (FITS Standard 4.0, §4.4.2.7)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calwatch.camera.hdus import BLOCK, Hdu

_NATIVE = np.dtype("<u4")
"""What `sum_of_words` takes: numba knows no other order of bytes than that of the processor."""


def datasum_agrees(data: bytes | memoryview, hdu: Hdu) -> bool | None:
    """Return whether the data agree with DATASUM; None if the HDU carries none.

    DATASUM is the 32-bit ones'-complement sum of the padded data: here the plain sum, compared
    modulo 2³² − 1, which takes the carries round in one go.
    """
    try:
        expected = int(hdu.header["DATASUM"])
    except (KeyError, TypeError, ValueError):
        return None
    padded = -(-hdu.data_size // BLOCK) * BLOCK
    content = data[hdu.data_start : hdu.data_start + padded]
    if len(content) % 4:
        return False
    total = int(sum_of_words(np.frombuffer(content, dtype=_NATIVE)))
    return (total - expected) % 0xFFFFFFFF == 0


@njit(cache=True, nogil=True)
def sum_of_words(words: NDArray[np.uint32]) -> np.uint64:
    """Return the plain sum of big-endian words that were taken for little-endian ones.

    The same as ``words.view(">u4").sum(dtype=np.uint64)``, in less than half of the time.
    """
    total = np.uint64(0)
    for word in words:
        swapped = (word & 0xFF) << 24 | (word & 0xFF00) << 8 | (word >> 8) & 0xFF00 | word >> 24
        total += np.uint64(swapped)
    return total
