"""From the deviation of a corrected overscan to the read noise, and to that of corrected pixels.

The overscan is measured after its own medians were subtracted, which takes something of its noise
with them, and clipped at 3σ, which takes its tails: 2.1 % is lost with the 58 columns of
LSSTCam. Pixels, on the other hand, gain the noise of the medians that were subtracted: 3.2 %.
"""

from __future__ import annotations

import math

from calwatch.camera.model import Amplifier
from calwatch.verify.sets.pair import truncation_factor
from calwatch.verify.statistics import OVERSCAN_EDGE

CLIP_SIGMA = 3.0
CLIP_PASSES = 3
"""Clipping of the overscan (ip_isr ``overscan.py``)."""
SCATTER = 1.15
"""By what the clipped deviation scatters more than a plain one of as many values."""
_MEDIAN = (0.64, 2.7)
"""What a row's median takes of the variance of its n pixels is 0.64/n + 2.7/n², from simulated
overscans; without the rejection of outliers it would be (2 − π/2)/n."""


def clipped_deviation(n_sigma: float, passes: int) -> float:
    """Return what repeated clipping leaves of the deviation of a Gaussian: 0.985 at 3σ."""
    deviation = 1.0
    for _ in range(passes):
        deviation = math.sqrt(1.0 / truncation_factor(n_sigma * deviation))
    return deviation


_CLIPPED = clipped_deviation(CLIP_SIGMA, CLIP_PASSES)


def overscan_share(amp: Amplifier) -> float:
    """Return what the measured deviation of an overscan is of the read noise; NaN without one."""
    columns = _columns(amp)
    left = 1.0 - _MEDIAN[0] / columns - _MEDIAN[1] / columns**2 if columns else -1.0
    return _CLIPPED * math.sqrt(left) if left > 0 else math.nan


def pixel_share(amp: Amplifier) -> float:
    """Return what the noise of a corrected pixel is of the read noise.

    The median of n Gaussian values has the variance π/2·σ²/n; one is subtracted for the row, one
    for the column.
    """
    columns = _columns(amp)
    rows = max(amp.parallel_overscan.height - OVERSCAN_EDGE, 0)
    added = sum(1.0 / n for n in (columns, rows) if n)
    return math.sqrt(1.0 + 0.5 * math.pi * added)


def relative_error(amp: Amplifier, n_frames: int) -> float:
    """Return the relative error of the read noise from the overscans of some frames."""
    samples = n_frames * _columns(amp) * amp.hdu_box.height
    return SCATTER / math.sqrt(2.0 * samples) if samples else math.nan


def _columns(amp: Amplifier) -> int:
    return max(amp.serial_overscan.width - OVERSCAN_EDGE, 0)
