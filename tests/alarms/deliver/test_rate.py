"""How fast notices may go out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.alarms.deliver.rate import Bucket


def test_a_minutes_worth_goes_at_once_and_then_one_after_another() -> None:
    bucket = Bucket(20)
    for _ in range(20):
        assert bucket.wait(100.0) == 0.0
        bucket.take(100.0)
    assert bucket.wait(100.0) == pytest.approx(3.0)
    assert bucket.wait(103.0) == 0.0
    bucket.take(103.0)
    assert bucket.wait(103.0) == pytest.approx(3.0)


def test_no_limit_never_waits() -> None:
    bucket = Bucket(0)
    for _ in range(1000):
        bucket.take(5.0)
    assert bucket.wait(5.0) == 0.0


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="no sense"):
        Bucket(-1)


def test_less_than_one_a_minute_still_lets_one_through() -> None:
    bucket = Bucket(0.5)
    assert bucket.wait(0.0) == 0.0
    bucket.take(0.0)
    assert bucket.wait(0.0) == pytest.approx(120.0)


@given(
    st.integers(1, 100),
    st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=60),
)
def test_who_waits_as_told_never_exceeds_the_rate(per_minute: int, gaps: list[float]) -> None:
    bucket, now, sent = Bucket(per_minute), 0.0, []
    for gap in gaps:
        now += gap
        for _ in range(5):
            now += bucket.wait(now)
            assert bucket.wait(now) == 0.0
            bucket.take(now)
            sent.append(now)
    for begin in sent:
        within = sum(begin <= at < begin + 60 for at in sent)
        assert within <= 2 * per_minute + 1
    assert len(sent) <= per_minute * (1 + sent[-1] / 60) + 1


def test_a_clock_that_jumps_back_gives_nothing_away() -> None:
    bucket = Bucket(1)
    bucket.take(100.0)
    assert bucket.wait(40.0) == pytest.approx(60.0)
    assert bucket.wait(160.0) == 0.0
