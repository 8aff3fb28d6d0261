"""The photon transfer curve as a picture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bokeh.embed import json_item
from bokeh.models import Line, Scatter

from calwatch.plots.look import DARK
from calwatch.plots.transfer_curve import Curve, Pair, model, transfer_curve
from calwatch.verify.sets.ptc_models import curve

GAIN, A00, NOISE = 1.5, -3e-6, 6.0
MEANS = np.array([1000.0, 10_000.0, 50_000.0])


def made(amp: str, *, used: bool | None = True, fit: bool = True, off: float = 0.0) -> Curve:
    variance = curve(MEANS, GAIN, A00, NOISE) * (1 + off)
    pairs = [Pair(7 + i, *both, used) for i, both in enumerate(zip(MEANS, variance, strict=True))]
    return Curve(amp, pairs, *((GAIN, A00, NOISE) if fit else (None, None, None)))


def glyphs(plot, kind) -> list:
    return [one for one in plot.renderers if isinstance(one.glyph, kind)]


def test_points_are_variance_over_mean_and_the_line_goes_through_them() -> None:
    above, below = transfer_curve([made("C00")]).children
    (points,) = glyphs(above, Scatter)
    (line,) = glyphs(above, Line)
    assert points.data_source.data["exposure"] == ["7", "8", "9"]
    at, ratio = line.data_source.data["x"], line.data_source.data["y"]
    np.testing.assert_allclose(
        np.interp(MEANS, at, ratio), points.data_source.data["ratio"], rtol=2e-3
    )
    np.testing.assert_allclose(
        glyphs(below, Scatter)[0].data_source.data["residual"], 0.0, atol=1e-9
    )


def test_below_is_how_far_a_pair_is_from_the_fit_in_per_cent() -> None:
    _, below = transfer_curve([made("C00", off=0.01)]).children
    np.testing.assert_allclose(glyphs(below, Scatter)[0].data_source.data["residual"], 1.0)


def test_a_pair_off_the_curve_has_another_mark_and_does_not_stretch_the_residuals() -> None:
    off = Pair(10, 90_000.0, 20_000.0, False)
    one = made("C00")
    above, below = transfer_curve([Curve("C00", [*one.pairs, off], GAIN, A00, NOISE)]).children
    marks = {mark.glyph.marker for mark in glyphs(above, Scatter)}
    assert marks == {"circle", "x"}
    (line,) = glyphs(above, Line)
    assert max(line.data_source.data["x"]) == MEANS[-1]
    assert len(glyphs(below, Scatter)) == 1


@pytest.mark.parametrize(
    ("used", "words"),
    [(True, "pairs on the curve"), (False, "pairs off the curve"), (None, "pairs")],
)
def test_the_chosen_amplifier_stands_before_the_others_and_in_the_legend(used, words) -> None:
    above, _ = transfer_curve([made("C00", used=used), made("C01")], chosen="C00").children
    last = glyphs(above, Scatter)[-1]
    assert last.data_source.data["amp"][0] == "C00"
    assert last.glyph.fill_alpha == 1.0
    assert glyphs(above, Scatter)[0].glyph.fill_alpha < 1.0
    assert words in [item.label.value for item in above.legend[0].items]
    assert above.title.text == "photon transfer curve of C00"


def test_an_amplifier_without_a_fit_has_points_and_no_line() -> None:
    above, _ = transfer_curve([made("C00", fit=False)]).children
    assert len(glyphs(above, Scatter)) == 1
    assert glyphs(above, Line) == []
    assert model(made("C00", fit=False), MEANS) is None


@pytest.mark.parametrize("curves", [[], [Curve("C00", [])], [made("C00", fit=False)]])
def test_nothing_to_draw_is_a_picture_too(curves) -> None:
    json.dumps(json_item(transfer_curve(curves, scheme=DARK)), allow_nan=False)
