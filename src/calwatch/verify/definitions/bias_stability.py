"""Numbers and tests of the stability of the biases of one day."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_STABILITY = ("bias_stability",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "BIAS_FRAMES", "count", _STABILITY, "the number of biases",
        "Biases of the day that were measured, less the first.",
    ),
    amp_metric(
        "BIAS_LEVEL_SPREAD", "adu", _STABILITY, "the spread of the overscan level",
        "95 % point less 5 % point of the overscan level over the biases of the day.",
    ),
    amp_metric(
        "BIAS_MEAN_SPREAD", "adu", _STABILITY, "the spread of the bias mean",
        "95 % point less 5 % point of the mean of the corrected biases of the day.",
    ),
    amp_metric(
        "BIAS_MEAN_SPREAD_EXPECTED", "adu", _STABILITY, "the spread that the noise makes",
        "BIAS_MEAN_SPREAD of an amplifier that is perfectly steady.",
    ),
    amp_metric(
        "BIAS_MEAN_SPREAD_ERROR", "adu", _STABILITY, "the error of the spread of the bias mean",
        "Statistical error of BIAS_MEAN_SPREAD.",
    ),
    amp_metric(
        "BIAS_LEVEL_SLOPE", "adu", _STABILITY, "the slope of the overscan level",
        "By how much the overscan level changes from one bias to the next: how it settles.",
    ),
    amp_metric(
        "BIAS_NOISE_SPREAD", "", _STABILITY, "the relative spread of the noise",
        "95 % point less 5 % point of the overscan noise over its median.",
    ),
    amp_metric(
        "BIAS_SHIFT_TOTAL", "count", _STABILITY, "the number of bias shifts",
        "Bias shifts within the frames of the day, together.",
    ),
    amp_metric(
        "BIAS_SHIFT_EXPECTED", "count", _STABILITY, "a count of bias shifts",
        "0 where bias shifts were looked for.",
    ),
    Metric(
        "RAFT_CORRELATION_MAX", "", "exposure", _STABILITY,
        "the largest correlation within a raft",
        "Mean correlation of the overscan levels of all pairs of amplifiers of the raft where it "
        "is largest.",
    ),
    Metric(
        "BIAS_SHIFTS_COMMON", "count", "exposure", _STABILITY,
        "the number of shifts that a raft has in common",
        "Frames and rafts in which the median overscan level of a raft is off by more than 1 ADU.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "BIAS_MEAN_SPREAD", "amp", _STABILITY,
        "The mean of the corrected biases stays where it is over the day (no DMTN-101 section).",
    ),
    Test(
        "BIAS_LEVEL_SPREAD", "amp", _STABILITY,
        "The overscan level stays where it is over the day (no DMTN-101 section).",
    ),
    Test(
        "BIAS_NOISE_SPREAD", "amp", _STABILITY,
        "The overscan noise stays what it is over the day (no DMTN-101 section).",
    ),
    Test(
        "BIAS_SHIFT_TOTAL", "amp", _STABILITY,
        "The biases of the day have no bias shifts (no DMTN-101 section).",
    ),
)  # fmt: skip
