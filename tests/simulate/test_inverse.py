"""The ISR, given the truth, undoes what the simulator did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from calwatch.calibrations.model import (
    CalibrationSet,
    Crosstalk,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    Units,
)
from calwatch.camera.model import Detector
from calwatch.isr.chain import run_isr
from calwatch.isr.model import IsrInput, IsrSwitches
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import PixelMaps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, DetectorTruth

SWITCHES = IsrSwitches(bias=False, defects=False)


@pytest.fixture(scope="module")
def known(detector: Detector, truth: DetectorTruth) -> CalibrationSet:
    names = detector.amp_names
    amps = [truth.amps[name] for name in names]
    gain = np.array([amp.gain for amp in amps])
    nothing = np.full(len(names), np.nan)
    bend = [-amp.nonlinearity / NONLINEARITY_REFERENCE / amp.gain for amp in amps]
    linear = truth.crosstalk_array
    return CalibrationSet(
        ptc=PhotonTransferCurve(
            amp_names=names,
            gain=gain,
            noise=np.array([amp.read_noise for amp in amps]),
            turnoff=nothing,
            overscan_median=nothing,
            overscan_median_sigma=nothing,
            a00=nothing,
            bad_amps=(),
            metadata={},
        ),
        linearizer=Linearizer(
            amp_names=names,
            types=(LinearizerType.SQUARED,) * len(names),
            coefficients=tuple(np.array([value]) for value in bend),
            table=None,
            units=Units.ELECTRON,
            metadata={},
        ),
        crosstalk=Crosstalk(
            coefficients=linear,
            quadratic=truth.quadratic_array,
            valid=linear != 0,
            units=Units.ELECTRON,
            metadata={},
        ),
    )


def test_a_flat_comes_back_as_the_light_that_fell(
    detector: Detector,
    truth: DetectorTruth,
    maps: PixelMaps,
    known: CalibrationSet,
    take: Callable[..., SimulatedExposure],
) -> None:
    electrons = 100_000.0
    exposure = take("flat", electrons=electrons)
    frame = make_frame(detector, truth, maps, exposure, FrameEffects())
    result = run_isr(
        IsrInput(
            detector=detector,
            raw=frame,
            calibrations=known,
            switches=SWITCHES,
            dither_seed=1,
            dark_time=exposure.dark_time,
        )
    )
    assert not result.not_applied
    for amp, response in zip(detector.amplifiers, maps.response, strict=True):
        # The first columns and rows hold the fixed pattern of the bias, a few ADU.
        residual = result.image[amp.bbox.slices].mean() - electrons * response.mean()
        # Shot noise of the mean is 3 e-, the lamp scatters by 1e-4: 10 e-. Uncorrected, the
        # response would be 500 e- short and crosstalk 20 e- over.
        assert abs(residual) < 4.5 * np.hypot(3.0, 10.0)
