"""Which detectors did not come, and how it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals.completeness import finding, missing_of
from calwatch.arrivals.model import Expectation
from calwatch.arrivals.sal import expected_detectors
from calwatch.camera.loader import load_camera

CAMERA = load_camera("LSSTCam")
ENDED = datetime(2026, 11, 22, 15, tzinfo=UTC)
COMING = Expectation(
    "LSSTCam",
    2026112200010,
    "MC_O_20261122_000010",
    "bias",
    ENDED,
    ENDED + timedelta(seconds=240),
    expected_detectors(CAMERA),
)
HEAD = "LSSTCam bias MC_O_20261122_000010: "


@given(st.sets(st.integers(0, 204)))
def test_missing_is_what_is_expected_and_not_there(present: set[int]) -> None:
    missing = missing_of(COMING, present)
    assert list(missing) == sorted(missing)
    assert set(missing) | (present & set(COMING.expected)) == set(COMING.expected)
    assert not set(missing) & present


def test_detectors_and_whole_rafts_are_named() -> None:
    missing = [94, 191, *range(9, 18)]
    assert finding(COMING, missing, CAMERA) == (
        HEAD + "11 of 197 detectors are not in the Butler 240 s after readout: "
        "raft R02, R22_S11 (94), R00_SW0 (191)"
    )


def test_why_an_ingest_failed_is_said() -> None:
    text = finding(COMING, [94, 95], CAMERA, {94: "ingest failure: no space", 3: "old"})
    assert text.endswith(
        "R22_S11 (94), R22_S12 (95). Their ingest failed: R22_S11 (94): ingest failure: no space"
    )


def test_none_many_and_all() -> None:
    assert finding(COMING, [], CAMERA) == HEAD + "all 197 detectors are in the Butler now"
    assert finding(COMING, COMING.expected, CAMERA).endswith("after readout: all of them")
    assert finding(COMING, range(0, 189, 9), CAMERA).endswith("and 9 more")
    assert "detector 999" in finding(COMING, [999], CAMERA)


@given(st.sets(st.sampled_from(COMING.expected)))
def test_any_finding_is_short(missing: set[int]) -> None:
    text = finding(COMING, sorted(missing), CAMERA)
    assert len(text) < 500
    assert "\n" not in text
