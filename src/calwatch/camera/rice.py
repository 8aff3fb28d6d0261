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

What makes `decode_rows` quick: where a code ends is all that the next one waits for, so the words
that begin with each code are only found first, one after the other, and the codes are read from
them afterwards, many at a time; one word of 64 bits serves four codes; two rows are gone through in
turn, so that the processor works on one while it waits for the other. Blocks that hold a code too
long for that are read code by code. `decode_tile` is the same in plain Python, for reference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calwatch.arrays import IndexArray, IntArray
from calwatch.processor import leading_zeros, running_sums

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
_IN_ROW = -1
"""Instead of an exponent: the codes of the block have been read already."""
_DAMAGED = -1
"""Instead of a position: the tile ends too early, or holds what no encoder writes."""


_inlined = njit(cache=True, nogil=True, forceinline=True)
"""For what is done for each code or block: a call would cost as much."""


class Room(NamedTuple):
    """Where `decode_rows` keeps, for two rows, what it has yet to turn into codes."""

    words: NDArray[np.uint64]
    """Shape (2, columns): the word that begins with each code."""
    exponents: IndexArray
    """Shape (2, blocks): k of the blocks whose words are kept; −1 of those whose codes are."""


@njit(cache=True, nogil=True)
def new_room(columns: int) -> Room:
    """Return room for rows of so many pixels, which calls of `decode_rows` share."""
    return Room(np.empty((2, columns), np.uint64), np.empty((2, _blocks(columns)), np.int64))


@_inlined
def _blocks(columns: int) -> int:
    """Return how many blocks a row has, the last of which may be shorter."""
    return (columns + BLOCK_PIXELS - 1) // BLOCK_PIXELS


@_inlined
def _signed(word: np.uint64) -> int:
    """Return a small word as a signed integer: the two kinds together would become a float."""
    return int(np.int64(word))


@_inlined
def _word(data: NDArray[np.uint8], bit: int) -> np.uint64:
    """Return the 64 bits of the stream from a position on; the last up to 7 are 0.

    An unsigned index spares the test for a negative one; LLVM makes one load of the loop.
    """
    at = np.uint64(bit >> 3)
    word = np.uint64(0)
    for k in range(8):
        word = (word << 8) | np.uint64(data[at + np.uint64(k)])
    return word << (bit & 7)


@_inlined
def _exponent(data: NDArray[np.uint8], bit: int) -> int:
    """Return the k of the block that begins at a bit."""
    return _signed(_word(data, bit) >> (64 - _EXPONENT_BITS)) - 1


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
        bit += leading_zeros(word)
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


@_inlined
def _four_words(
    data: NDArray[np.uint8], bit: int, k: int, words: NDArray[np.uint64], column: int
) -> int:
    """Keep the words that begin with the next four codes; return the bits that these use.

    If these are more than `_SURE`, what was kept is wrong.
    """
    word = _word(data, bit)
    used = 0
    for i in range(_GROUP):
        words[np.uint64(column + i)] = word
        length = leading_zeros(word) + 1 + k
        word <<= np.uint64(length & 63)
        used += length
    return used


@_inlined
def _word_block_pair(
    data: NDArray[np.uint8],
    bit_a: int,
    k_a: int,
    words_a: NDArray[np.uint64],
    bit_b: int,
    k_b: int,
    words_b: NDArray[np.uint64],
    column: int,
) -> tuple[int, int, bool]:
    """Keep the words of one whole block (k = 0…24) of two rows; return both next bits.

    Then whether every code was surely whole. Else nothing counts.
    """
    for at in range(column, column + BLOCK_PIXELS, _GROUP):
        used_a = _four_words(data, bit_a, k_a, words_a, at)
        used_b = _four_words(data, bit_b, k_b, words_b, at)
        if max(used_a, used_b) > _SURE:
            return bit_a, bit_b, False
        bit_a += used_a
        bit_b += used_b
    return bit_a, bit_b, True


@_inlined
def _read_words(words: NDArray[np.uint64], k: int, row: IntArray, column: int) -> None:
    """Read the codes of one whole block from the words that begin with them."""
    for i in range(BLOCK_PIXELS):
        word = words[np.uint64(column + i)]
        zeros = leading_zeros(word)
        rest = word << np.uint64(zeros & 63)  # begins with the 1 that ends the zeros
        row[np.uint64(column + i)] = (zeros << k) + _signed(rest >> np.uint64(63 - k)) - (1 << k)


@njit(cache=True, nogil=True)
def _first_pixel(data: NDArray[np.uint8], bit: int) -> int:
    """Return the pixel a row begins with; its sign needs no care, as rows are stored in 32 bits."""
    return _signed(_word(data, bit) >> 32)


@njit(cache=True, nogil=True)
def _finish_row(row: IntArray, columns: int, room: Room, which: int, first: int) -> None:
    """Read the codes that are yet in words, and replace all by pixels: the running sum of steps."""
    words, exponents = room.words[which], room.exponents[which]
    for block in range(_blocks(columns)):
        if exponents[block] >= 0:
            _read_words(words, exponents[block], row, block * BLOCK_PIXELS)
    _unfold(row, columns)
    running_sums(row[:columns], first)


@njit(cache=True, nogil=True)
def _unfold(row: IntArray, columns: int) -> None:
    """Replace codes by the differences they stand for: 0, −1, 1, −2, … for 0, 1, 2, 3, …."""
    for i in range(columns):
        code = np.uint32(row[i])
        row[i] = (code >> 1) ^ -(code & 1)


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
    room: Room,
) -> int:
    """Decode two rows in turn; return 2, or which of them (0 or 1) is damaged.

    The ends are looked at once a block: no more than `BLOCK_PIXELS` / `_GROUP` words are read past
    them.
    """
    first_a, first_b = _first_pixel(data, bit_a), _first_pixel(data, bit_b)
    bit_a += 32
    bit_b += 32
    for block in range(_blocks(columns)):
        column = block * BLOCK_PIXELS
        count = min(BLOCK_PIXELS, columns - column)
        k_a, k_b = _exponent(data, bit_a), _exponent(data, bit_b)
        next_a, next_b, sure = 0, 0, False
        if count == BLOCK_PIXELS and min(k_a, k_b) >= 0 and max(k_a, k_b) < _UNCODED:
            next_a, next_b, sure = _word_block_pair(
                data,
                bit_a + _EXPONENT_BITS,
                k_a,
                room.words[0],
                bit_b + _EXPONENT_BITS,
                k_b,
                room.words[1],
                column,
            )
        if sure:
            room.exponents[0, block] = k_a
            room.exponents[1, block] = k_b
            bit_a, bit_b = next_a, next_b
        else:
            room.exponents[:, block] = _IN_ROW
            bit_a = _block(data, bit_a, end_a, row_a, column, count)
            bit_b = _block(data, bit_b, end_b, row_b, column, count)
        if bit_a == _DAMAGED or bit_a > end_a:
            return 0
        if bit_b == _DAMAGED or bit_b > end_b:
            return 1
    _finish_row(row_a, columns, room, 0, first_a)
    _finish_row(row_b, columns, room, 1, first_b)
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
    room: Room,
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
    room
        From `new_room`, for so many columns or more.

    Returns
    -------
    int
        −1; or the first row found damaged, counted as in the image: ``out`` is then undefined.

    Raises
    ------
    ValueError
        If ``out`` or ``room`` is too small, or the rows are not among those given.
    """
    if not 0 <= first <= last <= min(offsets.size, lengths.size):
        raise ValueError("there are no such rows")
    if out.shape[0] < last - first or not 0 < columns <= out.shape[1]:
        raise ValueError("the rows do not fit into the array")
    if room.words.shape[1] < columns:
        raise ValueError("the rows do not fit into the room")
    stop = _first_outside(data, offsets, lengths, first, last)
    for row in range(first, stop, 2):
        if row + 1 < stop:
            beside, target = row + 1, out[row + 1 - first]
        else:  # a last row without a neighbour is decoded beside itself
            beside, target = row, np.empty(columns, np.int32)
        a, b = 8 * offsets[row], 8 * offsets[beside]
        end_a, end_b = a + 8 * lengths[row], b + 8 * lengths[beside]
        whole = _row_pair(data, a, end_a, out[row - first], b, end_b, target, columns, room)
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
