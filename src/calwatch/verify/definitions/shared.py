"""Numbers of the certified calibrations and of the camera beside which sets are judged."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, amp_metric

_GAIN = ("gain", "ptc")

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "CERTIFIED_GAIN", "e-/adu", _GAIN, "the certified gain", "Gain of the certified PTC."
    ),
    amp_metric(
        "CERTIFIED_NOISE", "e-", _GAIN, "the certified noise", "Read noise of the certified PTC."
    ),
    amp_metric(
        "NOMINAL_GAIN", "e-/adu", _GAIN, "the nominal gain", "Gain of the camera description."
    ),
    amp_metric(
        "NOMINAL_NOISE", "e-", _GAIN, "the nominal noise", "Read noise of the camera description."
    ),
    amp_metric(
        "CERTIFIED_TURNOFF", "e-", ("ptc",), "the certified turnoff",
        "Turnoff of the certified PTC, its ADU times its gain.",
    ),
    amp_metric(
        "CERTIFIED_A00", "1/e-", ("ptc",), "the certified a00",
        "Brighter-fatter coefficient a00 of the certified PTC.",
    ),
)  # fmt: skip
