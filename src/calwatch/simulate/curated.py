"""Crosstalk and charge-transfer calibrations, as a laboratory would hand them over.

They are the truth with a stated error of measurement; no simulated sequence measures them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calwatch.calibrations.model import ChargeTransfer, Crosstalk, Units
from calwatch.camera.model import Detector
from calwatch.offline.formats import detector_metadata, write_crosstalk, write_cti
from calwatch.simulate.truth import DetectorTruth

CROSSTALK_ERROR = 2e-6
"""Standard deviation of each linear coefficient."""

CTI_ERROR = 0.05
"""Relative standard deviation of each global CTI."""

_CURATED_STREAM = 7


def write_curated_crosstalk(
    path: Path, instrument: str, detector: Detector, truth: DetectorTruth
) -> None:
    """Write the crosstalk matrix of one detector as it was measured."""
    rng = _rng(truth)
    linear = truth.crosstalk_array
    measured = linear + CROSSTALK_ERROR * rng.standard_normal(linear.shape) * (linear != 0)
    crosstalk = Crosstalk(
        coefficients=measured,
        quadratic=truth.quadratic_array,
        valid=linear != 0,
        units=Units.ELECTRON,
        metadata={},
    )
    write_crosstalk(path, crosstalk, _metadata(instrument, detector, "CROSSTALK"))


def write_curated_cti(
    path: Path, instrument: str, detector: Detector, truth: DetectorTruth
) -> None:
    """Write the charge-transfer calibration of one detector as it was measured."""
    rng = _rng(truth)
    names = detector.amp_names
    cti = np.array([truth.amps[name].cti for name in names])
    nothing = np.zeros(len(names))
    measured = ChargeTransfer(
        amp_names=names,
        drift_scale=nothing,
        decay_time=nothing + 1.0,
        global_cti=cti * (1.0 + CTI_ERROR * rng.standard_normal(len(names))),
        traps=(None,) * len(names),
        metadata={},
    )
    write_cti(path, measured, _metadata(instrument, detector, "CTI"))


def _rng(truth: DetectorTruth) -> np.random.Generator:
    return np.random.default_rng([truth.seed, truth.number, _CURATED_STREAM])


def _metadata(instrument: str, detector: Detector, kind: str) -> dict[str, Any]:
    return detector_metadata(instrument, detector, kind)
