"""Detectors with fewer rows, their certified truth, and frames through the real ISR."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calwatch.arrays import IntArray
from calwatch.calibrations.model import (
    CalibrationSet,
    Crosstalk,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    Units,
)
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Amplifier, Box, Detector
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput, IsrSwitches
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import PixelMaps, make_maps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, DetectorTruth, detector_truth
from calwatch.verify.sets.model import CorrectedFrame

DAY = 20_260_309
PLAIN = IsrSwitches(defects=False)
"""The ISR of pairs and stacks of darks; there are no bad pixels, and no dark but in the darks."""


def with_rows(detector: Detector, rows: int) -> Detector:
    """Return a detector whose amplifiers have fewer imaging rows; all else is as it was."""
    old = detector.amplifiers[0].bbox.height
    if not 0 < rows < old:
        return detector
    amps = tuple(_shortened(amp, rows) for amp in detector.amplifiers)
    return replace(detector, height=detector.height // old * rows, amplifiers=amps)


def _shortened(amp: Amplifier, rows: int) -> Amplifier:
    data, bbox = amp.data, amp.bbox
    high = rows + amp.parallel_overscan.height
    return replace(
        amp,
        hdu_box=replace(amp.hdu_box, height=high),
        data=replace(data, height=rows),
        serial_overscan=replace(amp.serial_overscan, height=high),
        parallel_overscan=replace(amp.parallel_overscan, y0=rows),
        bbox=Box(bbox.x0, bbox.y0 // bbox.height * rows, bbox.width, rows),
    )


@dataclass(frozen=True)
class Stand:
    """One simulated detector and its exposures."""

    detector: Detector
    truth: DetectorTruth
    maps: PixelMaps

    @classmethod
    def of(cls, number: int, seed: int, rows: int) -> Stand:
        """Set up a detector of LSSTCam. It has no bad pixels: their places are no truth here."""
        detector = with_rows(load_camera("LSSTCam").detector(number), rows)
        truth = detector_truth(detector, seed)
        amps = {
            name: replace(amp, hot_pixels=(), hot_columns=(), dark_columns=())
            for name, amp in truth.amps.items()
        }
        return cls.made(detector, replace(truth, amps=amps))

    @classmethod
    def made(cls, detector: Detector, truth: DetectorTruth) -> Stand:
        return cls(detector, truth, make_maps(detector, truth))

    def changed(self, **by_amp: dict[str, float]) -> Stand:
        """Return the same detector of which other things are true: ``a00={"C10": -5e-6}``."""
        amps = dict(self.truth.amps)
        for what, values in by_amp.items():
            for name, value in values.items():
                amps[name] = replace(amps[name], **{what: value})
        return Stand.made(self.detector, replace(self.truth, amps=amps))

    def certified(self) -> CalibrationSet:
        """Return the truth as certified calibrations."""
        names = self.detector.amp_names
        amps = [self.truth.amps[name] for name in names]
        nothing = np.full(len(names), np.nan)
        gain = np.array([amp.gain for amp in amps])
        bend = [-amp.nonlinearity / NONLINEARITY_REFERENCE / amp.gain for amp in amps]
        linear = self.truth.crosstalk_array
        noise, a00 = np.array([amp.read_noise for amp in amps]), np.array([a.a00 for a in amps])
        return CalibrationSet(
            ptc=PhotonTransferCurve(names, gain, noise, nothing, nothing, nothing, a00, (), {}),
            linearizer=Linearizer(
                names,
                (LinearizerType.SQUARED,) * len(names),
                tuple(np.array([value]) for value in bend),
                None,
                Units.ELECTRON,
                {},
            ),
            crosstalk=Crosstalk(
                linear, self.truth.quadratic_array, linear != 0, Units.ELECTRON, {}
            ),
        )

    def raw(
        self,
        seq_num: int,
        kind: str = "flat",
        seconds: float = 10.0,
        electrons: float = 0.0,
        effects: FrameEffects | None = None,
    ) -> IntArray:
        """Take one raw frame."""
        exposure = SimulatedExposure(
            exposure_id=DAY * 100_000 + seq_num,
            obs_id=f"MC_O_{DAY}_{seq_num:06d}",
            day_obs=DAY,
            seq_num=seq_num,
            observation_type=kind,
            reason=f"daily_{kind}",
            program="BLOCK-T664",
            group="",
            physical_filter="i_39",
            band="i",
            exposure_time=seconds,
            dark_time=seconds,
            begin_mjd=61_108.8,
            electrons=electrons,
            session="night 1",
            night=1,
            current=9,
            maximum=99,
        )
        return make_frame(self.detector, self.truth, self.maps, exposure, effects or FrameEffects())

    def corrected(
        self,
        raw: IntArray,
        known: CalibrationSet,
        switches: IsrSwitches,
        seq_num: int,
        seconds: float,
    ) -> CorrectedFrame:
        """Correct a raw frame as the daemon does."""
        found = run_isr(IsrInput(self.detector, raw, known, switches, seq_num, seconds))
        overscan = found.statistics.overscan
        if overscan is None:
            raise ValueError("the ISR gives no overscan")
        return CorrectedFrame(
            DAY * 100_000 + seq_num,
            seconds,
            seconds,
            found.image,
            found.mask,
            found.gain,
            overscan.serial_residual_stdev,
            ("",) * len(self.detector.amplifiers),
        )

    def flat(
        self,
        seq_num: int,
        electrons: float,
        known: CalibrationSet,
        effects: FrameEffects | None = None,
        rate: float = 5_000.0,
    ) -> CorrectedFrame:
        """Take a flat and correct it."""
        seconds = electrons / rate
        raw = self.raw(seq_num, "flat", seconds, electrons, effects)
        return self.corrected(raw, known, PLAIN, seq_num, seconds)
