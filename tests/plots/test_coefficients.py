"""A matrix of crosstalk as a picture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bokeh.embed import json_item
from bokeh.models import LinearColorMapper, Rect

from calwatch.plots.coefficients import coefficients
from calwatch.plots.look import DARK, LIGHT

AMPS = ("C00", "C01", "C02")


def cells(plot) -> list[tuple]:
    (drawn,) = (one for one in plot.renderers if isinstance(one.glyph, Rect))
    data = drawn.data_source.data
    return list(zip(data["source"], data["target"], data["value"], data["mark"], strict=True))


def test_a_coefficient_stands_at_its_source_and_target_and_is_marked_if_it_is_certain() -> None:
    values = np.zeros((3, 3))
    values[0, 1], values[2, 1] = 8e-5, -3e-6
    plot = coefficients(AMPS, values, np.full((3, 3), 1e-6))
    found = {(source, target): shown for source, target, *shown in cells(plot)}
    assert found["C00", "C01"] == [8e-5, "•"]
    assert found["C02", "C01"] == [-3e-6, ""]
    assert len(found) == 6


def test_what_was_not_measured_leaves_a_hole() -> None:
    values = np.full((3, 3), np.nan)
    values[0, 1] = 1e-5
    assert [(s, t) for s, t, _, _ in cells(coefficients(AMPS, values))] == [("C00", "C01")]


def test_the_colours_are_even_to_both_sides_of_zero() -> None:
    values = np.array([[np.nan, 2e-5, 0.0], [-5e-5, np.nan, 0.0], [0.0, 0.0, np.nan]])
    plot = coefficients(AMPS, values)
    (mapper,) = plot.select({"type": LinearColorMapper})
    assert (mapper.low, mapper.high) == (-5e-5, 5e-5)
    assert plot.x_range.factors == list(AMPS)
    assert plot.y_range.factors == list(AMPS)[::-1]


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_nothing_to_draw_is_a_picture_too(scheme, value) -> None:
    plot = coefficients(AMPS, np.full((3, 3), value), np.full((3, 3), np.nan), scheme=scheme)
    json.dumps(json_item(plot), allow_nan=False)
