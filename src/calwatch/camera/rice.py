"""Decoding Rice-compressed tiles of 32-bit integers: one image row a tile.

The one form in which the Rubin cameras write raw pixels is RICE_1 with BYTEPIX 4 and BLOCKSIZE 32
(FITS Standard 4.0, §10.4.1). A tile is a stream of bits, the most significant of each byte first:

* the first pixel, 32 bits;
* for each block of 32 pixels, 5 bits with the exponent k + 1, then one code for each pixel:

  ==========  =====================================================================
  k = −1      nothing: every pixel equals the one before it
  k = 0…24    zeros in unary (as many 0 bits, then a 1), then the k lower bits:
              code = zeros·2ᵏ + lower
  k = 25      the code as it is, 32 bits
  ==========  =====================================================================

A code is the difference to the pixel before, modulo 2³², with the sign folded into the lowest bit:
0, −1, 1, −2, … are written 0, 1, 2, 3, … The first pixel of a tile has a code too, which is 0.

What makes `decode_rows` quick: a code is taken from a 64-bit word by counting its leading zeros;
one word serves four codes; two rows are decoded in turn, so that the processor works on one while
it waits for the other; and codes become pixels only when the rows are complete. `decode_tile` is
the same in plain Python, for reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from calwatch.arrays import IndexArray, IntArray

BLOCK_PIXELS = 32
PADDING = 128
"""Bytes that must follow the last tile: no kernel looks further, whatever the tiles hold."""

_EXPONENT_BITS = 5
_UNCODED = 25
"""The exponent k of a block whose codes are stored as they are."""
_SURE = 57
"""Bits of a word that are always of the stream: 64 less the up to 7 before the wanted one."""
_GROUP = 4
"""Codes that are taken from one word."""
_DAMAGED = -1
"""Instead of a position: the tile ends too early, or holds what no encoder writes."""


@intrinsic
def _ctlz(_typing: Any, _word: Any) -> Any:
    """Let a kernel use LLVM's ``ctlz``."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


_leading_zeros = cast("Callable[[np.uint64], int]", _ctlz)
"""The number of 0 bits before the first 1 of a 64-bit word; 64 if there is no 1."""


@njit(cache=True, nogil=True)
def _signed(word: np.uint64) -> int:
    """Return a small word as a signed integer: the two kinds together would become a float."""
    return int(np.int64(word))


@njit(cache=True, nogil=True)
def _word(data: NDArray[np.uint8], bit: int) -> np.uint64:
    """Return the 64 bits of the stream from a position on; the last up to 7 are 0.

    An unsigned index spares the test for a negative one; LLVM makes one load of the loop.
    """
    at = np.uint64(bit >> 3)
    word = np.uint64(0)
    for k in range(8):
        word = (word << 8) | np.uint64(data[at + np.uint64(k)])
    return word << (bit & 7)


@njit(cache=True, nogil=True)
def _exponent(data: NDArray[np.uint8], bit: int) -> int:
    """Return the k of the block that begins at a bit."""
    return _signed(_word(data, bit) >> (64 - _EXPONENT_BITS)) - 1


@njit(cache=True, nogil=True)
def _four_codes(data: NDArray[np.uint8], bit: int, k: int, row: IntArray, column: int) -> int:
    """Take four codes from one word; return the bits used.

    If these are more than `_SURE`, what was written is wrong.
    """
    word = _word(data, bit)
    used = 0
    for i in range(_GROUP):
        zeros = _leading_zeros(word)
        rest = word << (zeros & 63)  # begins with the 1 that ends the zeros
        row[np.uint64(column + i)] = (zeros << k) + _signed(rest >> (63 - k)) - (1 << k)
        word = rest << (k + 1)
        used += zeros + 1 + k
    return used


@njit(cache=True, nogil=True)
def _codes(
    data: NDArray[np.uint8],
    bit: int,
    end: int,
    k: int,
    row: IntArray,
    column: int,
    count: int,
) -> int:
    """Take codes of any length one by one; return the next bit."""
    for i in range(count):
        start = bit
        word = _word(data, bit)
        while word >> (64 - _SURE) == 0:
            bit += _SURE
            if bit >= end:
                return _DAMAGED
            word = _word(data, bit)
        bit += _leading_zeros(word)
        zeros = bit - start
        if zeros >> (32 - k) != 0:
            return _DAMAGED
        lower = _signed((_word(data, bit + 1) >> 1) >> (63 - k))
        bit += 1 + k
        if bit > end:
            return _DAMAGED
        row[np.uint64(column + i)] = (zeros << k) + lower
    return bit


@njit(cache=True, nogil=True)
def _uncoded(
    data: NDArray[np.uint8], bit: int, end: int, row: IntArray, column: int, count: int
) -> int:
    """Take codes that are stored as they are; return the next bit."""
    if bit + 32 * count > end:
        return _DAMAGED
    for i in range(count):
        row[np.uint64(column + i)] = _signed(_word(data, bit) >> 32)
        bit += 32
    return bit


@njit(cache=True, nogil=True)
def _block(
    data: NDArray[np.uint8], bit: int, end: int, row: IntArray, column: int, count: int
) -> int:
    """Take the codes of one block of any kind and length; return the next bit."""
    k = _exponent(data, bit)
    bit += _EXPONENT_BITS
    if k > _UNCODED or bit > end:
        return _DAMAGED
    if k == _UNCODED:
        return _uncoded(data, bit, end, row, column, count)
    if k >= 0:
        return _codes(data, bit, end, k, row, column, count)
    for i in range(count):
        row[np.uint64(column + i)] = 0
    return bit


@njit(cache=True, nogil=True)
def _coded_block_pair(
    data: NDArray[np.uint8],
    bit_a: int,
    end_a: int,
    k_a: int,
    row_a: IntArray,
    bit_b: int,
    end_b: int,
    k_b: int,
    row_b: IntArray,
    column: int,
) -> tuple[int, int]:
    """Take the codes of one whole block (k = 0…24) of two rows in turn; return both next bits.

    The ends are looked at once a block: at most `BLOCK_PIXELS` / `_GROUP` words are read past them.
    """
    for at in range(column, column + BLOCK_PIXELS, _GROUP):
        used_a = _four_codes(data, bit_a, k_a, row_a, at)
        used_b = _four_codes(data, bit_b, k_b, row_b, at)
        if max(used_a, used_b) <= _SURE:
            bit_a += used_a
            bit_b += used_b
        else:
            bit_a = _codes(data, bit_a, end_a, k_a, row_a, at, _GROUP)
            bit_b = _codes(data, bit_b, end_b, k_b, row_b, at, _GROUP)
            if bit_a == _DAMAGED or bit_b == _DAMAGED:
                break
    if bit_a > end_a:
        bit_a = _DAMAGED
    if bit_b > end_b:
        bit_b = _DAMAGED
    return bit_a, bit_b


@njit(cache=True, nogil=True)
def _first_pixel(data: NDArray[np.uint8], bit: int) -> int:
    """Return the pixel a row begins with; its sign needs no care, as rows are stored in 32 bits."""
    return _signed(_word(data, bit) >> 32)


@njit(cache=True, nogil=True)
def _unfold(row: IntArray, columns: int) -> None:
    """Replace codes by the differences they stand for: 0, −1, 1, −2, … for 0, 1, 2, 3, …."""
    for i in range(columns):
        code = np.uint32(row[i])
        row[i] = (code >> 1) ^ -(code & 1)


@njit(cache=True, nogil=True)
def _sum_pair(row_a: IntArray, first_a: int, row_b: IntArray, first_b: int, columns: int) -> None:
    """Replace the differences of two rows by the pixels: their sums from the first pixel on."""
    pixel_a, pixel_b = first_a, first_b
    for i in range(columns):
        pixel_a += row_a[i]
        row_a[i] = pixel_a
        pixel_b += row_b[i]
        row_b[i] = pixel_b


@njit(cache=True, nogil=True)
def _row_pair(
    data: NDArray[np.uint8],
    bit_a: int,
    end_a: int,
    row_a: IntArray,
    bit_b: int,
    end_b: int,
    row_b: IntArray,
    columns: int,
) -> int:
    """Decode two rows in turn; return 2, or which of them (0 or 1) is damaged."""
    first_a, first_b = _first_pixel(data, bit_a), _first_pixel(data, bit_b)
    bit_a += 32
    bit_b += 32
    for column in range(0, columns, BLOCK_PIXELS):
        count = min(BLOCK_PIXELS, columns - column)
        k_a, k_b = _exponent(data, bit_a), _exponent(data, bit_b)
        if count == BLOCK_PIXELS and min(k_a, k_b) >= 0 and max(k_a, k_b) < _UNCODED:
            bit_a, bit_b = _coded_block_pair(
                data,
                bit_a + _EXPONENT_BITS,
                end_a,
                k_a,
                row_a,
                bit_b + _EXPONENT_BITS,
                end_b,
                k_b,
                row_b,
                column,
            )
        else:
            bit_a = _block(data, bit_a, end_a, row_a, column, count)
            bit_b = _block(data, bit_b, end_b, row_b, column, count)
        if bit_a == _DAMAGED:
            return 0
        if bit_b == _DAMAGED:
            return 1
    _unfold(row_a, columns)
    _unfold(row_b, columns)
    _sum_pair(row_a, first_a, row_b, first_b, columns)
    return 2


@njit(cache=True, nogil=True)
def _first_outside(
    data: NDArray[np.uint8],
    offsets: IndexArray,
    lengths: IndexArray,
    first: int,
    last: int,
) -> int:
    """Return the first row whose tile cannot be of this data, or ``last``."""
    for row in range(first, last):
        offset, length = offsets[row], lengths[row]
        if offset < 0 or length < 4 or offset > data.size - PADDING - length:
            return row
    return last


@njit(cache=True, nogil=True)
def decode_rows(
    data: NDArray[np.uint8],
    offsets: IndexArray,
    lengths: IndexArray,
    first: int,
    last: int,
    out: IntArray,
    columns: int,
) -> int:
    """Decode the rows ``first`` to ``last`` (exclusive) of one image.

    Nothing outside of ``data`` and of the pixels of these rows is touched, whatever they hold.

    Parameters
    ----------
    data
        What holds the tiles; at least `PADDING` more bytes follow the last.
    offsets, lengths
        Of each row's tile in ``data``, shape (rows,), bytes.
    first, last
        Rows of the image.
    out
        Row ``first`` goes to ``out[0, :columns]`` and so on. A C-contiguous array; it may have
        more rows and columns than are written.
    columns
        Pixels of a row.

    Returns
    -------
    int
        −1; or the first row found damaged, counted as in the image: ``out`` is then undefined.

    Raises
    ------
    ValueError
        If ``out`` is too small, or the rows are not among those given.
    """
    if not 0 <= first <= last <= min(offsets.size, lengths.size):
        raise ValueError("there are no such rows")
    if out.shape[0] < last - first or not 0 < columns <= out.shape[1]:
        raise ValueError("the rows do not fit into the array")
    stop = _first_outside(data, offsets, lengths, first, last)
    for row in range(first, stop, 2):
        if row + 1 < stop:
            beside, target = row + 1, out[row + 1 - first]
        else:  # a last row without a neighbour is decoded beside itself
            beside, target = row, np.empty(columns, np.int32)
        a, b = 8 * offsets[row], 8 * offsets[beside]
        end_a, end_b = a + 8 * lengths[row], b + 8 * lengths[beside]
        whole = _row_pair(data, a, end_a, out[row - first], b, end_b, target, columns)
        if whole < 2:
            return row + whole
    return stop if stop < last else -1


def decode_tile(tile: bytes, columns: int) -> IntArray:
    """Decode one tile in plain Python: the reference for `decode_rows`.

    Parameters
    ----------
    tile
        The bytes of one tile.
    columns
        Pixels of the row.

    Returns
    -------
    pixels
        Shape (columns,), ADU.

    Raises
    ------
    ValueError
        If the tile ends too early, or holds what no encoder writes.
    """
    bits = "".join(f"{byte:08b}" for byte in tile)
    position = 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        if position > len(bits):
            raise ValueError("the tile ends too early")
        return int(bits[position - count : position] or "0", 2)

    def unary() -> int:
        zeros = bits.find("1", position) - position
        take(zeros + 1 if zeros >= 0 else len(bits))
        return zeros

    pixels: list[int] = []
    pixel = take(32)
    while len(pixels) < columns:
        k = take(_EXPONENT_BITS) - 1
        if k > _UNCODED:
            raise ValueError(f"there is no exponent {k}")
        for _ in range(min(BLOCK_PIXELS, columns - len(pixels))):
            if k < 0:
                code = 0
            elif k == _UNCODED:
                code = take(32)
            else:
                code = unary() << k | take(k)
            if code >= 2**32:
                raise ValueError("a code has more than 32 bits")
            pixel += (code >> 1) ^ -(code & 1)
            pixels.append(pixel)
    return (np.array(pixels) % 2**32).astype(np.uint32).view(np.int32)
