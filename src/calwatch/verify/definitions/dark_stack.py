"""Numbers and tests of stacked darks of one day (DMTN-101 §5.5-5.7)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_STACK = ("dark_stack",)

METRICS: tuple[Metric, ...] = (
    amp_metric("DARK_FRAMES", "count", _STACK, "the darks", "Darks of the set that were used."),
    amp_metric(
        "DARK_STACK_MEAN", "e-/s", _STACK, "the dark current of the stack",
        "Mean rate of the good pixels of all darks, clipped at 5σ in 3 passes.",
    ),
    amp_metric(
        "DARK_STACK_MEDIAN", "e-/s", _STACK, "the median of the stack",
        "Median rate of the good pixels of all darks.",
    ),
    amp_metric(
        "DARK_STACK_ERROR", "e-/s", _STACK, "the error of the dark current of the stack",
        "Statistical error of DARK_STACK_MEAN, with that of the certified bias and dark.",
    ),
    amp_metric(
        "DARK_STACK_P95", "e-/s", _STACK, "the 95 % point of the stack",
        "95 % point of the rates of the good pixels.",
    ),
    amp_metric(
        "DARK_HOT_FRACTION", "", _STACK, "the hot fraction",
        "Fraction of the good pixels that are 5 e-/s above the amplifier.",
    ),
    amp_metric(
        "DARK_ODD_EVEN_MEAN", "e-/s", _STACK, "the difference of the stacks",
        "Mean rate of the even darks less that of the odd ones, clipped at 5σ in 3 passes.",
    ),
    amp_metric(
        "DARK_ODD_EVEN_ERROR", "e-/s", _STACK, "the error of the difference of the stacks",
        "Statistical error of DARK_ODD_EVEN_MEAN.",
    ),
    amp_metric(
        "DARK_ODD_EVEN_NOISE", "e-/s", _STACK, "the noise of the difference of the stacks",
        "Clipped deviation (5σ, 3 passes) of the difference of the even and the odd stack.",
    ),
    amp_metric(
        "DARK_ODD_EVEN_NOISE_ERROR", "e-/s", _STACK,
        "the error of the noise of the difference of the stacks",
        "Statistical error of DARK_ODD_EVEN_NOISE.",
    ),
    amp_metric(
        "DARK_EXPECTED_NOISE", "e-/s", _STACK, "the expected noise of the difference",
        "Noise expected from the certified PTC noise and the shot noise of the dark current.",
    ),
    amp_metric(
        "DARK_TAIL", "e-/s", _STACK, "the tail of the dark current",
        "95 % point less median of the rates, less what the noise of the stack makes of it.",
    ),
    amp_metric(
        "DARK_TAIL_ERROR", "e-/s", _STACK, "the error of the tail",
        "Statistical error of DARK_TAIL.",
    ),
    amp_metric(
        "CERTIFIED_DARK_MEAN", "e-/s", _STACK, "the certified dark current",
        "Clipped mean of the certified dark over the same pixels.",
    ),
    amp_metric(
        "CERTIFIED_DARK_MEDIAN", "e-/s", _STACK, "the certified median",
        "50 % point of the certified dark, from its header.",
    ),
    amp_metric(
        "CERTIFIED_DARK_P95", "e-/s", _STACK, "the certified 95 % point",
        "95 % point of the certified dark, from its header.",
    ),
    amp_metric(
        "CERTIFIED_DARK_TAIL", "e-/s", _STACK, "the certified tail",
        "95 % point less median of the certified dark, less what its noise makes of it.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "DARK_CURRENT", "amp", _STACK, "The dark current is the certified one (DMTN-101 §5.5)."
    ),
    Test(
        "DARK_ODD_EVEN_MEAN", "amp", _STACK,
        "The stacks of even and odd darks have the same mean (DMTN-101 §5.6).",
    ),
    Test(
        "DARK_ODD_EVEN_NOISE", "amp", _STACK,
        "The difference of the stacks has the noise of so many darks (DMTN-101 §5.7).",
    ),
    Test(
        "DARK_TAIL", "amp", _STACK,
        "There are no more warm pixels than in the certified dark (DMTN-101 §5.5).",
    ),
)  # fmt: skip
