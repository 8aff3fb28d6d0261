"""A trend as a picture."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from bokeh.embed import json_item
from bokeh.models import Scatter, Step, VArea, VSpan
from hypothesis import given
from hypothesis import strategies as st

from calwatch.plots.look import COLOURS, DARK, LIGHT, MARKERS, dress
from calwatch.plots.trend import Band, Event, Point, thinned, trend

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
POINTS = [
    Point(NOON + timedelta(days=i), 100 + i, value, 1.0, 2.0, letter)
    for i, (value, letter) in enumerate([(1.5, "P"), (1.9, "W"), (2.5, "F"), (None, "U")])
]
EVENTS = [Event(NOON, "calibration", "another bias"), Event(NOON, "alarm", "C05: noisy")]
RAFT = [Band(NOON, 1.0, 1.5, 2.0), Band(NOON + timedelta(days=1), 1.0, 1.4, 2.1)]


def glyphs(plot, kind):
    return [r for r in plot.renderers if isinstance(r.glyph, kind)]


def test_each_outcome_has_its_mark_and_its_colour() -> None:
    plot = trend(POINTS, [], [], title="bias NOISE", unit="e-")
    marks = {r.glyph.marker: r for r in glyphs(plot, Scatter)}
    assert set(marks) == {MARKERS[letter] for letter in "PWF"}
    failed = marks[MARKERS["F"]]
    assert failed.glyph.fill_color == COLOURS["F"]
    assert list(failed.data_source.data["value"]) == [2.5]
    assert list(failed.data_source.data["exposure"]) == ["102"]


def test_limits_events_and_the_raft_are_drawn() -> None:
    plot = trend(POINTS, EVENTS, RAFT, title="bias NOISE", unit="e-")
    assert [list(r.data_source.data["y"]) for r in glyphs(plot, Step)] == [[1.0] * 4, [2.0] * 4]
    assert [list(r.data_source.data["words"]) for r in glyphs(plot, VSpan)] == [
        ["another bias"], ["C05: noisy"],
    ]  # fmt: skip
    assert list(glyphs(plot, VArea)[0].data_source.data["y2"]) == [2.0, 2.1]


def test_nothing_at_all_is_a_picture_too() -> None:
    for scheme in (LIGHT, DARK):
        text = json.dumps(json_item(trend([], [], [], title="", unit="", scheme=scheme)))
        assert scheme.line in text


def test_dressing_keeps_the_figure() -> None:
    plot = trend(POINTS, [], [], title="bias NOISE", unit="e-")
    assert dress(plot, DARK) is plot
    assert plot.background_fill_color == DARK.ground
    assert plot.toolbar.logo is None


@given(st.lists(st.integers(), unique=True), st.integers(2, 50))
def test_thinning_keeps_order_and_both_ends(exposures: list[int], most: int) -> None:
    kept = thinned(exposures, most)
    assert len(kept) == min(len(exposures), most)
    assert kept == [one for one in exposures if one in set(kept)]
    if exposures:
        assert (kept[0], kept[-1]) == (exposures[0], exposures[-1])
