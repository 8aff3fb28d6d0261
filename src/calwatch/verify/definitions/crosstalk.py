"""Numbers and tests of crosstalk (DMTN-101 §9)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_CROSSTALK = ("crosstalk",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "CROSSTALK_RESIDUAL", "", _CROSSTALK, "the crosstalk left by the correction",
        "Of all coefficients that an amplifier gives or takes after the correction the one that is "
        "most surely not zero, without its sign.",
    ),
    amp_metric(
        "CROSSTALK_RESIDUAL_ERROR", "", _CROSSTALK, "the error of the crosstalk left",
        "Statistical error of CROSSTALK_RESIDUAL.",
    ),
    amp_metric(
        "CROSSTALK_SIGNIFICANT", "count", _CROSSTALK, "the number of its significant coefficients",
        "Coefficients that an amplifier gives or takes, above 2e-5 and 5 errors off zero.",
    ),
    amp_metric(
        "CROSSTALK_PIXELS", "pixel", _CROSSTALK, "its bright pixels",
        "Bright pixels of the amplifier that its crosstalk to the others was measured with.",
    ),
    Metric(
        "CROSSTALK_DETECTIONS", "count", "detector", _CROSSTALK,
        "a bright feature to measure crosstalk with",
        "Coefficients of the whole detector above 2e-5 and 5 errors off zero; absent where no "
        "feature is bright enough to measure any.",
    ),
    Metric(
        "CROSSTALK_SOURCES", "count", "detector", _CROSSTALK, "the number of sources",
        "Amplifiers with bright features that were used.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "CROSSTALK_RESIDUAL", "amp", _CROSSTALK,
        "After the correction no amplifier shows the bright features of another (DMTN-101 §9.2).",
    ),
    Test(
        "NO_SIGNIFICANT_DETECTION", "detector", _CROSSTALK,
        "After the correction no significant coefficient is left (DMTN-101 §9.2).",
    ),
)  # fmt: skip
