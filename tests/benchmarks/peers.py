"""What calwatch is compared with: bare readers, and the same measurements by ccdproc and astropy.

The peers are given every advantage that changes no number: calibrations are in memory and cut into
amplifiers beforehand, no uncertainties are carried, and crosstalk, linearity, charge transfer, the
parallel overscan and the amplifiers' correlations are left out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import sigma_clipped_stats
from frames import Frames

from calwatch.butler.files import local_copy
from calwatch.calibrations.model import CalibrationSet, ImageCalibration
from calwatch.calibrations.read import read_calibration
from calwatch.camera.model import Amplifier, Detector
from calwatch.isr.assembly import orient
from calwatch.isr.overscan_vector import SKIPPED
from calwatch.verify.statistics import CLIP_PASSES, CLIP_SIGMA


def read_fitsio(path: Path, detector: Detector) -> None:
    """Read every amplifier HDU with fitsio and throw it away."""
    with fitsio.FITS(str(path)) as file:
        for amp in detector.amplifiers:
            file[amp.hdu].read()


def read_astropy(path: Path, detector: Detector) -> None:
    """Read every amplifier HDU with astropy and throw it away."""
    with fits.open(path, memmap=False) as file:
        for amp in detector.amplifiers:
            np.asarray(file[amp.hdu].data)


def certified(frames: Frames, name: str) -> CalibrationSet:
    """Read every calibration of a frame's chain."""
    found = {}
    for kind, dataset in frames.jobs[name].chain.datasets.items():
        with local_copy(dataset.uri) as path:
            found[kind] = read_calibration(kind, path, frames.detector)
    return CalibrationSet(**found)


@dataclass(frozen=True)
class CutCalibrations:
    """Certified images of one amplifier in readout order, as ccdproc takes them."""

    gain: units.Quantity
    read_noise: float
    bias: CCDData
    dark: CCDData | None
    flat: CCDData | None


class CcdprocPipeline:
    """Bias, dark or flat verification of one CCD with ccdproc, astropy and astroscrappy."""

    def __init__(self, frames: Frames, name: str) -> None:
        self._path, self._detector = frames.path(name), frames.detector
        job = frames.jobs[name]
        self._kind, self._dark_time = job.calib_type, job.exposure.dark_time
        calibrations = certified(frames, name)
        self._cut = [
            self._cut_for(i, amp, calibrations) for i, amp in enumerate(self._detector.amplifiers)
        ]

    def __call__(self) -> dict[str, dict[str, float]]:
        """Return the numbers of each amplifier."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {
                amp.name: self._measure(amp, cut)
                for amp, cut in zip(self._detector.amplifiers, self._cut, strict=True)
            }

    def _cut_for(self, index: int, amp: Amplifier, calibrations: CalibrationSet) -> CutCalibrations:
        ptc, bias = calibrations.ptc, calibrations.bias
        assert ptc is not None
        assert bias is not None

        def cut(image: ImageCalibration | None, unit: units.Unit) -> CCDData | None:
            if image is None:
                return None
            pixels = np.ascontiguousarray(orient(image.image[amp.bbox.slices], amp))
            return CCDData(pixels, unit=unit, meta={"exposure": image.dark_time})

        return CutCalibrations(
            float(ptc.gain[index]) * units.electron / units.adu,
            float(ptc.noise[index]),
            cut(bias, units.electron),
            cut(calibrations.dark, units.electron),
            cut(calibrations.flat, units.dimensionless_unscaled),
        )

    def _measure(self, amp: Amplifier, cut: CutCalibrations) -> dict[str, float]:
        import ccdproc

        raw = CCDData.read(self._path, hdu=amp.hdu, unit="adu")
        box = amp.serial_overscan
        columns = slice(box.x0 + SKIPPED, box.x1 - SKIPPED)
        levelled = ccdproc.subtract_overscan(
            raw, overscan=raw[:, columns], overscan_axis=1, median=True
        )
        _, _, noise_adu = sigma_clipped_stats(levelled.data[:, columns], sigma=3, maxiters=3)
        trimmed = ccdproc.trim_image(levelled[amp.data.slices])
        image = ccdproc.gain_correct(trimmed, cut.gain)
        image = ccdproc.subtract_bias(image, cut.bias)
        image.meta["exposure"] = self._dark_time
        if cut.dark is not None:
            image = ccdproc.subtract_dark(
                image, cut.dark, exposure_time="exposure", exposure_unit=units.s, scale=True
            )
        if cut.flat is not None:
            image = ccdproc.flat_correct(image, cut.flat, norm_value=1.0)
        _, median, noise = sigma_clipped_stats(image.data, sigma=CLIP_SIGMA, maxiters=CLIP_PASSES)
        numbers = {
            "MEAN": float(image.data.mean()),
            "MEDIAN": float(median),
            "STDEV": float(image.data.std(ddof=1)),
            "NOISE": float(noise),
            "READ_NOISE": float(noise_adu * cut.gain.value),
            "MIN": float(image.data.min()),
            "MAX": float(image.data.max()),
        }
        if self._kind != "flat":
            clean = self._without_cosmic_rays(image, cut)
            numbers["CR_NOISE"] = float(clean.data.std(ddof=1))
        return numbers

    def _without_cosmic_rays(self, image: CCDData, cut: CutCalibrations) -> Any:
        import ccdproc

        return ccdproc.cosmicray_lacosmic(
            image, readnoise=cut.read_noise * units.electron, sigclip=6.0, gain_apply=False
        )
