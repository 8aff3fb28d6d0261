"""Finding cosmic rays by their sharp edges, and overwriting them with noise.

The rules are those of meas_algorithms ``CR.cc`` as pipe_tasks ``repair.py`` calls it for
cp_verify ``verifyStats.py``: a pixel that stands too sharply above its neighbours to be a star is
part of a cosmic ray.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from calwatch.arrays import BoolArray, FloatArray, IntArray
from calwatch.calibrations.masks import Mask
from calwatch.errors import RecordError
from calwatch.isr.selection import around_ranks

MIN_SIGMA = 6.0
"""A pixel must exceed the mean of two opposite neighbours by this many standard deviations."""
MIN_CHARGE = 150.0
"""e-: smallest charge of a cosmic ray."""
PEAK_SIGMAS = 2.0
"""``cond3_fac``: standard deviations granted to the comparison with the PSF."""
SHARPNESS = 0.35
"""``cond3_fac2``: fraction of the PSF's own sharpness."""
GROWTH_PASSES = 6
MAX_PIXELS = 1_000_000
PSF_SIGMA = 3.0 / (2.0 * np.sqrt(2.0 * np.log(2.0)))
"""Pixels: a Gaussian of 3 pixels FWHM."""

_ALONG = SHARPNESS * float(np.exp(-0.5 / PSF_SIGMA**2))
_DIAGONAL = SHARPNESS * float(np.exp(-1.0 / PSF_SIGMA**2))
_ENOUGH = 0.999 * MIN_SIGMA**2
"""Squared standard deviations from which a pixel is worth the exact test."""
_BLOCKED = int(Mask.BAD | Mask.INTRP | Mask.SAT | Mask.NO_DATA)
_INTERPOLATED = int(Mask.INTRP)


class TooManyCosmicRaysError(RecordError):
    """More pixels look like cosmic rays than can be believed."""


def replace_cosmic_rays(
    image: FloatArray, mask: IntArray, variance: FloatArray, seed: int
) -> tuple[FloatArray, IntArray]:
    """Return copies of image and mask in which cosmic rays are overwritten with noise.

    Parameters
    ----------
    image
        Shape (height, width), e-, of the whole assembled detector.
    mask
        Shape (height, width), bits of `calwatch.calibrations.masks.Mask`.
    variance
        Shape (height, width), e-².
    seed
        Of the noise; the same seed gives the same bits.

    Returns
    -------
    image, mask
        Cosmic-ray pixels hold background + sqrt(variance)·N(0, 1) and have CR and INTRP set.

    Raises
    ------
    TooManyCosmicRaysError
        If more than `MAX_PIXELS` pixels qualify (pipe_tasks ``repair.py``).
    """
    clean, pixels = without_cosmic_rays(image, mask, variance, seed)
    new_mask = mask.copy()
    new_mask[pixels[:, 0], pixels[:, 1]] |= int(Mask.CR | Mask.INTRP)
    return clean, new_mask


def without_cosmic_rays(
    image: FloatArray, mask: IntArray, variance: FloatArray, seed: int
) -> tuple[FloatArray, IntArray]:
    """Return the image of `replace_cosmic_rays`, and the pixels replaced instead of a mask.

    Parameters and errors are those of `replace_cosmic_rays`.

    Returns
    -------
    image
        A copy in which cosmic-ray pixels hold background + sqrt(variance)·N(0, 1).
    pixels
        (y, x) of those pixels, shape (n, 2), in raster order.
    """
    background = _background(image)
    pixels = find_cosmic_rays(image, mask, variance, background)
    clean = image.copy()
    if pixels.shape[0] == 0:
        return clean, pixels
    noise = np.random.default_rng(seed)
    _overwrite(clean, pixels, variance, background, noise)
    known = np.zeros(image.shape, np.bool_)
    known[pixels[:, 0], pixels[:, 1]] = True
    for _ in range(GROWTH_PASSES):
        extra = _scan_around(clean, variance, pixels, background, known)
        if extra.shape[0] == 0:
            break
        pixels = _in_raster_order(np.concatenate((pixels, extra)))
        _refuse_too_many(pixels.shape[0])
    _overwrite(clean, pixels, variance, background, noise)
    return clean, pixels


def find_cosmic_rays(
    image: FloatArray, mask: IntArray, variance: FloatArray, background: float
) -> IntArray:
    """Return the pixels of cosmic rays before growth: (y, x), shape (n, 2), in raster order.

    The scan runs in raster order, and each pixel found is replaced at once by the mean of its
    neighbours, which is what the pixels after it are compared with. Touching pixels are one
    cosmic ray; those with less than `MIN_CHARGE` above the background are dropped.
    """
    pixels = _scan(image.copy(), mask, variance, background, MAX_PIXELS)
    _refuse_too_many(pixels.shape[0])
    y, x = pixels[:, 0], pixels[:, 1]
    group = _touching(y.astype(np.int64) * image.shape[1] + x, image.shape[1])
    charge = np.bincount(group, weights=image[y, x].astype(np.float64) - background)
    return pixels[charge[group] >= MIN_CHARGE] if pixels.shape[0] else pixels


def find_cosmic_rays_reference(
    image: FloatArray, mask: IntArray, variance: FloatArray, background: float
) -> IntArray:
    """Do what `find_cosmic_rays` does, in plain Python: the definition it is held to."""
    work = image.astype(np.float32)
    found = np.zeros(image.shape, dtype=bool)
    directions = (
        ((-1, 0), (1, 0), _ALONG),
        ((0, -1), (0, 1), _ALONG),
        ((-1, -1), (1, 1), _DIAGONAL),
        ((1, -1), (-1, 1), _DIAGONAL),
    )
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            around = mask[y - 1 : y + 2, x - 1 : x + 2]
            if mask[y, x] & _BLOCKED or (around & _INTERPOLATED).any():
                continue
            value, spread = float(work[y, x]), float(np.sqrt(np.float64(variance[y, x])))
            pairs = [
                ((y + a[0], x + a[1]), (y + b[0], x + b[1]), sharp) for a, b, sharp in directions
            ]
            means = [(float(work[p]) + float(work[q])) / 2 for p, q, _ in pairs]
            if not value >= 0 or not any(value >= mean + MIN_SIGMA * spread for mean in means):
                continue
            for (p, q, sharp), mean in zip(pairs, means, strict=True):
                error = np.sqrt(np.float64(variance[p]) + np.float64(variance[q])) / 2
                peak = value - background - PEAK_SIGMAS * spread
                if sharp * peak > mean - background + PEAK_SIGMAS * error:
                    work[y, x] = mean
                    found[y, x] = True
                    break
    labels, count = ndimage.label(found, structure=np.ones((3, 3)))
    charge = ndimage.sum(image.astype(np.float64) - background, labels, range(count + 1))
    kept = found & (np.asarray(charge)[labels] >= MIN_CHARGE)
    return np.argwhere(kept).astype(np.int32)


def _background(image: FloatArray) -> float:
    """Return the plain median of all finite pixels (0 if there is none)."""
    flat = image.ravel()
    finite = np.isfinite(flat)
    good = flat if finite.all() else flat[finite]
    if good.size == 0:
        return 0.0
    (middle,) = around_ranks(good, (0.5,))
    first, second = float(middle[0]), float(middle[1])
    return (first + second) / 2 if good.size % 2 == 0 else first


def _touching(flat: IntArray, width: int) -> IntArray:
    """Return the number of each pixel's 8-connected group, given their sorted indices y·width + x.

    None of the pixels stands on the first or last column, so that a neighbour's index never wraps.
    """
    links = []
    for step in (1, width - 1, width, width + 1):
        place = np.minimum(np.searchsorted(flat, flat + step), flat.size - 1)
        near = np.nonzero(flat[place] == flat + step)[0]
        links.append(np.stack((near, place[near])))
    source, target = np.concatenate(links, axis=1)
    graph = sparse.coo_array((np.ones(source.size), (source, target)), (flat.size, flat.size))
    return np.asarray(csgraph.connected_components(graph, directed=False)[1])


def _in_raster_order(pixels: IntArray) -> IntArray:
    return pixels[np.lexsort((pixels[:, 1], pixels[:, 0]))]


def _refuse_too_many(count: int) -> None:
    if count > MAX_PIXELS:
        raise TooManyCosmicRaysError(
            f"more than {MAX_PIXELS} pixels look like cosmic rays: the search was given up"
        )


def _overwrite(
    image: FloatArray,
    pixels: IntArray,
    variance: FloatArray,
    background: float,
    noise: np.random.Generator,
) -> None:
    """Put background plus noise where a cosmic ray was found, in raster order."""
    y, x = pixels[:, 0], pixels[:, 1]
    spread = np.sqrt(np.maximum(np.nan_to_num(variance[y, x].astype(np.float64)), 0.0))
    image[y, x] = background + spread * noise.standard_normal(spread.size)


@njit(cache=True, nogil=True)
def _replacement(
    image: FloatArray,
    variance: FloatArray,
    y: int,
    x: int,
    background: float,
    min_sigma: float,
    peak_sigmas: float,
) -> float:
    """Return the neighbours' mean if the pixel is part of a cosmic ray, else NaN."""
    value = np.float64(image[y, x])
    if not value >= 0.0:
        return np.nan
    ns = (np.float64(image[y - 1, x]) + np.float64(image[y + 1, x])) / 2
    we = (np.float64(image[y, x - 1]) + np.float64(image[y, x + 1])) / 2
    swne = (np.float64(image[y - 1, x - 1]) + np.float64(image[y + 1, x + 1])) / 2
    nwse = (np.float64(image[y + 1, x - 1]) + np.float64(image[y - 1, x + 1])) / 2
    spread = np.sqrt(np.float64(variance[y, x]))
    step = min_sigma * spread
    if not (
        value >= ns + step or value >= we + step or value >= swne + step or value >= nwse + step
    ):
        return np.nan
    peak = value - background - peak_sigmas * spread
    error = _error_of_mean(variance[y - 1, x], variance[y + 1, x])
    if _ALONG * peak > ns - background + peak_sigmas * error:
        return ns
    error = _error_of_mean(variance[y, x - 1], variance[y, x + 1])
    if _ALONG * peak > we - background + peak_sigmas * error:
        return we
    error = _error_of_mean(variance[y - 1, x - 1], variance[y + 1, x + 1])
    if _DIAGONAL * peak > swne - background + peak_sigmas * error:
        return swne
    error = _error_of_mean(variance[y + 1, x - 1], variance[y - 1, x + 1])
    if _DIAGONAL * peak > nwse - background + peak_sigmas * error:
        return nwse
    return np.nan


@njit(cache=True, nogil=True)
def _error_of_mean(variance_a: float, variance_b: float) -> float:
    return np.sqrt(np.float64(variance_a) + np.float64(variance_b)) / 2  # type: ignore[no-any-return]  # numpy's stubs


@njit(cache=True, nogil=True)
def _stand_out(
    above: FloatArray, row: FloatArray, below: FloatArray, variance: FloatArray, flags: BoolArray
) -> bool:
    """Flag every pixel of a row that may exceed two opposite neighbours by `MIN_SIGMA`.

    It passes some that do not, by rounding, and all that stand near a NaN, but leaves out none that
    do: `_replacement` decides. Return whether any is flagged; the ends of the row never are.
    """
    n = row.size - 2
    nw, north, ne = above[:n], above[1 : n + 1], above[2:]
    west, middle, east = row[:n], row[1 : n + 1], row[2:]
    sw, south, se = below[:n], below[1 : n + 1], below[2:]
    spread = variance[1 : n + 1]
    inner = flags[1 : n + 1]
    flags[0] = False
    flags[n + 1] = False
    flagged = 0
    for i in range(n):
        value = np.float64(middle[i])
        ns = value - (np.float64(north[i]) + np.float64(south[i])) / 2
        we = value - (np.float64(west[i]) + np.float64(east[i])) / 2
        swne = value - (np.float64(sw[i]) + np.float64(ne[i])) / 2
        nwse = value - (np.float64(nw[i]) + np.float64(se[i])) / 2
        least = _ENOUGH * np.float64(spread[i])
        far = (
            ((ns < 0.0) | (ns * ns < least))
            & ((we < 0.0) | (we * we < least))
            & ((swne < 0.0) | (swne * swne < least))
            & ((nwse < 0.0) | (nwse * nwse < least))
        )
        inner[i] = not far
        flagged += int(not far)
    return flagged > 0


@njit(cache=True, nogil=True)
def _scan(
    image: FloatArray, mask: IntArray, variance: FloatArray, background: float, most: int
) -> IntArray:
    """Scan in raster order, replacing as it goes; stop one pixel after `most` are found."""
    height, width = image.shape
    found = np.empty((1024, 2), dtype=np.int32)
    count = 0
    stands_out = np.empty(width, dtype=np.bool_)
    for y in range(1, height - 1):
        if not _stand_out(image[y - 1], image[y], image[y + 1], variance[y], stands_out):
            continue
        for x in range(1, width - 1):
            if not stands_out[x] or mask[y, x] & _BLOCKED:
                continue
            mean = _replacement(image, variance, y, x, background, MIN_SIGMA, PEAK_SIGMAS)
            if np.isnan(mean):
                continue
            near = 0
            for j in range(-1, 2):
                for i in range(-1, 2):
                    near |= mask[y + j, x + i]
            if near & _INTERPOLATED:
                continue
            if count == found.shape[0]:
                larger = np.empty((2 * count, 2), dtype=np.int32)
                larger[:count] = found
                found = larger
            found[count, 0] = y
            found[count, 1] = x
            count += 1
            image[y, x] = mean
            stands_out[x + 1] = True  # its neighbour is another now; the last column is not tested
            if count > most:
                return found[:count]
    return found[:count]


@njit(cache=True, nogil=True)
def _scan_around(
    image: FloatArray, variance: FloatArray, pixels: IntArray, background: float, known: BoolArray
) -> IntArray:
    """Test the 3×3 surroundings of each pixel, replacing as it goes (pixels near edges skipped).

    `known` flags the pixels that need no test; those found are added.
    """
    height, width = image.shape
    extra = np.empty((9 * pixels.shape[0], 2), dtype=np.int32)
    count = 0
    for k in range(pixels.shape[0]):
        y0, x0 = pixels[k]
        if y0 < 2 or y0 >= height - 2 or x0 < 2 or x0 >= width - 2:
            continue
        for y in range(y0 - 1, y0 + 2):
            for x in range(x0 - 1, x0 + 2):
                if known[y, x]:
                    continue
                mean = _replacement(image, variance, y, x, background, MIN_SIGMA / 2, 0.0)
                if np.isnan(mean):
                    continue
                image[y, x] = mean
                known[y, x] = True
                extra[count, 0] = y
                extra[count, 1] = x
                count += 1
    return extra[:count]
