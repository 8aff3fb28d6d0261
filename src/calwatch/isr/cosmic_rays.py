"""Finding cosmic rays by their sharp edges, and overwriting them with noise.

The rules are those of meas_algorithms ``CR.cc`` as pipe_tasks ``repair.py`` calls it for
cp_verify ``verifyStats.py``: a pixel that stands too sharply above its neighbours to be a star is
part of a cosmic ray.
"""

from __future__ import annotations

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray, MaskArray
from calwatch.calibrations.masks import Mask
from calwatch.errors import RecordError
from calwatch.isr.cosmic_ray_kernels import STRUCK, UNTESTED, scan, scan_around, touching
from calwatch.isr.selection import around_ranks
from calwatch.isr.variance_terms import (
    CELL,
    SparseVariance,
    VarianceTerms,
    plain_terms,
    sparse_variance,
)

MIN_CHARGE = 150.0
"""e-: smallest charge of a cosmic ray."""
GROWTH_PASSES = 6
MAX_PIXELS = 1_000_000


class TooManyCosmicRaysError(RecordError):
    """More pixels look like cosmic rays than can be believed."""


def replace_cosmic_rays(
    image: FloatArray, mask: MaskArray, variance: FloatArray, seed: int
) -> tuple[FloatArray, MaskArray]:
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
    background = background_of(image)
    pixels, values = cosmic_ray_noise(image, mask, plain_terms(variance), seed, background)
    y, x = pixels[:, 0], pixels[:, 1]
    clean, new_mask = image.copy(), mask.copy()
    clean[y, x] = values
    new_mask[y, x] |= int(Mask.CR | Mask.INTRP)
    return clean, new_mask


def cosmic_ray_noise(
    image: FloatArray, mask: MaskArray, terms: VarianceTerms, seed: int, background: float
) -> tuple[IntArray, FloatArray]:
    """Return the pixels of cosmic rays and the noise that they are overwritten with.

    Parameters and errors are those of `replace_cosmic_rays`, but that the variance is given by its
    terms and worked out only where it is needed; `background` is `background_of` the image.

    Returns
    -------
    pixels
        (y, x), shape (n, 2), in raster order.
    values
        Shape (n,): background + sqrt(variance)·N(0, 1).
    """
    variance = sparse_variance(image.shape)
    pixels = _find(image, mask, terms, variance, background)
    noise = np.random.default_rng(seed)
    values = _noise_for(pixels, variance.plane, background, noise)
    if pixels.shape[0] == 0:
        return pixels, values
    pixels = _grow(image, terms, variance, pixels, values, background)
    return pixels, _noise_for(pixels, variance.plane, background, noise)


def find_cosmic_rays(
    image: FloatArray, mask: MaskArray, terms: VarianceTerms, background: float
) -> IntArray:
    """Return the pixels of cosmic rays before growth: (y, x), shape (n, 2), in raster order.

    The scan runs in raster order, and each pixel found is replaced at once by the mean of its
    neighbours, which is what the pixels after it are compared with. Touching pixels are one
    cosmic ray; those with less than `MIN_CHARGE` above the background are dropped.
    """
    return _find(image, mask, terms, sparse_variance(image.shape), background)


def _find(
    image: FloatArray,
    mask: MaskArray,
    terms: VarianceTerms,
    variance: SparseVariance,
    background: float,
) -> IntArray:
    """Do what `find_cosmic_rays` does, filling in the variance where it is needed."""
    pixels = scan(image, mask, terms, variance, background, MAX_PIXELS)
    _refuse_too_many(pixels.shape[0])
    if not pixels.shape[0]:
        return pixels
    group = touching(pixels)
    excess = image[pixels[:, 0], pixels[:, 1]].astype(np.float64) - background
    return pixels[np.bincount(group, weights=excess)[group] >= MIN_CHARGE]


def background_of(image: FloatArray) -> float:
    """Return the plain median of all finite pixels (0 if there is none)."""
    flat = image.ravel()
    finite = np.isfinite(flat)
    good = flat if finite.all() else flat[finite]
    if good.size == 0:
        return 0.0
    (middle,) = around_ranks(good, (0.5,))
    first, second = float(middle[0]), float(middle[1])
    return (first + second) / 2 if good.size % 2 == 0 else first


def _grow(
    image: FloatArray,
    terms: VarianceTerms,
    variance: SparseVariance,
    pixels: IntArray,
    values: FloatArray,
    background: float,
) -> IntArray:
    """Return the pixels with those around them that stand out from what they are replaced by.

    Only the rows that growth can reach are copied.
    """
    reached = _rows_around(pixels, image.shape[0], GROWTH_PASSES + 1)
    place = np.cumsum(reached) - 1
    rows = image[reached]
    states = np.full(rows.shape, UNTESTED, np.int8)
    rows[place[pixels[:, 0]], pixels[:, 1]] = values
    states[place[pixels[:, 0]], pixels[:, 1]] = STRUCK
    changed = np.zeros((rows.shape[0], rows.shape[1] // CELL + 1), np.bool_)
    for n in range(GROWTH_PASSES):
        extra = scan_around(
            rows, place, states, changed, n > 0, terms, variance, pixels, background
        )
        if extra.shape[0] == 0:
            break
        pixels = _in_raster_order(np.concatenate((pixels, extra)), image.shape[1])
        _refuse_too_many(pixels.shape[0])
    return pixels


def _rows_around(pixels: IntArray, height: int, distance: int) -> BoolArray:
    """Flag the rows within a distance of any pixel."""
    hit = np.zeros(height + 2 * distance, np.int64)
    hit[pixels[:, 0] + distance] = 1
    return np.asarray(np.convolve(hit, np.ones(2 * distance + 1, np.int64), "valid") > 0)


def _in_raster_order(pixels: IntArray, width: int) -> IntArray:
    order = np.argsort(pixels[:, 0].astype(np.int64) * width + pixels[:, 1], kind="stable")
    return pixels[order]


def _refuse_too_many(count: int) -> None:
    if count > MAX_PIXELS:
        raise TooManyCosmicRaysError(
            f"more than {MAX_PIXELS} pixels look like cosmic rays: the search was given up"
        )


def _noise_for(
    pixels: IntArray, variance: FloatArray, background: float, noise: np.random.Generator
) -> FloatArray:
    """Return background plus noise for each pixel, in their order."""
    spread: DoubleArray = variance[pixels[:, 0], pixels[:, 1]].astype(np.float64)
    spread = np.sqrt(np.maximum(np.nan_to_num(spread), 0.0))
    return (background + spread * noise.standard_normal(spread.size)).astype(np.float32)
