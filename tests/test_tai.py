"""SAL time stamps: TAI seconds to UTC, and the absurd ones refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from calwatch.tai import tai_ahead, tai_from_utc, utc_from_tai

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


def test_since_2017_utc_is_37_seconds_behind() -> None:
    utc = datetime(2026, 11, 22, 14, 59, 59, 250_000, UTC)
    assert utc_from_tai(utc.timestamp() + 37, NOW) == utc


@given(st.floats(1.4221e9, 1.7952e9))
def test_as_astropy_has_it(tai: float) -> None:
    day, rest = divmod(tai, 86400)
    expected = Time(40587 + day, rest / 86400, format="mjd", scale="tai").unix
    assert utc_from_tai(tai, NOW).timestamp() == pytest.approx(expected, abs=2e-6)


def test_around_a_leap_second() -> None:
    """At the end of 2016 UTC fell back from TAI − 36 s to TAI − 37 s."""
    midnight = datetime(2017, 1, 1, tzinfo=UTC).timestamp()
    for tai, utc in [(midnight + 35.5, midnight - 0.5), (midnight + 37.5, midnight + 0.5)]:
        assert utc_from_tai(tai, NOW).timestamp() == pytest.approx(utc, abs=1e-6)
    assert utc_from_tai(midnight + 36.5, NOW).timestamp() == pytest.approx(midnight - 0.5, abs=1e-6)


@pytest.mark.parametrize(
    "seconds",
    [
        math.nan,
        math.inf,
        -math.inf,
        0.0,
        datetime(1900, 1, 1, tzinfo=UTC).timestamp(),
        (NOW + timedelta(days=3)).timestamp(),
        1.7e12,  # milliseconds
        1e300,
    ],
)
def test_absurd_times_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"is no time|before 2015 or after today"):
        utc_from_tai(seconds, NOW)


@given(st.datetimes(datetime(2015, 1, 1), datetime(2026, 11, 22), timezones=st.just(UTC)))
def test_there_and_back(utc: datetime) -> None:
    assert abs(utc_from_tai(tai_from_utc(utc), NOW) - utc) < timedelta(microseconds=2)


def test_a_leap_second_ends_its_day() -> None:
    """The last second of 2016 was counted twice in UTC, and TAI − UTC grew after it."""
    midnight = datetime(2017, 1, 1, tzinfo=UTC)
    assert [tai_ahead(midnight - timedelta(seconds=s)) for s in (86400, 1, 0)] == [36, 36, 37]
    other_zone = midnight.astimezone(timezone(timedelta(hours=-3)))
    assert tai_from_utc(other_zone) == midnight.timestamp() + 37
