"""Numbers and tests of linearity (DMTN-101 §7)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_LINEARITY = ("linearity",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "LINEARITY_MAX_RESIDUAL", "", _LINEARITY, "the largest residual",
        "Largest difference, of all pairs below the turnoff, of the linearized mean from "
        "proportionality to the light, over it. By the exposure time what all amplifiers have in "
        "common is taken out, by the photodiode it is not.",
    ),
    amp_metric(
        "LINEARITY_MAX_RESIDUAL_ERROR", "", _LINEARITY, "the error of the largest residual",
        "Statistical error of LINEARITY_MAX_RESIDUAL.",
    ),
    amp_metric(
        "LINEARITY_QUADRATIC", "1/adu", _LINEARITY, "the quadratic coefficient",
        "What a second linearizer of type Squared would have: residual by mean, sign reversed.",
    ),
    amp_metric(
        "LINEARITY_QUADRATIC_ERROR", "1/adu", _LINEARITY, "the error of the quadratic coefficient",
        "Statistical error of LINEARITY_QUADRATIC.",
    ),
    amp_metric(
        "LINEARITY_POLYNOMIAL_2", "1/adu", _LINEARITY, "the quadratic term of the polynomial",
        "Coefficient of the square in a second linearizer of type Polynomial, order 3.",
    ),
    amp_metric(
        "LINEARITY_POLYNOMIAL_2_ERROR", "1/adu", _LINEARITY,
        "the error of the quadratic term of the polynomial",
        "Statistical error of LINEARITY_POLYNOMIAL_2.",
    ),
    amp_metric(
        "LINEARITY_POLYNOMIAL_3", "1/adu", _LINEARITY, "the cubic term of the polynomial",
        "Coefficient of the cube in a second linearizer of type Polynomial, times 1000 ADU.",
    ),
    amp_metric(
        "LINEARITY_POLYNOMIAL_3_ERROR", "1/adu", _LINEARITY,
        "the error of the cubic term of the polynomial",
        "Statistical error of LINEARITY_POLYNOMIAL_3.",
    ),
    amp_metric(
        "LINEARITY_POINTS", "count", _LINEARITY, "the pairs below the turnoff",
        "Pairs that linearity is measured of.",
    ),
    amp_metric(
        "LINEARITY_MAX_MEAN", "adu", _LINEARITY, "the highest mean below the turnoff",
        "Up to what signal linearity is measured.",
    ),
    Metric(
        "LIGHT_BY_PHOTODIODE", "", "detector", _LINEARITY, "whether the photodiode gave the light",
        "1 where the light is the charge of the photodiode, 0 where it is the exposure time.",
    ),
    Metric(
        "LAMP_DRIFT", "", "detector", _LINEARITY, "what is not known of the light",
        "By the exposure time: the largest residual that all amplifiers have in common, the "
        "shutter's part taken out: the lamp, or a non-linearity of the whole detector. By the "
        "photodiode: the error of its charges (their median), or, where the amplifiers follow the "
        "exposure time and not the photodiode, COMMON_RESIDUAL.",
    ),
    Metric(
        "LIGHT_DRIFT", "", "detector", _LINEARITY, "the drift of the lamp",
        "By the photodiode: by how much its charge departs from the exposure time, the shutter's "
        "part taken out.",
    ),
    Metric(
        "COMMON_RESIDUAL", "", "detector", _LINEARITY, "the common residual",
        "By the photodiode: the largest residual that all amplifiers have in common.",
    ),
    Metric(
        "SHUTTER_OFFSET", "s", "detector", _LINEARITY, "the offset of the exposure time",
        "By what the light lasted longer than the exposure time says.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "MAX_RESIDUAL", "amp", _LINEARITY,
        "After its linearizer an amplifier is proportional to the light (DMTN-101 §7.1a, d).",
    ),
    Test(
        "QUADRATIC", "amp", _LINEARITY,
        "A second linearizer of type Squared would have nothing to correct (DMTN-101 §7.1b).",
    ),
    Test(
        "POLYNOMIAL_2", "amp", _LINEARITY,
        "A second polynomial would have no quadratic term (DMTN-101 §7.1c).",
    ),
    Test(
        "POLYNOMIAL_3", "amp", _LINEARITY,
        "A second polynomial would have no cubic term (DMTN-101 §7.1c).",
    ),
    Test(
        "LAMP_DRIFT", "detector", _LINEARITY,
        "The light is known, by exposure time or photodiode (what DMTN-101 §7 takes for granted).",
    ),
)  # fmt: skip
