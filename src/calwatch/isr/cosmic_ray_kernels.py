"""Kernels of the search for cosmic rays; the rules stand in `calwatch.isr.cosmic_rays`."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import AnyArray, BoolArray, FloatArray, IntArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.isr.variance_terms import CELL, SparseVariance, VarianceTerms, know_around
from calwatch.processor import prefetch_row

MIN_SIGMA = 6.0
"""A pixel must exceed the mean of two opposite neighbours by this many standard deviations."""
PEAK_SIGMAS = 2.0
"""``cond3_fac``: standard deviations granted to the comparison with the PSF."""
SHARPNESS = 0.35
"""``cond3_fac2``: fraction of the PSF's own sharpness."""
PSF_SIGMA = 3.0 / (2.0 * np.sqrt(2.0 * np.log(2.0)))
"""Pixels: a Gaussian of 3 pixels FWHM."""
ALONG = SHARPNESS * float(np.exp(-0.5 / PSF_SIGMA**2))
"""Sharpness of neighbours in the same row or column."""
DIAGONAL = SHARPNESS * float(np.exp(-1.0 / PSF_SIGMA**2))
BLOCKED = int(Mask.BAD | Mask.INTRP | Mask.SAT | Mask.NO_DATA)
INTERPOLATED = int(Mask.INTRP)

UNTESTED, STRUCK, SPARED = 0, 1, 2
"""States of a pixel while cosmic rays grow: to be tested, part of one, not part of one."""

_SEGMENT = 256
"""Pixels of a row that are looked at together."""
_ENOUGH = np.float32(0.999 * MIN_SIGMA**2)
"""Squared standard deviations from which a pixel is worth the exact test."""
_ROUNDING = np.float32(1.0 + 3e-7)
"""What a pixel is raised by, so that float32 rounding hides none."""


@njit(cache=True, nogil=True)
def scan(
    image: FloatArray,
    mask: MaskArray,
    terms: VarianceTerms,
    variance: SparseVariance,
    background: float,
    most: int,
) -> IntArray:
    """Scan in raster order, replacing as it goes; stop one pixel after `most` are found.

    Only rows in which something is replaced are copied: a pixel is compared with the row above as
    it has become, with its own row up to it as it has become, and with the row below as it was.

    Returns
    -------
    IntArray
        (y, x) of the pixels found, shape (n, 2), in raster order.
    """
    height, width = image.shape
    found = np.empty((1024, 2), np.int32)
    count = 0
    copies = np.empty((2, width), np.float32)
    candidates = np.empty(_SEGMENT + 1, np.bool_)
    dark = np.zeros(width, np.float32)
    plane, known = variance
    above = image[0]
    for y in range(1, height - 1):
        row = image[y]
        below = image[y + 1]
        prefetch_row(image[min(y + 2, height - 1)])
        least = terms.least[terms.least_of_row[y]]
        light = row if terms.with_noise else dark
        copied = False
        for start in range(1, width - 1, _SEGMENT):
            stop = min(start + _SEGMENT, width - 1)
            if not _flag_candidates(above, row, below, least, light, start, stop, candidates):
                continue
            for x in range(start, stop):
                if not candidates[x - start] or mask[y, x] & BLOCKED:
                    continue
                know_around(terms, plane, known, y, x)
                mean = _replacement(
                    above, row, below, plane, y, x, background, MIN_SIGMA, PEAK_SIGMAS
                )
                if np.isnan(mean) or _is_near_interpolated(mask, y, x):
                    continue
                if not copied:
                    copies[y % 2] = row
                    row = copies[y % 2]
                    copied = True
                row[x] = mean
                candidates[x - start + 1] = True  # its neighbour is another now
                if count == found.shape[0]:
                    found = _twice_as_long(found)
                found[count, 0] = y
                found[count, 1] = x
                count += 1
                if count > most:
                    return found[:count]
        above = row
    return found[:count]


@njit(cache=True, nogil=True)
def scan_around(
    rows: FloatArray,
    place: IntArray,
    states: AnyArray,
    changed: BoolArray,
    again: bool,
    terms: VarianceTerms,
    variance: SparseVariance,
    pixels: IntArray,
    background: float,
) -> IntArray:
    """Test the 3×3 surroundings of each pixel, replacing as it goes (pixels near edges skipped).

    A pixel is tested again only if one of its neighbours is another now: else it would fail again.

    Parameters
    ----------
    rows
        Shape (n, width): those rows of the image that can be met. Pixels found are replaced.
    place
        Shape (height,): where each row of the image stands in `rows`.
    states
        Shape of `rows`: `UNTESTED`, `STRUCK` or `SPARED`, kept from pass to pass.
    changed
        Shape (n, width / `CELL` + 1): parts of rows in which a pixel has to be tested again; kept
        from pass to pass, set here.
    again
        Whether this is not the first pass: then all is passed over but what has changed.
    terms, variance
        Of the whole image; filled in where it is needed.
    pixels
        (y, x), shape (n, 2).
    background
        Of the image.

    Returns
    -------
    IntArray
        (y, x) of the pixels found, shape (n, 2).
    """
    height, width = place.size, rows.shape[1]
    plane, known = variance
    extra = np.empty((9 * pixels.shape[0], 2), np.int32)
    count = 0
    for k in range(pixels.shape[0]):
        y0, x0 = pixels[k]
        if y0 < 2 or y0 >= height - 2 or x0 < 2 or x0 >= width - 2:
            continue
        if again and not _has_changed(changed, place, y0, x0):
            continue
        for y in range(y0 - 1, y0 + 2):
            above, row, below = rows[place[y - 1]], rows[place[y]], rows[place[y + 1]]
            for x in range(x0 - 1, x0 + 2):
                if states[place[y], x] != UNTESTED:
                    continue
                know_around(terms, plane, known, y, x)
                mean = _replacement(above, row, below, plane, y, x, background, MIN_SIGMA / 2, 0.0)
                if np.isnan(mean):
                    states[place[y], x] = SPARED
                    continue
                row[x] = mean
                _strike(states, changed, place, y, x)
                extra[count, 0] = y
                extra[count, 1] = x
                count += 1
    return extra[:count]


@njit(cache=True, nogil=True)
def _strike(states: AnyArray, changed: BoolArray, place: IntArray, y: int, x: int) -> None:
    """Mark a pixel as struck, and its neighbours to be tested again."""
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            changed[place[j], i // CELL] = True
            if states[place[j], i] == SPARED:
                states[place[j], i] = UNTESTED
    states[place[y], x] = STRUCK


@njit(cache=True, nogil=True)
def _has_changed(changed: BoolArray, place: IntArray, y0: int, x0: int) -> bool:
    """Tell whether the 3×3 surroundings of a pixel reach into a part that has changed."""
    for y in range(y0 - 1, y0 + 2):
        part = changed[place[y]]
        if part[(x0 - 1) // CELL] or part[(x0 + 1) // CELL]:
            return True
    return False


@njit(cache=True, nogil=True)
def touching(pixels: IntArray) -> AnyArray:
    """Return a number for each pixel, the same for all of an 8-connected group.

    Parameters
    ----------
    pixels
        (y, x), shape (n, 2), in raster order.
    """
    n = pixels.shape[0]
    parent = np.arange(n)
    first = 0
    for k in range(n):
        y, x = pixels[k]
        if k > 0 and pixels[k - 1, 0] == y and pixels[k - 1, 1] == x - 1:
            _join(parent, k - 1, k)
        while pixels[first, 0] < y - 1 or (pixels[first, 0] == y - 1 and pixels[first, 1] < x - 1):
            first += 1
        above = first
        while pixels[above, 0] == y - 1 and pixels[above, 1] <= x + 1:
            _join(parent, above, k)
            above += 1
    for k in range(n):
        parent[k] = _root(parent, k)
    return parent


@njit(cache=True, nogil=True)
def _join(parent: AnyArray, a: int, b: int) -> None:
    parent[_root(parent, b)] = _root(parent, a)


@njit(cache=True, nogil=True)
def _root(parent: AnyArray, k: int) -> int:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@njit(cache=True, nogil=True)
def _twice_as_long(found: IntArray) -> IntArray:
    longer = np.empty((2 * found.shape[0], 2), np.int32)
    longer[: found.shape[0]] = found
    return longer


@njit(cache=True, nogil=True, forceinline=True)
def _flag_candidates(
    above: FloatArray,
    row: FloatArray,
    below: FloatArray,
    least: FloatArray,
    light: FloatArray,
    start: int,
    stop: int,
    flags: BoolArray,
) -> bool:
    """Flag every pixel that may exceed two opposite neighbours by `MIN_SIGMA`.

    It passes some that do not, by rounding or because `least` plus `light` is the least that the
    variance can be, but leaves out none that do: `_replacement` decides. Comparisons are written so
    that a neighbour that is no number is passed over. Flags count from `start`; return whether any
    is set.
    """
    half = np.float32(0.5)
    n = stop - start
    nw, north, ne = above[start - 1 : stop - 1], above[start:stop], above[start + 1 : stop + 1]
    west, middle, east = row[start - 1 : stop - 1], row[start:stop], row[start + 1 : stop + 1]
    sw, south, se = below[start - 1 : stop - 1], below[start:stop], below[start + 1 : stop + 1]
    spread, photons = least[start:stop], light[start:stop]
    any_flag = False
    for i in range(n):
        value = middle[i] * _ROUNDING
        excess = np.float32(0.0)
        ns = value - (half * north[i] + half * south[i])
        excess = ns if ns > excess else excess
        we = value - (half * west[i] + half * east[i])
        excess = we if we > excess else excess
        swne = value - (half * sw[i] + half * ne[i])
        excess = swne if swne > excess else excess
        nwse = value - (half * nw[i] + half * se[i])
        excess = nwse if nwse > excess else excess
        flag = excess * excess >= _ENOUGH * (spread[i] + photons[i])
        flags[i] = flag
        any_flag |= flag
    return any_flag


@njit(cache=True, nogil=True)
def _is_near_interpolated(mask: MaskArray, y: int, x: int) -> bool:
    near = 0
    for j in range(-1, 2):
        for i in range(-1, 2):
            near |= mask[y + j, x + i]
    return (near & INTERPOLATED) != 0


@njit(cache=True, nogil=True)
def _replacement(
    above: FloatArray,
    row: FloatArray,
    below: FloatArray,
    variance: FloatArray,
    y: int,
    x: int,
    background: float,
    min_sigma: float,
    peak_sigmas: float,
) -> float:
    """Return the neighbours' mean if the pixel is part of a cosmic ray, else NaN."""
    value = np.float64(row[x])
    if not value >= 0.0:
        return np.nan
    ns = _mean(above[x], below[x])
    we = _mean(row[x - 1], row[x + 1])
    swne = _mean(above[x - 1], below[x + 1])
    nwse = _mean(below[x - 1], above[x + 1])
    spread = np.sqrt(np.float64(variance[y, x]))
    step = min_sigma * spread
    if not (
        value >= ns + step or value >= we + step or value >= swne + step or value >= nwse + step
    ):
        return np.nan
    peak = value - background - peak_sigmas * spread
    error = _error_of_mean(variance[y - 1, x], variance[y + 1, x])
    if ALONG * peak > ns - background + peak_sigmas * error:
        return ns
    error = _error_of_mean(variance[y, x - 1], variance[y, x + 1])
    if ALONG * peak > we - background + peak_sigmas * error:
        return we
    error = _error_of_mean(variance[y - 1, x - 1], variance[y + 1, x + 1])
    if DIAGONAL * peak > swne - background + peak_sigmas * error:
        return swne
    error = _error_of_mean(variance[y + 1, x - 1], variance[y - 1, x + 1])
    if DIAGONAL * peak > nwse - background + peak_sigmas * error:
        return nwse
    return np.nan


@njit(cache=True, nogil=True)
def _mean(a: float, b: float) -> float:
    return (np.float64(a) + np.float64(b)) / 2


@njit(cache=True, nogil=True)
def _error_of_mean(variance_a: float, variance_b: float) -> float:
    return np.sqrt(np.float64(variance_a) + np.float64(variance_b)) / 2  # type: ignore[no-any-return]
