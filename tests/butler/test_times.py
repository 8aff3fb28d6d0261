from __future__ import annotations

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from calwatch.butler.times import mjd_from_nsec, parse_tai, tai_text, utc_from_tai
from calwatch.errors import StopError


@given(st.integers(0, 4_000_000_000))
def test_nanoseconds_agree_with_astropy(seconds: int) -> None:
    expected = Time(0, val2=seconds, format="unix_tai", scale="tai").mjd
    assert mjd_from_nsec(seconds * 10**9) == pytest.approx(expected, abs=1e-10)


@given(st.datetimes(min_value=Time("1980-01-01").datetime, max_value=Time("2090-01-01").datetime))
def test_text_is_read_back(moment: object) -> None:
    text = moment.isoformat(timespec="seconds")  # type: ignore[attr-defined]  # a datetime
    assert tai_text(parse_tai(text, "--at")) == text


def test_leap_seconds_separate_tai_from_utc() -> None:
    end, none = utc_from_tai([61000.0, float("nan")])
    assert none is None
    assert end is not None
    assert end.isoformat(timespec="seconds") == "2025-11-20T23:59:23+00:00"
    assert utc_from_tai([]) == []


def test_no_date_is_named() -> None:
    with pytest.raises(StopError, match="--at: 'yesterday'"):
        parse_tai("yesterday", "--at")
    assert tai_text(None) == "open"
    assert tai_text(1e9) == "MJD 1000000000.0"
