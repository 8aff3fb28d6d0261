"""Defects that the certified mask does not have, from a set of darks or flats (DMTN-101 §3).

A defect is what persists over the frames; a cosmic ray is there once and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.stats import chi2

from calwatch.arrays import BoolArray, DoubleArray, FloatArray
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Box, Detector
from calwatch.isr.clipped import clipped_statistics
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import defects as definitions
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.stack import LEAST_GOOD, Stack
from calwatch.verify.statistics import CLIP_PASSES, CLIP_SIGMA

THRESHOLDS = {"dark": 5.0, "flat": 0.2}
"""Excess that makes a pixel a defect: e-/s over the amplifier's dark current, and the fraction of
the amplifier's level. Both are those of the camera team's electro-optical tests."""
COLUMN_THRESHOLDS = {"dark": 1.0, "flat": 0.05}
"""The same of the mean of a column over those beside it, which is far better known."""
COLUMN_SHARE = 0.2
"""A column of which more pixels are new defects is bad as well."""
COLUMN_WINDOW = 11
"""Columns whose median a column is compared with."""
SIGNIFICANCE = 5.0
"""Standard errors by which a defect's rate must differ from 0 at the least."""
UNSTABLE_CHANCE = 1e-9
UNSTABLE_RATIO = 2.0
"""χ² between frames of an unstable pixel: beyond that chance, and so often what is expected."""
HITS, MANY_FRAMES = 2, 10
"""Of so many frames or more, a pixel beyond the threshold in 1 or 2 was hit where two cosmic rays
cross, and is not unstable."""
MOST_PLACES = 500
"""Places that are kept of a detector, to be drawn."""
BRIGHT, DARK, UNSTABLE, COLUMN = 1, 2, 3, 4
"""Kinds of places. That of a column is in its middle."""

_NAMES = tuple(metric.name for metric in definitions.METRICS)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """New defects of one amplifier; shape of its box, but for the columns."""

    bright: BoolArray
    dark: BoolArray
    unstable: BoolArray
    columns: BoolArray
    """Shape (columns,). Pixels in bad columns are not among the others."""
    no_longer: BoolArray
    """Masked pixels that are like any other."""


def measure(
    detector: Detector,
    frames: Iterable[CorrectedFrame],
    observation_type: str,
    calibrations: CalibrationSet,
) -> Measured:
    """Look for new defects in every amplifier of a detector.

    Parameters
    ----------
    detector
        Gives the amplifiers.
    frames
        Corrected frames in the order of exposure, one at a time. Darks without their dark
        subtracted; flats with the flat.
    observation_type
        ``dark``: bright and unstable pixels. ``flat``: dark ones as well, by their response.
    calibrations
        Their bad pixels are in the masks of the frames. Without defects a warning says so.

    Returns
    -------
    Measured
        With the array ``defect_places``, shape (n, 3): x and y in the assembled frame and the kind
        of at most `MOST_PLACES` new defects; of more, some spread evenly over each kind.
    """
    if observation_type not in THRESHOLDS:
        raise ValueError(f"defects are of darks or flats, not of a {observation_type!r}")
    kind = observation_type
    stack = Stack(detector, kind, threshold=THRESHOLDS[kind], scatter=True)
    amps = {amp.name: dict.fromkeys(_NAMES, math.nan) for amp in detector.amplifiers}
    for frame in frames:
        for i in stack.add(frame):
            amp = detector.amplifiers[i]
            amps[amp.name] |= single_frame_metrics(frame, amp.bbox)
    faults: dict[str, str] = {}
    places: list[DoubleArray] = []
    for i, amp in enumerate(detector.amplifiers):
        numbers = amps[amp.name]
        numbers["DEFECT_FRAMES"] = float(stack.frames(i).count)
        fault = stack.fault(i) or _measure_amplifier(stack, i, numbers, places)
        if fault:
            faults[amp.name] = fault
    warnings = stack.warnings()
    if calibrations.defects is None:
        warnings = (*warnings, "there are no certified defects: every defect counts as new")
    return Measured(
        amps, warnings=warnings, faults=faults, arrays={"defect_places": _thinned(places)}
    )


def single_frame_metrics(frame: CorrectedFrame, box: Box) -> Metrics:
    """Return what cp_verify ``verifyDefects.py`` takes of one frame, with and without the mask."""
    pixels, mask = frame.image[box.slices], frame.mask[box.slices]
    finite = np.isfinite(pixels)
    good = finite & (mask & mask.dtype.type(Mask.BAD) == 0)
    masked, whole = pixels[good], pixels[finite]
    if masked.size == 0:
        return {"DEFECT_PIXELS": float(box.area), "DEFECT_FRACTION": 1.0}
    with_mask = clipped_statistics(masked, CLIP_SIGMA, CLIP_PASSES)
    without = clipped_statistics(whole, CLIP_SIGMA, CLIP_PASSES)
    # Where the density of a normal variable falls to one in the number of pixels.
    far = math.sqrt(max(2.0 * math.log(box.area / math.sqrt(2.0 * math.pi)), 0.0))
    away = np.abs(whole - np.float32(with_mask.median)) > far * with_mask.stdev
    return {
        "DEFECT_PIXELS": float(box.area - masked.size),
        "DEFECT_FRACTION": (box.area - masked.size) / box.area,
        "DEFECT_OUTLIERS": float(with_mask.n_total - with_mask.n_kept),
        "DEFECT_STDEV": with_mask.stdev,
        "DEFECT_MIN": float(masked.min()),
        "DEFECT_MAX": float(masked.max()),
        "UNMASKED_OUTLIERS": float(without.n_total - without.n_kept),
        "UNMASKED_STDEV": without.stdev,
        "UNMASKED_MIN": float(whole.min()),
        "UNMASKED_MAX": float(whole.max()),
        "STAT_OUTLIERS": float(np.count_nonzero(away)),
    }


def _measure_amplifier(
    stack: Stack, index: int, numbers: Metrics, places: list[DoubleArray]
) -> str:
    """Fill in the counts and the places; say why the amplifier cannot be judged."""
    box = stack.detector.amplifiers[index].bbox
    good = stack.settle(index, _limits(stack.frames(index).count))
    share = np.count_nonzero(good) / good.size
    if share < LEAST_GOOD:
        return f"masked or no numbers: {100 * share:.3g} % of its pixels can be used"
    found = _find(stack, index, good)
    numbers |= {
        "CERTIFIED_DEFECTS": float(np.count_nonzero(stack.known[box.slices])),
        "NO_LONGER_SEEN": float(np.count_nonzero(found.no_longer)),
        "NEW_BRIGHT_PIXELS": float(np.count_nonzero(found.bright)),
        "NEW_DARK_PIXELS": float(np.count_nonzero(found.dark)),
        "UNSTABLE_PIXELS": float(np.count_nonzero(found.unstable)),
        "NEW_BAD_COLUMNS": float(np.count_nonzero(found.columns)),
    }
    for flags, kind in ((found.bright, BRIGHT), (found.dark, DARK), (found.unstable, UNSTABLE)):
        y, x = np.nonzero(flags)
        places.append(np.stack([x + box.x0, y + box.y0, np.full(len(x), kind)], axis=1) * 1.0)
    x = np.flatnonzero(found.columns) + box.x0
    middle = np.full(len(x), box.y0 + box.height // 2)
    places.append(np.stack([x, middle, np.full(len(x), COLUMN)], axis=1) * 1.0)
    return ""


def _limits(count: int) -> tuple[float, float]:
    """Return the limit of χ² between all frames, and between all but one."""
    return _limit(count - 1), _limit(count - 2)


def _limit(freedom: int) -> float:
    return max(float(chi2.isf(UNSTABLE_CHANCE, freedom)), UNSTABLE_RATIO * freedom)


def _find(stack: Stack, index: int, good: BoolArray) -> _Found:
    here = stack.detector.amplifiers[index].bbox.slices
    frames, kind = stack.frames(index), stack.kind
    rate, known = stack.planes.sums[0][here], stack.known[here]
    error = 1.0 / math.sqrt(frames.weight(0))
    least = np.float32(max(THRESHOLDS[kind], SIGNIFICANCE * error))
    beyond = stack.planes.beyond[here].astype(np.int16)
    often = 2 * beyond > frames.count
    often &= good
    bright, dark = often & (rate > least), often & (rate < -least)
    uneven = _uneven(stack.planes.squares[here], good, frames.count)
    unstable = good & uneven & ~bright & ~dark
    if frames.count >= MANY_FRAMES:
        unstable &= (beyond == 0) | (beyond > HITS)
    columns = _bad_columns(rate, good, bright | dark | unstable, kind, error)
    for flags in (bright, dark, unstable):
        flags[:, columns] = False
    like_others = np.abs(rate) < np.float32(SIGNIFICANCE * error)
    return _Found(bright, dark, unstable, columns, known & like_others & ~uneven)


def _uneven(excess: FloatArray, good: BoolArray, count: int) -> BoolArray:
    """Return where χ² is above its limit, the typical pixel taken as what noise explains.

    Flats scatter by more than their noise where the lamp's pattern moves; only more is made up for.
    """
    step = max(1, len(excess) // 64)
    sample = excess[::step][good[::step]]
    freedom = count - 1
    expected = float(chi2.median(freedom)) / _limit(freedom)
    typical = float(np.median(sample)) if sample.size else expected
    found: BoolArray = excess > np.float32(max(1.0, typical / expected))
    return found


def _bad_columns(
    rate: FloatArray, good: BoolArray, new: BoolArray, kind: str, error: float
) -> BoolArray:
    """Return the columns that are new as a whole; one that is mostly masked is none.

    A pixel counts for no more than the threshold of pixels, so that a few do not make a column.
    """
    used = good.sum(axis=0)
    judged = used >= LEAST_GOOD * len(good)
    most = np.float32(THRESHOLDS[kind])
    bounded = np.where(good, rate, np.float32(0.0))
    np.clip(bounded, -most, most, out=bounded)
    means = bounded.sum(axis=0, dtype=np.float64) / np.maximum(used, 1)
    around = ndimage.median_filter(means, size=min(COLUMN_WINDOW, len(means)), mode="nearest")
    least = np.maximum(COLUMN_THRESHOLDS[kind], SIGNIFICANCE * error / np.sqrt(np.maximum(used, 1)))
    excess = means - around
    off = excess > least if kind == "dark" else np.abs(excess) > least
    crowded = new.sum(axis=0) > COLUMN_SHARE * used
    columns: BoolArray = judged & (off | crowded)
    return columns


def _thinned(places: list[DoubleArray]) -> DoubleArray:
    """Return all places, columns first; of too many every k-th of the pixels."""
    every = np.concatenate(places) if places else np.empty((0, 3))
    order = np.argsort(every[:, 2] != COLUMN, kind="stable")
    every = every[order]
    if len(every) <= MOST_PLACES:
        return every
    picked: DoubleArray = every[np.linspace(0, len(every) - 1, MOST_PLACES).astype(int)]
    return picked
