"""Numbers and tests of a photon transfer curve (DMTN-101 §16)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_PTC = ("ptc",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "PTC_GAIN", "e-/adu", _PTC, "the fitted gain",
        "Gain of the EXPAPPROXIMATION fit to the variances of the pairs.",
    ),
    amp_metric(
        "PTC_GAIN_ERROR", "e-/adu", _PTC, "the error of the fitted gain",
        "Statistical error of PTC_GAIN, of the counted pixels, not scaled by the χ².",
    ),
    amp_metric(
        "PTC_FIT_NOISE", "e-", _PTC, "the fitted noise",
        "Read noise of the EXPAPPROXIMATION fit.",
    ),
    amp_metric(
        "PTC_FIT_NOISE_ERROR", "e-", _PTC, "the error of the fitted noise",
        "Statistical error of PTC_FIT_NOISE.",
    ),
    amp_metric(
        "PTC_A00", "1/e-", _PTC, "the fitted a00",
        "Brighter-fatter coefficient of the EXPAPPROXIMATION fit; negative where charge leaves.",
    ),
    amp_metric(
        "PTC_A00_ERROR", "1/e-", _PTC, "the error of the fitted a00",
        "Statistical error of PTC_A00.",
    ),
    amp_metric(
        "PTC_A00_OFFSET", "1/e-", _PTC, "the fitted a00 less the middle of its vendor's range",
        "PTC_A00 less the middle of the range that DMTN-101 §16.4 gives the vendor.",
    ),
    amp_metric(
        "PTC_A00_VENDOR_RANGE", "1/e-", _PTC, "half of the vendor's range of a00",
        "Half the width of the range that DMTN-101 §16.4 gives the vendor; none for others.",
    ),
    amp_metric(
        "PTC_TURNOFF", "e-", _PTC, "the end of the curve",
        "Highest mean on the curve times PTC_GAIN.",
    ),
    amp_metric(
        "PTC_TURNOFF_ERROR", "e-", _PTC, "the gap above the end of the curve",
        "From PTC_TURNOFF to the lowest mean that has left the curve; 0 if none was measured.",
    ),
    amp_metric(
        "PTC_TURNOFF_REQUIRED", "e-", _PTC, "the turnoff that is required",
        "90 ke- of DMTN-101 §16.3; none where the sequence stops before, still on the curve.",
    ),
    amp_metric(
        "PTC_MAX_MEAN", "adu", _PTC, "the highest mean", "Highest mean of all measured pairs."
    ),
    amp_metric("PTC_POINTS", "count", _PTC, "the pairs on the curve", "Pairs that were fitted."),
    amp_metric(
        "PTC_REJECTED", "count", _PTC, "the pairs off the curve",
        "Measured pairs that were not fitted, those above the turnoff with them.",
    ),
    amp_metric(
        "PTC_CHI2", "", _PTC, "the χ² of the curve",
        "χ² per degree of freedom of the EXPAPPROXIMATION fit.",
    ),
    amp_metric(
        "PTC_FULL_GAIN", "e-/adu", _PTC, "the gain of all covariances",
        "Gain of the FULLCOVARIANCE fit to all lags.",
    ),
    amp_metric(
        "PTC_FULL_GAIN_ERROR", "e-/adu", _PTC, "the error of the gain of all covariances",
        "Statistical error of PTC_FULL_GAIN.",
    ),
    amp_metric(
        "PTC_FULL_NOISE", "e-", _PTC, "the noise of all covariances",
        "Read noise of the FULLCOVARIANCE fit.",
    ),
    amp_metric(
        "PTC_FULL_NOISE_ERROR", "e-", _PTC, "the error of the noise of all covariances",
        "Statistical error of PTC_FULL_NOISE.",
    ),
    amp_metric(
        "PTC_FULL_A00", "1/e-", _PTC, "the a00 of all covariances",
        "First element of the matrix a of the FULLCOVARIANCE fit.",
    ),
    amp_metric(
        "PTC_FULL_A00_ERROR", "1/e-", _PTC, "the error of the a00 of all covariances",
        "Statistical error of PTC_FULL_A00.",
    ),
    amp_metric(
        "PTC_FULL_CHI2", "", _PTC, "the χ² of all covariances",
        "χ² per degree of freedom of the FULLCOVARIANCE fit.",
    ),
    amp_metric(
        "PTC_NOISE_SCATTER", "adu", _PTC, "the scatter of the overscan noise",
        "Deviation (N in the denominator) of the overscan noise of the pairs on the curve.",
    ),
    amp_metric(
        "PTC_NOISE_CHANGE", "", _PTC, "the change of the overscan noise with the signal",
        "Slope of the overscan noise with the mean, times the highest mean, over the noise.",
    ),
    amp_metric(
        "PTC_NOISE_CHANGE_ERROR", "", _PTC, "the error of the change of the overscan noise",
        "Error of PTC_NOISE_CHANGE from the scatter about the line.",
    ),
    amp_metric(
        "ROW_MEAN_VARIANCE_SLOPE", "", _PTC, "the variance of row means over the expected",
        "Sum of the variances of row means, e-², over that of independent pixels with shot noise.",
    ),
    amp_metric(
        "ROW_MEAN_VARIANCE_SLOPE_ERROR", "", _PTC, "the error of the variance of row means",
        "Statistical error of ROW_MEAN_VARIANCE_SLOPE.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "PTC_GAIN", "amp", _PTC,
        "The gain of the curve is the certified one, or as cp_verify has it the nominal one "
        "(DMTN-101 §16.1).",
    ),
    Test(
        "PTC_NOISE", "amp", _PTC,
        "The read noise of the curve is the certified one, or as cp_verify has it the nominal one "
        "(DMTN-101 §16.2).",
    ),
    Test("PTC_TURNOFF", "amp", _PTC, "The curve reaches 90 ke- (DMTN-101 §16.3)."),
    Test(
        "PTC_A00", "amp", _PTC,
        "The brighter-fatter coefficient is in the range of its vendor (DMTN-101 §16.4).",
    ),
    Test(
        "PTC_A00_CERTIFIED", "amp", _PTC,
        "The brighter-fatter coefficient is the certified one (DMTN-101 §16.4 has its range only).",
    ),
    Test(
        "NOISE_SIGNAL_INDEPENDENCE", "amp", _PTC,
        "The noise of the overscan does not depend on the signal (no DMTN-101 section; cp_verify).",
    ),
    Test(
        "ROW_MEAN_VARIANCE", "amp", _PTC,
        "Row means scatter as independent pixels do (no DMTN-101 section; a number of cp_verify).",
    ),
)  # fmt: skip
