"""Numbers and tests of a pair of flats: gain, noise, boundaries of amplifiers (DMTN-101 §6)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_GAIN = ("gain",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "PAIR_MEAN_1", "adu", _GAIN, "the mean of the first flat",
        "Mean of the first flat, clipped at 5.5σ in 3 passes.",
    ),
    amp_metric(
        "PAIR_MEAN_2", "adu", _GAIN, "the mean of the second flat",
        "Mean of the second flat, clipped at 5.5σ in 3 passes.",
    ),
    amp_metric("PAIR_MEAN", "adu", _GAIN, "the mean of the pair", "Mean of both flats."),
    amp_metric(
        "PAIR_VARIANCE", "adu^2", _GAIN, "the variance of the pair",
        "Variance of one flat, from the clipped difference of both, scaled to the same light.",
    ),
    amp_metric(
        "PAIR_NPIXELS", "pixel", _GAIN, "the pixels of the pair",
        "Pixels that PAIR_VARIANCE is measured of.",
    ),
    amp_metric(
        "PAIR_BALANCE", "", _GAIN, "the difference of the two flats",
        "Difference of the means of both flats over their mean.",
    ),
    amp_metric(
        "PAIR_GAIN", "e-/adu", _GAIN, "the gain of the pair",
        "Gain at the signal of the pair, fully corrected for the read noise.",
    ),
    amp_metric(
        "PAIR_GAIN_ERROR", "e-/adu", _GAIN, "the error of the gain of the pair",
        "Statistical error of PAIR_GAIN.",
    ),
    amp_metric(
        "PAIR_GAIN_NONE", "e-/adu", _GAIN, "the gain with the read noise in it",
        "Gain at the signal of the pair, not corrected for the read noise.",
    ),
    amp_metric(
        "PAIR_GAIN_SIMPLE", "e-/adu", _GAIN, "the gain corrected to first order",
        "Gain at the signal of the pair, corrected for the read noise to first order.",
    ),
    amp_metric(
        "PAIR_GAIN_CORRECTED", "e-/adu", _GAIN, "the gain less the vendor's slope",
        "PAIR_GAIN less the brighter-fatter slope of the vendor, as cp_verify has it.",
    ),
    amp_metric(
        "PAIR_GAIN_ZERO", "e-/adu", _GAIN, "the gain at zero signal",
        "Gain of the pair brought to zero signal with the certified a00, or where there is none "
        "with that of the vendor.",
    ),
    amp_metric(
        "PAIR_GAIN_ZERO_ERROR", "e-/adu", _GAIN, "the error of the gain at zero signal",
        "Statistical error of PAIR_GAIN_ZERO.",
    ),
    amp_metric(
        "NOISE_ADU", "adu", _GAIN, "the overscan noise",
        "Clipped deviation of the serial overscan after its correction, mean of both flats.",
    ),
    amp_metric(
        "PAIR_NOISE", "e-", _GAIN, "the read noise of the pair",
        "NOISE_ADU, with what its clipping and its medians took of it, times PAIR_GAIN_ZERO.",
    ),
    amp_metric(
        "PAIR_NOISE_ERROR", "e-", _GAIN, "the error of the read noise of the pair",
        "Statistical error of PAIR_NOISE.",
    ),
    amp_metric(
        "ROW_MEAN_VARIANCE", "adu^2", _GAIN, "the variance of the row means",
        "Clipped variance of the row means of the difference of both flats.",
    ),
    amp_metric(
        "BOUNDARY_GAIN_RATIO", "", _GAIN, "the factor from the boundaries",
        "What the certified gain must be multiplied by for the flat to be continuous over the "
        "boundaries of amplifiers; median 1 over the detector.",
    ),
    amp_metric(
        "BOUNDARY_GAIN_ERROR", "", _GAIN, "the error of the factor from the boundaries",
        "Statistical error of BOUNDARY_GAIN_RATIO.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "PAIR_GAIN", "amp", _GAIN,
        "The gain of a pair of flats, at zero signal, is the certified one (DMTN-101 §6.2).",
    ),
    Test(
        "PAIR_GAIN_NOMINAL", "amp", _GAIN,
        "The gain of a pair of flats, at zero signal, is the nominal one of the camera (DMTN-101 "
        "§6.2).",
    ),
    Test(
        "PAIR_NOISE", "amp", _GAIN,
        "The overscan noise times the gain of the pair is the certified read noise, or as "
        "cp_verify has it the nominal one (DMTN-101 §6.1).",
    ),
    Test(
        "BOUNDARY_GAIN", "amp", _GAIN,
        "The certified gains make the flat continuous over the boundaries of amplifiers (DMTN-101 "
        "§6.3).",
    ),
    Test(
        "PAIR_BALANCE", "amp", _GAIN,
        "Both flats of a pair have the same light (what DMTN-101 §6 takes for granted).",
    ),
)  # fmt: skip
