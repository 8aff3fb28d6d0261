"""Every fault that can be injected is found where it was injected, and nowhere else is a FAIL."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from calwatch.arrivals.reconcile import UNMEASURED
from calwatch.simulate.faults import KINDS
from calwatch.verify.model import DetectorResult, Verdict

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN

FOUND: Mapping[tuple[int, str, int], tuple[str, Verdict]] = {
    (2, "dark", 1): ("missing_calibration", UNKNOWN),
    (2, "dark", 3): ("missing_calibration", UNKNOWN),
    (2, "flat", 1): ("missing_calibration", UNKNOWN),
    (2, "flat", 5): ("missing_calibration", UNKNOWN),
    (3, "bias", 1): ("read_noise", FAIL),
    (3, "bias", 2): ("read_noise", FAIL),
    (3, "bias", 3): ("bias_jump", FAIL),
    (3, "bias", 4): ("bias_shift", FAIL),
    (3, "bias", 5): ("dead_amp", UNKNOWN),
    (3, "bias", 6): ("wrong_sequencer", FAIL),
    (3, "bias", 7): ("missing_hdu", UNKNOWN),
    (3, "bias", 8): ("truncated_file", UNKNOWN),
    (3, "dark", 1): ("light_leak", FAIL),
    (3, "dark", 2): ("nan_header", UNKNOWN),
    (3, "flat", 1): ("gain_step", FAIL),
    (3, "flat", 2): ("lamp_off", FAIL),
    (3, "flat", 3): ("saturated_flat", FAIL),
    (3, "flat", 4): ("dead_amp", UNKNOWN),
}
"""Exposure to the fault in it and the verdict it has to give."""

WORDS = {
    "missing_calibration": ("no usable dark", "none valid at 2026-03-10"),
    "dead_amp": ("all raw pixels are 0",),
    "missing_hdu": ("MN_O_20260311_000007_R00_S00.fits", "HDU Segment12 is missing"),
    "truncated_file": ("MN_O_20260311_000008_R00_S00.fits", "truncated"),
    "nan_header": ("MN_O_20260311_000011_R00_S00.fits", "DARKTIME"),
}
"""What the reason of an UNKNOWN has to say."""

SET_FAULTS = {"lamp_drift", "lamp_fading", "hot_pixels", "charge_loss", "more_crosstalk"}
"""What only sets notice: `test_sets.py` and, of a lamp that fades, `test_photodiode.py`."""


def told(nights, which) -> dict:
    """Return the record of the one fault of an exposure in ``truth.json``."""
    exposure_id = nights.jobs[which].exposure.exposure_id
    (fault,) = [f for f in nights.truth.faults if exposure_id in f["exposures"]]
    return fault


def failed(result: DetectorResult) -> dict[str, set[str]]:
    """Return the tests that FAILed, each with its amplifiers."""
    tests: dict[str, set[str]] = {
        name: set() for name, test in result.detector_tests.items() if test.verdict is FAIL
    }
    for amp, found in result.amps.items():
        for name, test in found.tests.items():
            if test.verdict is FAIL:
                tests.setdefault(name, set()).add(amp)
    return tests


def test_every_kind_of_fault_is_here() -> None:
    assert {kind for kind, _ in FOUND.values()} == set(KINDS) - SET_FAULTS


@pytest.mark.parametrize("which", FOUND, ids=lambda w: f"{FOUND[w][0]}-{w[0]}-{w[1]}-{w[2]}")
def test_a_fault_is_found_on_the_right_amplifiers(nights, verdicts, which) -> None:
    result, (kind, verdict) = verdicts[which], FOUND[which]
    truth = told(nights, which)
    assert truth["kind"] == kind
    assert result.verdict is verdict, result.reason
    for word in WORDS.get(kind, ()):
        assert word in result.reason
    if verdict is FAIL:
        tests = failed(result)
        injected = set(truth["amps"]["R00_S00"])
        # The first test that is expected to notice names exactly what was touched.
        first = next(name for name in truth["expected_tests"] if name in tests)
        assert tests[first] in (injected, set()), f"{first} on {sorted(tests[first])}"
        assert not tests[first] or tests[first] == injected
        if truth["scope"] == "amp":
            assert set.union(*tests.values()) <= injected
    elif kind == "dead_amp":
        (amp,) = truth["amps"]["R00_S00"]
        assert {n for n, a in result.amps.items() if a.verdict is UNKNOWN} == {amp}


def test_no_fault_free_exposure_fails(nights, verdicts) -> None:
    faulty = {number for fault in nights.truth.faults for number in fault["exposures"]}
    of_night_2 = {w for w in verdicts if w[0] == 2 and w[1] == "bias"}
    clean = {w for w, job in nights.jobs.items() if job.exposure.exposure_id not in faulty}
    clean |= of_night_2
    assert len(clean) >= 28
    wrong = {w: verdicts[w].reason for w in clean if verdicts[w].verdict is not PASS}
    assert wrong == {}


def test_every_number_stands_with_its_provenance(nights, verdicts) -> None:
    for which, result in verdicts.items():
        job = nights.jobs[which]
        expected = job.chain.fingerprint + ("" if result.amps else UNMEASURED)
        assert result.provenance["fingerprint"] == expected
        assert result.provenance["raw"]["uri"] == job.raw.uri
        used = result.provenance["chain"]
        assert {n: d["uuid"] for n, d in used.items()} == {
            n: d.uuid for n, d in job.chain.datasets.items()
        }
