"""What is true of a simulated detector: every number that goes into its frames.

Gain and read noise scatter about the nominal values of the camera description; dark current,
brighter-fatter and full well about each vendor's published medians (SITCOMTN-148). All numbers
are drawn from a seed, so the same seed gives the same camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from calwatch.arrays import DoubleArray
from calwatch.camera.model import Amplifier, Detector

NONLINEARITY_REFERENCE = 60_000.0
"""ADU at which `AmpTruth.nonlinearity` is stated."""

_TRUTH_STREAM = 1


@dataclass(frozen=True, slots=True)
class VendorDefaults:
    """Medians and scatters from which amplifiers are drawn."""

    dark_current: float
    """e-/s."""
    a00: float
    """1/e-, signed as DMTN-101 §16.4 tests it."""
    full_well: float
    """e-."""


VENDORS: Mapping[str, VendorDefaults] = {
    "E2V": VendorDefaults(0.025, -3.09e-6, 133_000.0),
    "ITL": VendorDefaults(0.021, -1.71e-6, 129_000.0),
}
OTHER = VendorDefaults(0.022, -2.0e-6, 130_000.0)


@dataclass(frozen=True, slots=True)
class AmpTruth:
    """Everything true of one amplifier. Pixels are in readout order, ``(row, column)``."""

    gain: float
    """e-/ADU."""
    read_noise: float
    """e-."""
    bias_level: float
    """ADU."""
    bias_drift: float
    """ADU: standard deviation of the level from session to session."""
    row_amplitude: float
    """ADU: settling along the first rows, also in the overscan."""
    row_scale: float
    """Rows."""
    row_noise: float
    """ADU: random offset common to one row of one frame."""
    column_amplitude: float
    """ADU: settling along the first data columns, in every row."""
    column_scale: float
    """Columns."""
    glow_amplitude: float
    """ADU: a fixed corner pattern absent from both overscans, which only a bias removes."""
    dark_current: float
    """e-/s."""
    nonlinearity: float
    """Relative deviation at 60 kADU (negative: the signal falls short)."""
    cti: float
    """Charge lost per serial transfer."""
    a00: float
    """1/e-: brighter-fatter, variance = mean·(1 + a00·mean) to first order."""
    full_well: float
    """e-."""
    hot_pixels: tuple[tuple[int, int, float], ...]
    """Row, column, e-/s."""
    hot_columns: tuple[tuple[int, float], ...]
    """Column, e-/s."""
    dark_columns: tuple[tuple[int, float], ...]
    """Column, remaining response."""


@dataclass(frozen=True, slots=True)
class DetectorTruth:
    """Everything true of one detector."""

    number: int
    name: str
    vendor: str
    seed: int
    prnu: float
    """Relative rms of the pixel response; the map itself is a function of the seed."""
    vignetting: float
    """Relative loss of light in the corners of the detector."""
    cosmic_rate: float
    """Tracks per second and million pixels."""
    crosstalk: tuple[tuple[float, ...], ...]
    """``[source][target]``, of electrons, camera order."""
    crosstalk_quadratic: tuple[tuple[float, ...], ...]
    """``[source][target]``, 1/e-."""
    amps: Mapping[str, AmpTruth]

    @property
    def crosstalk_array(self) -> DoubleArray:
        """Linear coefficients, shape (n_amp, n_amp)."""
        return np.array(self.crosstalk, dtype=np.float64)

    @property
    def quadratic_array(self) -> DoubleArray:
        """Quadratic coefficients, shape (n_amp, n_amp), 1/e-."""
        return np.array(self.crosstalk_quadratic, dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


@dataclass(slots=True)
class Truth:
    """Everything injected into one repository, as ``truth.json`` holds it."""

    instrument: str
    camera: str
    """Name or path of the camera description."""
    seed: int
    flat_rates: dict[str, float]
    """Electrons per second at the centre of the detector, by physical filter."""
    detectors: dict[str, dict[str, Any]] = field(default_factory=dict)
    exposures: list[dict[str, Any]] = field(default_factory=list)
    calibrations: list[dict[str, Any]] = field(default_factory=list)
    """Certified generations: types, collections, validity ranges, what is injected error."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Truth:
        """Rebuild what `to_dict` gave."""
        return cls(**data)


def detector_truth(detector: Detector, seed: int) -> DetectorTruth:
    """Draw everything true of one detector from a seed.

    Parameters
    ----------
    detector
        Its geometry, nominal values and vendor decide the medians.
    seed : `int`
        The repository's seed.
    """
    rng = np.random.default_rng([seed, detector.number, _TRUTH_STREAM])
    defaults = VENDORS.get(detector.vendor, OTHER)
    amps = {amp.name: _draw_amp(rng, defaults, amp) for amp in detector.amplifiers}
    linear, quadratic = _draw_crosstalk(rng, len(detector.amplifiers))
    return DetectorTruth(
        number=detector.number,
        name=detector.name,
        vendor=detector.vendor,
        seed=seed,
        prnu=0.006,
        vignetting=0.04,
        cosmic_rate=0.03,
        crosstalk=_as_tuples(linear),
        crosstalk_quadratic=_as_tuples(quadratic),
        amps=amps,
    )


def _as_tuples(matrix: DoubleArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)


def _draw_crosstalk(rng: np.random.Generator, n_amp: int) -> tuple[DoubleArray, DoubleArray]:
    """Draw coefficients that fall off with the distance of the channels, a few 1e-5 to 3e-4."""
    index = np.arange(n_amp)
    distance = np.abs(index[:, None] - index[None, :])
    scale = np.where(distance == 1, 1.5e-4, 3e-5 / np.maximum(distance, 1))
    linear = scale * rng.normal(1.0, 0.3, (n_amp, n_amp))
    quadratic = -1e-10 * (distance == 1) * rng.uniform(0.5, 1.5, (n_amp, n_amp))
    np.fill_diagonal(linear, 0.0)
    np.fill_diagonal(quadratic, 0.0)
    return linear, quadratic


def _draw_amp(rng: np.random.Generator, defaults: VendorDefaults, amp: Amplifier) -> AmpTruth:
    height, width = amp.data.height, amp.data.width
    unstable = rng.random() < 0.03
    return AmpTruth(
        gain=float(amp.nominal_gain * rng.normal(1.0, 0.012)),
        read_noise=float(amp.nominal_read_noise * rng.normal(1.0, 0.03)),
        bias_level=float(rng.uniform(18_000.0, 26_000.0)),
        bias_drift=2.0 if unstable else 0.1,
        row_amplitude=float(rng.normal(0.0, 3.0)),
        row_scale=8.0,
        row_noise=0.1,
        column_amplitude=float(rng.normal(0.0, 2.0)),
        column_scale=float(rng.uniform(10.0, 20.0)),
        glow_amplitude=float(rng.uniform(1.0, 4.0)),
        dark_current=float(defaults.dark_current * rng.uniform(0.8, 1.2)),
        nonlinearity=float(-0.003 * rng.uniform(0.7, 1.3)),
        cti=float(rng.uniform(0.5e-7, 3e-7)),
        a00=float(defaults.a00 * rng.normal(1.0, 0.02)),
        full_well=float(defaults.full_well * rng.normal(1.0, 0.03)),
        hot_pixels=_draw_hot_pixels(rng, height, width),
        hot_columns=_draw_columns(rng, width, 0.06, 2.0, 20.0),
        dark_columns=_draw_columns(rng, width, 0.06, 0.2, 0.6),
    )


def _draw_hot_pixels(
    rng: np.random.Generator, height: int, width: int
) -> tuple[tuple[int, int, float], ...]:
    """Draw about 30 hot pixels per million, at least one, of 0.5 to 100 e-/s."""
    count = 1 + int(rng.poisson(30e-6 * height * width))
    places = rng.choice(height * width, count, replace=False)
    rates = 10.0 ** rng.uniform(-0.3, 2.0, count)
    return tuple(
        (int(place) // width, int(place) % width, float(rate))
        for place, rate in zip(places, rates, strict=True)
    )


def _draw_columns(
    rng: np.random.Generator, width: int, probability: float, low: float, high: float
) -> tuple[tuple[int, float], ...]:
    if rng.random() >= probability:
        return ()
    column = int(rng.integers(8, width - 8)) if width > 16 else width // 2
    return ((column, float(rng.uniform(low, high))),)
