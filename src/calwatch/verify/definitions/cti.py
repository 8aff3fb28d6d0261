"""Numbers and tests of charge transfer and tearing, from a pair of flats."""

from __future__ import annotations

from calwatch.verify.definitions.model import Metric, Test, amp_metric

_CTI = ("cti",)

METRICS: tuple[Metric, ...] = (
    amp_metric(
        "SERIAL_CTI", "", _CTI, "the serial CTI",
        "Share of charge lost per serial transfer, by EPER of both flats.",
    ),
    amp_metric(
        "SERIAL_CTI_ERROR", "", _CTI, "the error of the serial CTI",
        "Statistical error of SERIAL_CTI.",
    ),
    amp_metric(
        "PARALLEL_CTI", "", _CTI, "the parallel CTI",
        "Share of charge lost per parallel transfer, by EPER of both flats.",
    ),
    amp_metric(
        "PARALLEL_CTI_ERROR", "", _CTI, "the error of the parallel CTI",
        "Statistical error of PARALLEL_CTI.",
    ),
    amp_metric(
        "EPER_SIGNAL", "e-", _CTI, "the signal of the last column",
        "Signal of the last imaging column, mean of both flats, by the certified gain.",
    ),
    amp_metric(
        "DEFERRED_CHARGE", "adu", _CTI, "the deferred charge",
        "Excess of the first two serial overscan columns together, mean of both flats.",
    ),
    amp_metric(
        "CERTIFIED_GLOBAL_CTI", "", _CTI, "the certified global CTI",
        "Share of charge lost per serial transfer, of the certified CTI calibration.",
    ),
    amp_metric(
        "DIVISADERO", "", _CTI, "the divisadero",
        "Largest relative step between the edge columns of an amplifier and of the one beside it, "
        "each over the line through its columns further in. E2V only.",
    ),
    amp_metric(
        "DIVISADERO_EXPECTED", "", _CTI, "the expected divisadero",
        "0 where CCDs can tear (E2V) and the amplifier has a boundary that was measured.",
    ),
)  # fmt: skip

TESTS: tuple[Test, ...] = (
    Test(
        "SERIAL_CTI", "amp", _CTI,
        "The share of charge lost per serial transfer is within the requirement (no DMTN-101 "
        "section).",
    ),
    Test(
        "PARALLEL_CTI", "amp", _CTI,
        "The share of charge lost per parallel transfer is within the requirement (no DMTN-101 "
        "section).",
    ),
    Test(
        "SERIAL_CTI_CERTIFIED", "amp", _CTI,
        "The share of charge lost per serial transfer is the certified one (no DMTN-101 section).",
    ),
    Test(
        "DIVISADERO", "amp", _CTI,
        "The edge columns of an E2V amplifier do not tear (no DMTN-101 section).",
    ),
)  # fmt: skip
