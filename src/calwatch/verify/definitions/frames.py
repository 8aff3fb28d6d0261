"""Numbers and tests of single exposures: bias, dark and flat."""

from __future__ import annotations

from calwatch.verify.definitions.model import FRAME_TYPES, Metric, Test, amp_metric

DISTRIBUTION_LEVELS = ("0.0", "5.0", "16.0", "50.0", "84.0", "95.0", "100.0")
"""Percentiles that cp_pipe writes to the header of a combined calibration."""

_ALL = FRAME_TYPES
_BIAS = ("bias",)
_DARK = ("dark",)
_FLAT = ("flat",)
_BIAS_DARK = ("bias", "dark")


def distribution_name(level: str) -> str:
    """Return the name of the metric that holds one percentile of the certified calibration."""
    return f"CALIB_DIST_P{float(level):.0f}"


METRICS: tuple[Metric, ...] = (
    amp_metric("MEAN", "e-", _ALL, "the mean", "Plain mean of the good pixels."),
    amp_metric(
        "MEAN_ERROR", "e-", _ALL, "the error of the mean",
        "Statistical error of MEAN, with the error of the overscan levels and of the certified "
        "bias and dark.",
    ),
    amp_metric("MEDIAN", "e-", _ALL, "the median", "Median of the good pixels."),
    amp_metric("STDEV", "e-", _ALL, "the plain deviation", "Plain standard deviation (N−1)."),
    amp_metric("NOISE", "e-", _ALL, "the noise", "Standard deviation clipped at 5σ in 3 passes."),
    amp_metric("NOISE_ERROR", "e-", _ALL, "the error of the noise", "NOISE / sqrt(2·NGOOD)."),
    amp_metric(
        "CR_NOISE", "e-", _BIAS_DARK, "the plain deviation without cosmic rays",
        "Plain standard deviation after cosmic rays were replaced.",
    ),
    amp_metric(
        "PROCESSING", "", _BIAS_DARK, "the end of the cosmic-ray search",
        "1 if the search for cosmic rays came to an end, 0 if there were too many.",
    ),
    amp_metric("MIN", "e-", _ALL, "the minimum", "Smallest good pixel."),
    amp_metric("MAX", "e-", _ALL, "the maximum", "Largest good pixel."),
    amp_metric("NGOOD", "pixel", _ALL, "the good pixels", "Number of good pixels."),
    amp_metric("NMASKED", "pixel", _ALL, "the masked pixels", "Number of pixels left out."),
    amp_metric("NCLIPPED", "pixel", _ALL, "the clipped pixels", "Good pixels rejected in NOISE."),
    amp_metric(
        "SATURATED", "", _ALL, "the saturated fraction",
        "Fraction of raw imaging pixels at the rail of the converter; in flats also those above "
        "the certified turnoff.",
    ),
    amp_metric(
        "READ_NOISE_ADU", "adu", _ALL, "the overscan noise",
        "Clipped deviation (3σ, 3 passes) of the serial overscan after its correction.",
    ),
    amp_metric("READ_NOISE", "e-", _ALL, "the overscan noise", "READ_NOISE_ADU times the gain."),
    amp_metric(
        "READ_NOISE_ERROR",
        "e-",
        _ALL,
        "the error of the overscan noise",
        "READ_NOISE / sqrt(2·n), n the number of overscan pixels.",
    ),
    amp_metric(
        "OVERSCAN_LEVEL", "adu", _ALL, "the overscan level", "Median of the serial overscan."
    ),
    amp_metric("GAIN", "e-/adu", _ALL, "the certified gain", "Gain of the certified PTC."),
    amp_metric("PTC_NOISE", "e-", _ALL, "the certified", "Read noise of the certified PTC."),
    amp_metric(
        "PTC_OVERSCAN_MEDIAN", "adu", _ALL, "the certified",
        "Overscan level of the certified PTC.",
    ),
    amp_metric(
        "EXPECTED_NOISE", "e-", _ALL, "the expected",
        "Noise expected from the certified PTC noise, the noise of the certified calibrations "
        "and the shot noise.",
    ),
    amp_metric(
        "AMP_CORNER", "e-", _BIAS, "the corner mean",
        "Plain mean of the 200×200 pixels at the amplifier's lower-left corner.",
    ),
    amp_metric("BIAS_SHIFT_COUNT", "count", _BIAS, "the bias shifts", "Number of bias shifts."),
    amp_metric(
        "BIAS_SHIFT_NOISE", "adu", _BIAS, "the noise of the bias level",
        "High-frequency noise of the bias level from row to row.",
    ),
    amp_metric(
        "DARK_CURRENT", "e-/s", _DARK, "the dark current",
        "MEAN / time plus the mean of the certified dark over the same pixels.",
    ),
    amp_metric(
        "RELATIVE_LEVEL", "", _FLAT, "the level relative to the detector",
        "MEAN / median of the amplifiers' MEAN.",
    ),
    amp_metric(
        "RELATIVE_LEVEL_ERROR", "", _FLAT, "the error of the relative level",
        "MEAN_ERROR / median of the amplifiers' MEAN.",
    ),
    *(
        amp_metric(
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

TESTS: tuple[Test, ...] = (
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
