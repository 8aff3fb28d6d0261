"""One scale for all tests: 0 in the middle, 1 on the limit."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calwatch.verify.distance import distance

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("value", "lower", "upper", "expected"),
    [
        (1.0, 0.0, 2.0, 0.0),
        (2.0, 0.0, 2.0, 1.0),
        (0.0, 0.0, 2.0, 1.0),
        (4.0, 0.0, 2.0, 3.0),
        (5.0, None, 10.0, 0.5),
        (-5.0, None, 10.0, 0.0),
        (20.0, 10.0, None, 0.5),
        (5.0, 10.0, None, 2.0),
        (0.0, 10.0, None, None),
        (None, 0.0, 1.0, None),
        (3.0, None, None, None),
        (3.0, None, 0.0, None),
        (3.0, None, -1.0, None),
        (0.0, 0.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, None),
    ],
)
def test_where_a_value_stands(
    value: float | None, lower: float | None, upper: float | None, expected: float | None
) -> None:
    assert distance(value, lower, upper) == expected


@given(finite, finite, finite)
def test_beyond_a_limit_is_more_than_one(value: float, a: float, b: float) -> None:
    lower, upper = sorted((a, b))
    assume(upper - lower > 1e-3)
    found = distance(value, lower, upper)
    assert found is not None
    assert found >= 0
    if abs(found - 1) > 1e-6:
        assert (found < 1) == (lower < value < upper)


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6))
def test_with_one_limit_it_is_below_one_on_the_good_side(value: float, limit: float) -> None:
    assume(abs(value - limit) > 1e-9 * limit)
    above, below = distance(value, None, limit), distance(value, limit, None)
    assert above is not None
    assert below is not None
    assert (above < 1) == (value < limit)
    assert (below < 1) == (value > limit)
