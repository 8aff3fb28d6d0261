"""The search for cosmic rays in plain Python, pixel by pixel: what the kernels are held to."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from calwatch.arrays import FloatArray, IntArray, MaskArray
from calwatch.isr.cosmic_ray_kernels import (
    ALONG,
    BLOCKED,
    DIAGONAL,
    INTERPOLATED,
    MIN_SIGMA,
    PEAK_SIGMAS,
)
from calwatch.isr.cosmic_rays import GROWTH_PASSES, MIN_CHARGE

_DIRECTIONS = (
    ((-1, 0), (1, 0), ALONG),
    ((0, -1), (0, 1), ALONG),
    ((-1, -1), (1, 1), DIAGONAL),
    ((1, -1), (-1, 1), DIAGONAL),
)


def find_cosmic_rays_reference(
    image: FloatArray, mask: MaskArray, variance: FloatArray, background: float
) -> IntArray:
    """Do what `calwatch.isr.cosmic_rays.find_cosmic_rays` does."""
    work = image.astype(np.float32)
    found = np.zeros(image.shape, dtype=bool)
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            around = mask[y - 1 : y + 2, x - 1 : x + 2]
            if mask[y, x] & BLOCKED or (around & INTERPOLATED).any():
                continue
            mean = _replacement(work, variance, y, x, background, MIN_SIGMA, PEAK_SIGMAS)
            if mean is not None:
                work[y, x] = mean
                found[y, x] = True
    labels, count = ndimage.label(found, structure=np.ones((3, 3)))
    charge = ndimage.sum(image.astype(np.float64) - background, labels, range(count + 1))
    kept = found & (np.asarray(charge)[labels] >= MIN_CHARGE)
    return np.argwhere(kept).astype(np.int32)


def cosmic_ray_noise_reference(
    image: FloatArray, mask: MaskArray, variance: FloatArray, seed: int, background: float
) -> tuple[IntArray, FloatArray]:
    """Do what `calwatch.isr.cosmic_rays.cosmic_ray_noise` does, on a copy of the whole image."""
    noise = np.random.default_rng(seed)
    clean = image.astype(np.float32)
    pixels = find_cosmic_rays_reference(image, mask, variance, background)
    _overwrite(clean, pixels, variance, background, noise)
    known = {(y, x) for y, x in pixels.tolist()}
    for _ in range(GROWTH_PASSES if known else 0):
        before = sorted(known)
        for pixel in before:
            _test_around(clean, variance, *pixel, background, known)
        if len(known) == len(before):
            break
    pixels = np.array(sorted(known), np.int32).reshape(-1, 2)
    _overwrite(clean, pixels, variance, background, noise)
    return pixels, clean[pixels[:, 0], pixels[:, 1]]


def _test_around(
    clean: FloatArray,
    variance: FloatArray,
    y0: int,
    x0: int,
    background: float,
    known: set[tuple[int, int]],
) -> None:
    height, width = clean.shape
    if not (2 <= y0 < height - 2 and 2 <= x0 < width - 2):
        return
    for y in range(y0 - 1, y0 + 2):
        for x in range(x0 - 1, x0 + 2):
            if (y, x) in known:
                continue
            mean = _replacement(clean, variance, y, x, background, MIN_SIGMA / 2, 0.0)
            if mean is not None:
                clean[y, x] = mean
                known.add((y, x))


def _replacement(
    image: FloatArray,
    variance: FloatArray,
    y: int,
    x: int,
    background: float,
    min_sigma: float,
    peak_sigmas: float,
) -> float | None:
    """Return the neighbours' mean if the pixel is part of a cosmic ray."""
    value, spread = float(image[y, x]), float(np.sqrt(np.float64(variance[y, x])))
    pairs = [((y + a[0], x + a[1]), (y + b[0], x + b[1]), sharp) for a, b, sharp in _DIRECTIONS]
    means = [(float(image[p]) + float(image[q])) / 2 for p, q, _ in pairs]
    if not value >= 0 or not any(value >= mean + min_sigma * spread for mean in means):
        return None
    peak = value - background - peak_sigmas * spread
    for (p, q, sharp), mean in zip(pairs, means, strict=True):
        error = np.sqrt(np.float64(variance[p]) + np.float64(variance[q])) / 2
        if sharp * peak > mean - background + peak_sigmas * error:
            return mean
    return None


def _overwrite(
    image: FloatArray,
    pixels: IntArray,
    variance: FloatArray,
    background: float,
    noise: np.random.Generator,
) -> None:
    y, x = pixels[:, 0], pixels[:, 1]
    spread = np.sqrt(np.maximum(np.nan_to_num(variance[y, x].astype(np.float64)), 0.0))
    image[y, x] = background + spread * noise.standard_normal(spread.size)
