"""Numbers and tests of defects (DMTN-101 §3)."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_DEFECTS = ("defects",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "DEFECT_FRAMES", "count", _DEFECTS, "the frames", "Frames of the set that were used."
    ),
    amp_metric(
        "CERTIFIED_DEFECTS", "pixel", _DEFECTS, "the certified defects",
        "Pixels that the certified calibrations mask.",
    ),
    amp_metric(
        "NO_LONGER_SEEN", "pixel", _DEFECTS, "the defects no longer seen",
        "Masked pixels that look like any other in these frames; they may be bad in others.",
    ),
    amp_metric(
        "NEW_BRIGHT_PIXELS", "pixel", _DEFECTS, "the new bright pixels",
        "Pixels too bright in most frames (darks: by 5 e-/s; flats: by 20 %) that are not masked, "
        "less those in new bad columns.",
    ),
    amp_metric(
        "NEW_DARK_PIXELS", "pixel", _DEFECTS, "the new dark pixels",
        "Pixels of flats too dark by 20 % in most frames that are not masked, less those in new "
        "bad columns.",
    ),
    amp_metric(
        "UNSTABLE_PIXELS", "pixel", _DEFECTS, "the unstable pixels",
        "Pixels that scatter between frames by more than noise explains and are neither masked, "
        "bright nor dark, nor hit once (of ten frames or more, twice).",
    ),
    amp_metric(
        "NEW_BAD_COLUMNS", "count", _DEFECTS, "the new bad columns",
        "Columns whose mean stands off those beside it (darks: by 1 e-/s; flats: by 5 %), or of "
        "which a fifth is new defects.",
    ),
    amp_metric(
        "DEFECT_PIXELS", "pixel", _DEFECTS, "the masked pixels",
        "Pixels of the first frame that are masked as BAD or no numbers.",
    ),
    amp_metric(
        "DEFECT_FRACTION", "", _DEFECTS, "the masked fraction",
        "DEFECT_PIXELS over the pixels of the amplifier.",
    ),
    amp_metric(
        "DEFECT_OUTLIERS", "pixel", _DEFECTS, "the outliers outside the mask",
        "Pixels of the first frame clipped at 5σ in 3 passes, BAD ones left out.",
    ),
    amp_metric(
        "DEFECT_STDEV", "e-", _DEFECTS, "the deviation outside the mask",
        "Clipped deviation of the first frame, BAD pixels left out.",
    ),
    amp_metric(
        "DEFECT_MIN", "e-", _DEFECTS, "the minimum outside the mask",
        "Smallest pixel of the first frame, BAD ones left out.",
    ),
    amp_metric(
        "DEFECT_MAX", "e-", _DEFECTS, "the maximum outside the mask",
        "Largest pixel of the first frame, BAD ones left out.",
    ),
    amp_metric(
        "UNMASKED_OUTLIERS", "pixel", _DEFECTS, "the outliers with the masked",
        "Pixels of the first frame clipped at 5σ in 3 passes, BAD ones among them.",
    ),
    amp_metric(
        "UNMASKED_STDEV", "e-", _DEFECTS, "the deviation with the masked",
        "Clipped deviation of the first frame, BAD pixels among it.",
    ),
    amp_metric(
        "UNMASKED_MIN", "e-", _DEFECTS, "the minimum with the masked",
        "Smallest pixel of the first frame, BAD ones among them.",
    ),
    amp_metric(
        "UNMASKED_MAX", "e-", _DEFECTS, "the maximum with the masked",
        "Largest pixel of the first frame, BAD ones among them.",
    ),
    amp_metric(
        "STAT_OUTLIERS", "pixel", _DEFECTS, "the improbable pixels",
        "Pixels of the first frame, BAD ones among them, where the normal density is below one in "
        "the number of pixels.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "NEW_BRIGHT_PIXELS", "amp", _DEFECTS,
        "The certified mask has all bright pixels (DMTN-101 §3).",
    ),
    Test(
        "NEW_DARK_PIXELS", "amp", _DEFECTS, "The certified mask has all dark pixels (DMTN-101 §3)."
    ),
    Test(
        "UNSTABLE_PIXELS", "amp", _DEFECTS,
        "Outside the certified mask pixels scatter as noise does (DMTN-101 §3).",
    ),
    Test(
        "NEW_BAD_COLUMNS", "amp", _DEFECTS,
        "The certified mask has all bad columns (DMTN-101 §3).",
    ),
    Test(
        "DEFECT_OUTLIERS", "amp", _DEFECTS,
        "The mask takes away outliers (cp_verify only, not in DMTN-101).",
    ),
    Test(
        "DEFECT_STDEV", "amp", _DEFECTS,
        "The mask does not raise the deviation (cp_verify only, not in DMTN-101).",
    ),
    Test(
        "DEFECT_MIN", "amp", _DEFECTS,
        "The mask does not lower the minimum (cp_verify only, not in DMTN-101).",
    ),
    Test(
        "DEFECT_MAX", "amp", _DEFECTS,
        "The mask does not raise the maximum (cp_verify only, not in DMTN-101).",
    ),
    Test(
        "DEFECT_PROBABILITY", "amp", _DEFECTS,
        "There are as many improbable pixels as masked ones (cp_verify only, not in DMTN-101).",
    ),
)  # fmt: skip
