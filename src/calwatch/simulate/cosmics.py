"""Cosmic-ray tracks."""

from __future__ import annotations

import math

import numpy as np

from calwatch.arrays import FloatArray

ELECTRONS_PER_PIXEL = 800.0
"""Charge a minimum-ionising particle leaves along one pixel (10 µm) of path in silicon."""

THICKNESS = 10.0
"""Depth of the silicon in pixels (100 µm)."""

DIFFUSION = 0.4
"""Standard deviation of the spread of the charge, in pixels."""

_REACH = 2


def add_cosmic_rays(
    charge: FloatArray, rate: float, seconds: float, rng: np.random.Generator
) -> int:
    """Add straight muon tracks to the imaging pixels of one amplifier, in place.

    Parameters
    ----------
    charge
        Shape (rows, columns), e-.
    rate
        Tracks per second and million pixels.
    seconds
        Time during which charge is collected.
    rng
        Source of all randomness.

    Returns
    -------
    count : `int`
        Number of tracks.
    """
    count = int(rng.poisson(rate * seconds * charge.size / 1e6))
    height, width = charge.shape
    for _ in range(count):
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        zenith = math.acos((1.0 - rng.random()) ** (1.0 / 3.0))
        azimuth = rng.uniform(0, 2 * math.pi)
        length = min(THICKNESS * math.tan(zenith), 150.0)
        path = math.hypot(length, THICKNESS)
        total = ELECTRONS_PER_PIXEL * path * float(rng.uniform(0.8, 1.4))
        steps = max(1, math.ceil(length * 4))
        _deposit(charge, y, x, azimuth, length, total, steps)
    return count


def _deposit(
    charge: FloatArray,
    y: float,
    x: float,
    azimuth: float,
    length: float,
    total: float,
    steps: int,
) -> None:
    """Spread the charge of one track along its way."""
    height, width = charge.shape
    for step in range(steps):
        along = length * (step + 0.5) / steps
        cy = y + along * math.sin(azimuth)
        cx = x + along * math.cos(azimuth)
        iy, ix = math.floor(cy), math.floor(cx)
        y0, y1 = max(iy - _REACH, 0), min(iy + _REACH + 1, height)
        x0, x1 = max(ix - _REACH, 0), min(ix + _REACH + 1, width)
        if y0 >= y1 or x0 >= x1:
            continue
        dy = np.arange(y0, y1) + 0.5 - cy
        dx = np.arange(x0, x1) + 0.5 - cx
        spread = np.exp(-0.5 * (dy[:, None] ** 2 + dx[None, :] ** 2) / DIFFUSION**2)
        spread *= total / steps / (2 * math.pi * DIFFUSION**2)
        charge[y0:y1, x0:x1] += spread.astype(np.float32)
