"""The Mersenne twister MT19937, fast enough to draw the dither of a whole detector.

Formulae: Matsumoto & Nishimura 1998 (ACM TOMACS 8, 3). The numbers are those of
``numpy.random.RandomState(seed).random_sample()``, cut to 16 bits: the dither of a pixel is then
exact to 2⁻¹⁷ ADU, which is less than a float32 resolves above 256 ADU.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

WordArray: TypeAlias = NDArray[np.uint32]
"""Words of the generator's state."""

DrawArray: TypeAlias = NDArray[np.uint16]
"""Draws from [0, 1) in units of 2⁻¹⁶."""

_WORDS, _SHIFT = 624, 397
_LATER = _WORDS - _SHIFT
_DRAWS = _WORDS // 2
"""Each draw takes two words: 27 bits of the first and 26 of the second, which is not needed."""
_MATRIX = np.uint32(0x9908B0DF)
_FIRST_OF_PAIR = np.uint64(0xFFFFFFFF)
_UPPER, _LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)


def uniform_draws(seed: int, count: int) -> DrawArray:
    """Return the first draws of ``RandomState(seed)`` from [0, 1), in units of 2⁻¹⁶, cut off.

    Parameters
    ----------
    seed
        Of the generator.
    count
        Number of draws.
    """
    draws = np.empty(count, np.uint16)
    _fill(first_state(seed), draws)
    return draws


def uniform_draws_reference(seed: int, count: int) -> DrawArray:
    """Do what `uniform_draws` does, in plain numpy: the definition the kernel is held to."""
    draws = np.random.RandomState(seed).random_sample(count)
    return np.floor(draws * 2.0**16).astype(np.uint16)


def first_state(seed: int) -> WordArray:
    """Return the state, shape (624,), from which ``RandomState(seed)`` makes its first words."""
    state = np.random.RandomState(seed).get_state(legacy=False)
    words: WordArray = state["state"]["key"].astype(np.uint32)
    return words


@njit(cache=True, nogil=True)
def _fill(state: WordArray, draws: DrawArray) -> None:
    """Fill `draws`; `state` moves on."""
    whole = draws.size // _DRAWS
    for i in range(whole):
        _step(state)
        _temper(state, draws[i * _DRAWS : (i + 1) * _DRAWS])
    if draws.size > whole * _DRAWS:
        _step(state)
        _temper(state, draws[whole * _DRAWS :])


@njit(cache=True, nogil=True)
def _step(state: WordArray) -> None:
    """Make the next 624 words: ``x[k+624] = x[k+397] ^ twist(x[k] upper bit, x[k+1] other bits)``.

    Two loops and a rest, because the words to the right of x[k] are old and those to the left new.
    """
    for k in range(_LATER):
        state[k] = state[k + _SHIFT] ^ _twist(state[k], state[k + 1])
    for k in range(_SHIFT - 1):
        state[k + _LATER] = state[k] ^ _twist(state[k + _LATER], state[k + _LATER + 1])
    state[_WORDS - 1] = state[_SHIFT - 1] ^ _twist(state[_WORDS - 1], state[0])


@njit(cache=True, nogil=True)
def _twist(first: np.uint32, second: np.uint32) -> np.uint32:
    """Multiply by the matrix of the recursion: a shift, and a constant if the lowest bit is set."""
    y = (first & _UPPER) | (second & _LOWER)
    return np.uint32((y >> np.uint32(1)) ^ (np.uint32(-(y & np.uint32(1))) & _MATRIX))


@njit(cache=True, nogil=True)
def _temper(state: WordArray, draws: DrawArray) -> None:
    """Take the upper 16 bits of the number that every second word of the state stands for."""
    pairs = state.view(np.uint64)  # reading pairs is quicker than every second word
    for i in range(draws.size):
        word = np.uint32(pairs[i] & _FIRST_OF_PAIR)
        word ^= word >> np.uint32(11)
        word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
        word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
        draws[i] = np.uint16(np.uint32(word ^ (word >> np.uint32(18))) >> np.uint32(16))
