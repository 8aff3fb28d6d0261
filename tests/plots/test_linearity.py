"""Residuals of the linearity as a picture."""

from __future__ import annotations

import json

import pytest
from bokeh.embed import json_item
from bokeh.models import Scatter, Span

from calwatch.plots.linearity import Residual, Residuals, linearity
from calwatch.plots.look import DARK

ONE = Residuals("C00", [Residual(9, 60_000.0, -0.02), Residual(7, 1000.0, 0.001)])
OTHER = Residuals("C01", [Residual(7, 1000.0, 0.0)])


def marks(plot) -> list:
    return [one for one in plot.renderers if isinstance(one.glyph, Scatter)]


def test_residuals_are_per_cent_of_the_signal_and_in_its_order() -> None:
    (found,) = marks(linearity([ONE]))
    assert found.data_source.data["signal"] == [1000.0, 60_000.0]
    assert found.data_source.data["residual"] == [0.1, -2.0]
    assert found.data_source.data["exposure"] == ["7", "9"]


@pytest.mark.parametrize(("limit", "lines"), [(None, [0]), (0.01, [-1.0, 0, 1.0])])
def test_the_limit_is_drawn_to_both_sides(limit, lines) -> None:
    plot = linearity([ONE], limit=limit)
    assert sorted(one.location for one in plot.center if isinstance(one, Span)) == lines


def test_the_chosen_amplifier_is_drawn_last_and_alone_in_the_legend() -> None:
    plot = linearity([ONE, OTHER], chosen="C00")
    assert marks(plot)[-1].data_source.data["amp"] == ["C00", "C00"]
    assert [item.label.value for item in plot.legend[0].items] == ["C00"]
    assert len(linearity([ONE, OTHER]).legend) == 0


@pytest.mark.parametrize("amps", [[], [Residuals("C00", [])]])
def test_nothing_to_draw_is_a_picture_too(amps) -> None:
    json.dumps(json_item(linearity(amps, scheme=DARK)), allow_nan=False)
