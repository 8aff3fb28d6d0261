"""Every number that verification measures and every test it knows: name, unit, meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Level = Literal["amp", "detector", "exposure"]
LEVELS: tuple[Level, ...] = ("amp", "detector", "exposure")

CALIB_TYPES = ("bias", "dark", "flat")
"""Calibration types with a verification of their own."""

DISTRIBUTION_LEVELS = ("0.0", "5.0", "16.0", "50.0", "84.0", "95.0", "100.0")
"""Percentiles that cp_pipe writes to the header of a combined calibration."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured number."""

    name: str
    unit: str
    """``e-``, ``adu``, ``e-/adu``, ``e-/s``, ``pixel``, ``count``, or empty for a ratio."""
    level: Level
    calib_types: tuple[str, ...]
    phrase: str
    """What the number is called in a sentence, such as ``the certified noise``."""
    description: str


@dataclass(frozen=True, slots=True)
class Test:
    """One test that a limits file may set a limit for."""

    name: str
    level: Level
    calib_types: tuple[str, ...]
    description: str


_ALL = CALIB_TYPES
_BIAS = ("bias",)
_DARK = ("dark",)
_FLAT = ("flat",)
_BIAS_DARK = ("bias", "dark")


def distribution_name(level: str) -> str:
    """Return the name of the metric that holds one percentile of the certified calibration."""
    return f"CALIB_DIST_P{float(level):.0f}"


def _amp(name: str, unit: str, types: tuple[str, ...], phrase: str, description: str) -> Metric:
    return Metric(name, unit, "amp", types, phrase, description)


_METRICS = (
    _amp("MEAN", "e-", _ALL, "the mean", "Plain mean of the good pixels."),
    _amp(
        "MEAN_ERROR", "e-", _ALL, "the error of the mean",
        "Statistical error of MEAN, with the error of the overscan levels and of the certified "
        "bias and dark.",
    ),
    _amp("MEDIAN", "e-", _ALL, "the median", "Median of the good pixels."),
    _amp("STDEV", "e-", _ALL, "the plain deviation", "Plain standard deviation (N−1)."),
    _amp("NOISE", "e-", _ALL, "the noise", "Standard deviation clipped at 5σ in 3 passes."),
    _amp("NOISE_ERROR", "e-", _ALL, "the error of the noise", "NOISE / sqrt(2·NGOOD)."),
    _amp(
        "CR_NOISE", "e-", _BIAS_DARK, "the plain deviation without cosmic rays",
        "Plain standard deviation after cosmic rays were replaced.",
    ),
    _amp(
        "PROCESSING", "", _BIAS_DARK, "the end of the cosmic-ray search",
        "1 if the search for cosmic rays came to an end, 0 if there were too many.",
    ),
    _amp("MIN", "e-", _ALL, "the minimum", "Smallest good pixel."),
    _amp("MAX", "e-", _ALL, "the maximum", "Largest good pixel."),
    _amp("NGOOD", "pixel", _ALL, "the good pixels", "Number of good pixels."),
    _amp("NMASKED", "pixel", _ALL, "the masked pixels", "Number of pixels left out."),
    _amp("NCLIPPED", "pixel", _ALL, "the clipped pixels", "Good pixels rejected in NOISE."),
    _amp(
        "SATURATED", "", _ALL, "the saturated fraction",
        "Fraction of raw imaging pixels at the rail of the converter; in flats also those above "
        "the certified turnoff.",
    ),
    _amp(
        "READ_NOISE_ADU", "adu", _ALL, "the overscan noise",
        "Clipped deviation (3σ, 3 passes) of the serial overscan after its correction.",
    ),
    _amp("READ_NOISE", "e-", _ALL, "the overscan noise", "READ_NOISE_ADU times the gain."),
    _amp(
        "READ_NOISE_ERROR",
        "e-",
        _ALL,
        "the error of the overscan noise",
        "READ_NOISE / sqrt(2·n), n the number of overscan pixels.",
    ),
    _amp("OVERSCAN_LEVEL", "adu", _ALL, "the overscan level", "Median of the serial overscan."),
    _amp("GAIN", "e-/adu", _ALL, "the certified gain", "Gain of the certified PTC."),
    _amp("PTC_NOISE", "e-", _ALL, "the certified", "Read noise of the certified PTC."),
    _amp(
        "PTC_OVERSCAN_MEDIAN", "adu", _ALL, "the certified",
        "Overscan level of the certified PTC.",
    ),
    _amp(
        "EXPECTED_NOISE", "e-", _ALL, "the expected",
        "Noise expected from the certified PTC noise, the noise of the certified calibrations "
        "and the shot noise.",
    ),
    _amp(
        "AMP_CORNER", "e-", _BIAS, "the corner mean",
        "Plain mean of the 200×200 pixels at the amplifier's lower-left corner.",
    ),
    _amp("BIAS_SHIFT_COUNT", "count", _BIAS, "the bias shifts", "Number of bias shifts."),
    _amp(
        "BIAS_SHIFT_NOISE", "adu", _BIAS, "the noise of the bias level",
        "High-frequency noise of the bias level from row to row.",
    ),
    _amp(
        "DARK_CURRENT", "e-/s", _DARK, "the dark current",
        "MEAN / time plus the mean of the certified dark over the same pixels.",
    ),
    _amp(
        "RELATIVE_LEVEL", "", _FLAT, "the level relative to the detector",
        "MEAN / median of the amplifiers' MEAN.",
    ),
    _amp(
        "RELATIVE_LEVEL_ERROR", "", _FLAT, "the error of the relative level",
        "MEAN_ERROR / median of the amplifiers' MEAN.",
    ),
    *(
        _amp(
            distribution_name(level), "", _ALL, f"the certified {level} % point",
            f"{level} % point of the certified calibration, in its own unit.",
        )
        for level in DISTRIBUTION_LEVELS
    ),
    Metric("DET_MEAN", "e-", "detector", _FLAT, "the mean", "Mean of the amplifiers' MEAN."),
    Metric(
        "DET_SCATTER", "e-", "detector", _FLAT, "the scatter of the amplifiers",
        "Standard deviation (N−1) of the amplifiers' MEAN.",
    ),
    Metric(
        "SEQUENCER_MISMATCHES", "count", "detector", _ALL, "the differing keywords",
        "Sequencer keywords in which the raw and a certified calibration differ.",
    ),
    Metric("EXP_MEAN", "e-", "exposure", _FLAT, "the mean", "Mean of the detectors' DET_MEAN."),
    Metric(
        "EXP_SCATTER", "e-", "exposure", _FLAT, "the scatter of the detectors",
        "Standard deviation (N) of the detectors' DET_MEAN.",
    ),
)  # fmt: skip

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _METRICS})
"""Every metric by name."""

_TESTS = (
    Test("MEAN", "amp", _BIAS_DARK, "The corrected mean is 0 (DMTN-101 §4.2, §5.2)."),
    Test("NOISE", "amp", _ALL, "The noise is the expected one (DMTN-101 §4.3, §5.3)."),
    Test("CR_NOISE", "amp", _BIAS_DARK, "Cosmic rays explain all outliers (§4.4, §5.4)."),
    Test("PROCESSING", "amp", _BIAS_DARK, "The search for cosmic rays came to an end."),
    Test("READ_NOISE_CONSISTENT", "amp", _BIAS_DARK, "The overscan has the certified noise."),
    Test("OVERSCAN_LEVEL", "amp", _ALL, "The overscan stands at the certified level."),
    Test("BIAS_SHIFT", "amp", _BIAS, "The bias level does not jump from row to row."),
    Test("LEVEL", "amp", _FLAT, "There is light."),
    Test("RELATIVE_LEVEL", "amp", _FLAT, "The amplifier is as bright as its neighbours."),
    Test("SATURATION", "amp", _FLAT, "The flat is not saturated."),
    Test("SCATTER", "detector", _FLAT, "The amplifiers of the detector agree."),
    Test("SEQUENCER", "detector", _ALL, "Raw and calibrations were read by one sequencer."),
    Test("SCATTER", "exposure", _FLAT, "The detectors of the exposure agree."),
)

TESTS: Mapping[tuple[str, Level], Test] = MappingProxyType(
    {(test.name, test.level): test for test in _TESTS}
)
"""Every test by name and level."""
