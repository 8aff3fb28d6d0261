"""Where ccdproc, astropy and calwatch do the same, their numbers must be the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import sigma_clipped_stats
from frames import Frames
from peers import certified
from tables import Table

from calwatch.camera.raw import read_raw
from calwatch.isr.assembly import orient
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput, IsrResult, IsrSwitches
from calwatch.verify.model import DetectorResult
from calwatch.verify.statistics import CLIP_PASSES, CLIP_SIGMA, amp_statistics, good_pixels

ONLY_GAIN_AND_BIAS = IsrSwitches(
    dither=False, serial_overscan=False, crosstalk=False, parallel_overscan=False,
    linearity=False, defects=False, variance=False,
)  # fmt: skip
TOLERANCES = {
    "counts": 0.0,
    "gain and bias": 3e-7,
    "MEAN": 1e-6,
    "STDEV": 1e-4,
    "NOISE": 1e-3,
}
"""Largest relative difference: none of the counts; of corrected pixels two roundings in float32
(relative to their level); of means and deviations what these roundings leave (a deviation of a few
electrons on a level of thousands); and clipping begins with the quartiles here, with the deviation
in astropy."""


@dataclass(frozen=True)
class Check:
    """One comparison."""

    what: str
    difference: float
    """Relative, the largest of all amplifiers."""

    @property
    def tolerance(self) -> float:
        """The largest that is allowed."""
        return TOLERANCES[self.what]

    @property
    def agrees(self) -> bool:
        """Whether it is small enough."""
        return self.difference <= self.tolerance


def compare(frames: Frames, name: str = "bias") -> list[Check]:
    """Compare counts, pixels corrected for gain and bias, and their statistics."""
    detector = frames.detector
    frame = read_raw(frames.path(name), frames.camera, detector)
    calibrations = certified(frames, name)
    found = run_isr(IsrInput(detector, frame.pixels, calibrations, ONLY_GAIN_AND_BIAS, 1, 0.0))
    worst = dict.fromkeys(TOLERANCES, 0.0)
    with fits.open(frames.path(name), memmap=False) as file:
        for i, amp in enumerate(detector.amplifiers):
            counts = np.asarray(file[amp.hdu].data)
            theirs = _by_ccdproc(frames, i, counts, calibrations)
            for what, difference in _differences(frames, i, counts, frame.pixels[i], found, theirs):
                worst[what] = max(worst[what], difference)
    return [Check(what, difference) for what, difference in worst.items()]


def table(checks: list[Check]) -> Table:
    """Return the comparison as a table."""
    rows = [
        [c.what, f"{c.difference:.1e}", f"{c.tolerance:.0e}", "yes" if c.agrees else "NO"]
        for c in checks
    ]
    return Table(
        "Agreement with ccdproc and astropy where the algorithms are the same",
        ["of a bias", "largest relative difference", "allowed", "agrees"],
        rows,
    )


def both_pipelines(
    theirs: Mapping[str, Mapping[str, Mapping[str, float]]], ours: Mapping[str, DetectorResult]
) -> Table:
    """Show the numbers of the whole pipelines beside each other, as medians of the amplifiers."""
    rows = []
    for name, amps in theirs.items():
        for metric in ("MEAN", "NOISE", "CR_NOISE", "READ_NOISE"):
            peer = [numbers[metric] for numbers in amps.values() if metric in numbers]
            mine = [ours[name].amps[amp].metrics.get(metric) for amp in amps]
            if peer and all(value is not None for value in mine):
                rows.append(
                    [f"{name} {metric}", f"{np.median(peer):.3f}", f"{np.median(mine):.3f}"]
                )
    return Table(
        "Numbers of the whole pipelines, median of the amplifiers, e-",
        ["", "ccdproc + astropy", "calwatch"],
        rows,
        "calwatch also corrects crosstalk, linearity and the parallel overscan, and finds cosmic "
        "rays by another rule, so these are near but not equal.",
    )


def _by_ccdproc(frames: Frames, index: int, counts: np.ndarray, calibrations) -> np.ndarray:
    import ccdproc

    amp = frames.detector.amplifiers[index]
    bias = np.ascontiguousarray(orient(calibrations.bias.image[amp.bbox.slices], amp))
    trimmed = CCDData(counts[amp.data.slices], unit="adu")
    gain = float(calibrations.ptc.gain[index]) * units.electron / units.adu
    image = ccdproc.gain_correct(trimmed, gain)
    return ccdproc.subtract_bias(image, CCDData(bias, unit="electron")).data


def _differences(
    frames: Frames,
    index: int,
    counts: np.ndarray,
    our_counts: np.ndarray,
    found: IsrResult,
    theirs: np.ndarray,
) -> list[tuple[str, float]]:
    amp = frames.detector.amplifiers[index]
    ours = orient(found.image[amp.bbox.slices], amp)
    level = float(np.abs(theirs).max())
    mine = amp_statistics(found.image, good_pixels(found.image, found.mask, amp.bbox), amp.bbox)
    _mean, _median, noise = sigma_clipped_stats(theirs, sigma=CLIP_SIGMA, maxiters=CLIP_PASSES)
    return [
        ("counts", float(np.abs(counts - our_counts).max())),
        ("gain and bias", float(np.abs(ours - theirs).max()) / level),
        ("MEAN", abs(mine.mean / float(theirs.mean()) - 1)),
        ("STDEV", abs(mine.stdev / float(theirs.std(ddof=1)) - 1)),
        ("NOISE", abs(mine.noise / float(noise) - 1)),
    ]
