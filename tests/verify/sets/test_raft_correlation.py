"""Levels that move together within a raft are seen, and those that do not are not."""

import math

import numpy as np
import pytest

from calwatch.verify.model import DetectorResult, Verdict
from calwatch.verify.sets.raft_correlation import exposure_metrics, mean_correlation


def _result(name, changes, exposures=None, number=0):
    exposures = np.arange(changes.shape[1]) if exposures is None else exposures
    arrays = {"level_changes": changes, "level_exposures": np.asarray(exposures, float)}
    return DetectorResult(
        "MiniCam", 1, number, name, "bias_stability", Verdict.PASS, "", {}, {}, {}, {}, "1", "",
        arrays=arrays,
    )  # fmt: skip


def _raft(name, seed, common=0.0):
    rng = np.random.default_rng(seed)
    shared = common * rng.standard_normal(19)
    return [
        _result(f"{name}_S{i}{j}", 0.1 * (rng.standard_normal((16, 19)) + shared))
        for i in range(3)
        for j in range(3)
    ]


def test_a_raft_that_moves_together_is_seen_among_others():
    quiet = exposure_metrics([*_raft("R01", 1), *_raft("R02", 2)])
    assert abs(quiet["RAFT_CORRELATION_MAX"]) < 0.05
    found = exposure_metrics([*_raft("R01", 1), *_raft("R02", 2, common=1.0)])
    assert found["RAFT_CORRELATION_MAX"] == pytest.approx(0.5, abs=0.2)
    assert found["BIAS_SHIFTS_COMMON"] == 0


def test_a_step_of_the_whole_raft_is_counted_once():
    raft = _raft("R01", 1)
    for result in raft:
        result.arrays["level_changes"][:, 7] += 3
    found = exposure_metrics([*raft, *_raft("R02", 2)])
    assert found["BIAS_SHIFTS_COMMON"] == 1
    assert found["RAFT_CORRELATION_MAX"] > 0.9


def test_only_frames_that_all_detectors_have_are_compared():
    rng = np.random.default_rng(1)
    shared = rng.standard_normal(20)
    one = _result("R01_S00", np.tile(shared, (2, 1)))
    other = _result("R01_S01", np.tile(np.delete(shared, 3), (2, 1)), np.delete(np.arange(20), 3))
    assert exposure_metrics([one, other])["RAFT_CORRELATION_MAX"] == pytest.approx(1)


def test_nothing_to_compare_is_no_number():
    nothing = {"RAFT_CORRELATION_MAX": None, "BIAS_SHIFTS_COMMON": None}
    assert exposure_metrics([]) == nothing
    assert exposure_metrics([_result("R01_S00", np.ones((1, 19)))]) == nothing
    assert exposure_metrics([_result("R01_S00", np.ones((4, 3)))]) == nothing
    assert exposure_metrics([_result("R01_S00", np.full((4, 19), math.nan))]) == nothing
    still = exposure_metrics([_result("R01_S00", np.zeros((4, 19)))])
    assert still == {"RAFT_CORRELATION_MAX": None, "BIAS_SHIFTS_COMMON": 0}


def test_arrays_as_json_has_them_are_read():
    changes = np.random.default_rng(1).standard_normal((3, 10))
    lists = [list(row) for row in changes]
    lists.append([None] * 10)
    result = _result("R01_S00", changes)
    result.arrays["level_changes"] = lists
    result.arrays["level_exposures"] = list(range(10))
    found = exposure_metrics([result])
    assert found["RAFT_CORRELATION_MAX"] == pytest.approx(mean_correlation(changes))


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_correlation_is_that_of_all_pairs(seed):
    changes = np.random.default_rng(seed).standard_normal((6, 12))
    matrix = np.corrcoef(changes)
    wanted = matrix[~np.eye(6, dtype=bool)].mean()
    assert mean_correlation(changes) == pytest.approx(wanted)
