"""Where an unbroken row of failures begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from calwatch.report.model import Finding, Group, Moment, Point
from calwatch.report.past import begin_of_row, in_turn

FIRST = datetime(2026, 11, 22, tzinfo=UTC)


def points(letters: str) -> list[Point]:
    return [
        Point(place, FIRST + timedelta(minutes=place), 1.0, (0.0, 2.0), letter)
        for place, letter in enumerate(letters)
    ]


def begin(letters: str) -> tuple[int, bool]:
    """Return the beginning of the row that leads to the last exposure."""
    listed = points(letters)
    since, at_least = begin_of_row(listed, Moment(listed[-1].exposure_id, listed[-1].end_utc))
    return since.exposure_id, at_least


def test_a_row_begins_after_the_last_good_one() -> None:
    assert begin("FPPFFF") == (3, False)
    assert begin("PWF") == (2, False)


def test_what_is_unknown_breaks_no_row() -> None:
    assert begin("PFUF") == (1, False)
    assert begin("PUF") == (2, False)


def test_without_a_good_one_it_may_be_older() -> None:
    assert begin("FFF") == (0, True)
    assert begin("F") == (0, True)


@given(st.text("PWFUpf", min_size=1, max_size=30))
def test_within_the_row_nothing_was_good(letters: str) -> None:
    since, at_least = begin(letters + "F")
    before, row = letters[:since], letters[since:]
    assert not set(row.upper()) & set("PW")
    assert at_least is not bool(set(before.upper()) & set("PW"))


def test_the_worst_of_each_group_comes_first() -> None:
    at = Moment(1, FIRST)

    def group(test: str, *parts: str) -> Group:
        found = [
            Finding(p, 1, "", 1.0, (0.0, 1.0), 1.0, at, "", 1, 1, at, at, at, True, None)
            for p in parts
        ]
        return Group("bias", "bias", test, "", "", "", tuple(found))

    turns = in_turn([group("NOISE", "a", "b", "c"), group("MEAN", "d")])
    assert [(g.test, f.part) for g, f in turns] == [
        ("NOISE", "a"), ("MEAN", "d"), ("NOISE", "b"), ("NOISE", "c"),
    ]  # fmt: skip
