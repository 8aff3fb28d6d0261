from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.butler.lookup import Span
from calwatch.butler.repository import Repository
from calwatch.errors import NameRuleError, StopError
from calwatch.offline.certify import certify, validity
from calwatch.offline.datasets import put_calibration

RUN = "MiniCam/calib/DM-1/mini/biasGen.20260101a"
CERTIFIED = "MiniCam/calib/DM-1/mini/bias.20260101a"


def test_a_certified_calibration_applies_in_its_range(root: Path, calibration: Path) -> None:
    uuid = put_calibration(root, RUN, "bias", 1, calibration)
    assert certify(root, RUN, "bias", CERTIFIED, "2026-01-10T12:00:00", "2026-01-11") == 1
    with Repository.open(root) as repository:
        found = {
            mjd: repository.chains_at("MiniCam", Span(mjd, mjd), ["bias"], [1], "", CERTIFIED)[1]
            for mjd in (61050.49, 61050.5, 61050.99, 61051.0)
        }
    assert [bool(chain.datasets) for chain in found.values()] == [False, True, True, False]
    data = found[61050.5].datasets["bias"]
    assert (data.uuid, data.run, data.collection) == (uuid, RUN, CERTIFIED)
    assert (data.begin_tai, data.end_tai) == (61050.5, 61051.0)


def test_overlap_is_refused_and_both_are_named(root: Path, calibration: Path) -> None:
    second = RUN[:-1] + "b"
    old = put_calibration(root, RUN, "bias", 0, calibration)
    new = put_calibration(root, second, "bias", 0, calibration)
    certify(root, RUN, "bias", CERTIFIED, "2026-01-10", "2026-02-01")
    with pytest.raises(StopError) as error:
        certify(root, second, "bias", CERTIFIED, "2026-01-31")
    assert old in str(error.value)
    assert new in str(error.value)
    assert "2026-01-31T00:00:00" in str(error.value)
    assert certify(root, second, "bias", CERTIFIED, "2026-02-01") == 1


@pytest.mark.parametrize(
    ("run", "collection", "calib_type", "begin", "end", "error", "words"),
    [
        ("mine", CERTIFIED, "bias", None, None, NameRuleError, "generation collection 'mine'"),
        (RUN, "mine", "bias", None, None, NameRuleError, "certified collection 'mine'"),
        (RUN, RUN, "bias", None, None, NameRuleError, "name of a generation"),
        (RUN, CERTIFIED, "dark", None, None, NameRuleError, "named for bias"),
        (RUN, CERTIFIED, "bias", "2026-02-01", "2026-02-01", StopError, "empty"),
        (RUN, CERTIFIED, "bias", "soon", None, StopError, "begin: 'soon'"),
        (RUN[:-1] + "z", CERTIFIED, "bias", None, None, StopError, "no collection"),
    ],
)
def test_wrong_use_is_told_in_words(
    root: Path,
    calibration: Path,
    run: str,
    collection: str,
    calib_type: str,
    begin: str | None,
    end: str | None,
    error: type[Exception],
    words: str,
) -> None:
    put_calibration(root, RUN, "bias", 0, calibration)
    with pytest.raises(error, match=words):
        certify(root, run, calib_type, collection, begin, end)


def test_a_run_without_the_type_is_told(root: Path, calibration: Path) -> None:
    put_calibration(root, RUN, "bias", 0, calibration)
    with pytest.raises(StopError, match="no dataset type 'dark'"):
        certify(root, RUN, "dark", CERTIFIED, force_name=True)
    put_calibration(root, RUN + "x", "dark", 0, calibration, instrument="MiniCam")
    with pytest.raises(StopError, match="holds no dark"):
        certify(root, RUN, "dark", CERTIFIED, force_name=True)
    assert certify(root, RUN, "bias", "my/own", force_name=True) == 1


times = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2098, 1, 1))


@given(times, times)
def test_validity_is_never_empty(begin: datetime, end: datetime) -> None:
    texts = [begin.isoformat(timespec="microseconds"), end.isoformat(timespec="microseconds")]
    if texts[0] >= texts[1]:
        with pytest.raises(StopError, match="empty"):
            validity(*texts)
    else:
        span = validity(*texts)
        assert not span.isEmpty()
