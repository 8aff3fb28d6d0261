"""Counting numbers together is the same as having them all at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.report.numbers import Numbers, Spread
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict

VALUES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=3, max_size=3)


@given(st.lists(VALUES, min_size=1, max_size=12))
def test_a_spread_is_that_of_all_values(exposures: list[list[float | None]]) -> None:
    every = np.array(exposures, dtype=float)
    spread = Spread((1, 3))
    for values in every:
        spread.add(values[np.newaxis])
    for amp in range(3):
        there = every[:, amp][np.isfinite(every[:, amp])]
        mean = spread.mean(0)[amp]
        if there.size == 0:
            assert np.isnan(mean)
            continue
        assert mean == pytest.approx(there.mean(), abs=1e-6)
        assert (spread.low[0, amp], spread.high[0, amp]) == (there.min(), there.max())


def judged(value: float | None, limit=(0.0, 2.0), verdict: Verdict = Verdict.PASS) -> TestResult:
    severity = "SERIOUS" if verdict is Verdict.FAIL else ""
    return TestResult("NOISE", verdict, value, limit, "e-", "4.3", severity, True, "")


def result(**tests: TestResult) -> DetectorResult:
    amps = {
        amp: AmpResult({"NOISE": test.value}, {"NOISE": test}, test.verdict)
        for amp, test in tests.items()
    }
    return DetectorResult(
        "LSSTCam", 1, 94, "R22_S11", "bias", Verdict.PASS, "", amps, {}, {}, {}, "1", "dmtn101"
    )


def test_the_worst_amplifier_is_the_farthest_of_all_exposures() -> None:
    numbers = Numbers()
    numbers.add("bias", result(C00=judged(1.0), C01=judged(3.0, verdict=Verdict.FAIL)))
    numbers.add("bias", result(C00=judged(1.5), C01=judged(1.0)))
    (row,) = numbers.by_detector()
    assert (row.worst_part, row.worst_value, row.distance) == ("C01", 3.0, 2.0)
    assert (row.median, row.low, row.low_part, row.high, row.high_part) == (
        1.625, 1.0, "C00", 3.0, "C01",
    )  # fmt: skip
    one, other = numbers.focal()["bias"]
    assert (one.amp, one.outcome, other.amp, other.outcome) == ("C00", "P", "C01", "F")
    assert (other.value, other.exposure_id) == (3.0, 1)


def test_a_count_on_its_limit_stands_near_to_nothing() -> None:
    numbers = Numbers()
    numbers.add("bias", result(C00=judged(1.0, (1.0, None))))
    (row,) = numbers.by_detector()
    assert row.distance is None


def test_what_has_no_number_has_none_in_the_table() -> None:
    numbers = Numbers()
    numbers.add("bias", result(C00=judged(None, verdict=Verdict.UNKNOWN)))
    (row,) = numbers.by_detector()
    assert (row.median, row.low, row.high, row.worst_part) == (None, None, None, "")
    (camera,) = numbers.of_camera()
    assert camera.median is None
    numbers.add("bias", result())
    assert len(list(numbers.by_detector())) == 1
