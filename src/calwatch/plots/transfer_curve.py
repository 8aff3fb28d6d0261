"""The photon transfer curve: the variance of pairs of flats over their mean, and the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.layouts import column
from bokeh.models import BasicTickFormatter, Column, ColumnDataSource, HoverTool, Scatter, Span
from bokeh.plotting import figure

from calwatch.arrays import DoubleArray
from calwatch.plots.look import LIGHT, Scheme, dress, many_colours, set_legend
from calwatch.verify.sets.ptc_models import curve

TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
STEPS = 120
"""Points of the line of a fit."""
_USED: Mapping[bool | None, tuple[str, str, str]] = {
    True: ("pairs on the curve", "circle", "yes"),
    False: ("pairs off the curve", "x", "no"),
    None: ("pairs", "circle", "not kept"),
}
"""Legend, marker, and word in the tip."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of flats of one amplifier."""

    exposure_id: int
    mean: float
    """ADU."""
    variance: float
    """ADU², of one flat."""
    used: bool | None
    """Whether it was fitted; None where that is not kept."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The pairs of one amplifier, and the fit to them."""

    amp: str
    pairs: Sequence[Pair]
    gain: float | None = None
    """e-/ADU; None where nothing could be fitted."""
    a00: float | None = None
    """1/e-."""
    noise: float | None = None
    """e-; None stands for 0: the fit found none."""


def transfer_curve(
    curves: Sequence[Curve], *, chosen: str = "", scheme: Scheme = LIGHT, height: int = 340
) -> Column:
    """Draw variance over mean against mean, where a level line is pure shot noise.

    Below is how far each pair is from the fit: a pair's own error is a tenth of a per cent, which
    the curve itself does not show.

    Parameters
    ----------
    curves
        By amplifier.
    chosen
        An amplifier before the others; empty: all alike, each in its own colour.
    scheme, height
        How it looks.
    """
    plot = figure(
        width=900, height=height, sizing_mode="stretch_width", output_backend="canvas",
        title=f"photon transfer curve{f' of {chosen}' if chosen else ''}", tools=TOOLS,
        active_scroll=None, y_axis_label="variance / mean, ADU",
    )  # fmt: skip
    below = figure(
        width=900, height=height // 2, sizing_mode="stretch_width", output_backend="canvas",
        x_range=plot.x_range, tools=TOOLS, active_scroll=None,
        x_axis_label="mean of the pair, ADU", y_axis_label="from the fit, %",
    )  # fmt: skip
    for part in (plot, below):
        part.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    below.add_layout(Span(location=0, dimension="width", line_color=scheme.dim))
    hues = many_colours(len(curves), scheme)
    ordered = sorted(zip(curves, hues, strict=True), key=lambda one: one[0].amp == chosen)
    for one, own in ordered:
        first = one.amp == chosen
        hue = scheme.outcomes["P"] if first else own if not chosen else scheme.dim
        alpha = 1.0 if first or not chosen else 0.3
        for used in _USED:
            pairs = [p for p in one.pairs if p.used is used and p.mean > 0]
            if pairs:
                _points(plot, below, one, pairs, hue, alpha, named=first)
        _line(plot, one, hue, alpha, named=first)
    _tell(plot, "@ratio{0.0000}", "variance / mean")
    _tell(below, "@residual{0.000} %", "from the fit")
    plot.min_border_left = below.min_border_left = 64
    set_legend(dress(plot, scheme), scheme, columns=2)
    return column(plot, dress(below, scheme), sizing_mode="stretch_width")


def model(one: Curve, mean: DoubleArray) -> DoubleArray | None:
    """Return the fitted variance at some means, ADU²; None where there is no fit."""
    if one.gain is None or one.a00 is None:
        return None
    return curve(mean, one.gain, one.a00, one.noise or 0.0)


def _points(
    plot: figure,
    below: figure,
    one: Curve,
    pairs: Sequence[Pair],
    hue: str,
    alpha: float,
    *,
    named: bool,
) -> None:
    words, marker, tip = _USED[pairs[0].used]
    mean = np.array([p.mean for p in pairs])
    variance = np.array([p.variance for p in pairs])
    expected = model(one, mean)
    source = ColumnDataSource(
        {
            "mean": mean,
            "ratio": variance / mean,
            "variance": variance,
            "residual": np.full(mean.size, np.nan)
            if expected is None
            else 100 * (variance / expected - 1),
            "amp": [one.amp] * len(pairs),
            "exposure": [str(p.exposure_id) for p in pairs],
            "used": [tip] * len(pairs),
        }
    )
    look = {
        "marker": marker, "size": (7 if named else 5) + 2 * (marker == "x"), "fill_color": hue,
        "line_color": hue, "line_width": 2 if marker == "x" else 1, "alpha": alpha,
    }  # fmt: skip
    label = {"legend_label": words} if named else {}
    plot.scatter("mean", "ratio", source=source, **look, **label)
    # Beyond its turnoff a pair is half a curve away, and would hide how far the others are.
    if pairs[0].used is not False:
        below.scatter("mean", "residual", source=source, **look)


def _line(plot: figure, one: Curve, hue: str, alpha: float, *, named: bool) -> None:
    fitted = [p.mean for p in one.pairs if p.used is not False and p.mean > 0]
    if not fitted:
        return
    at = np.linspace(min(fitted), max(fitted), STEPS)
    variance = model(one, at)
    if variance is None:
        return
    label = {"legend_label": "fit"} if named else {}
    plot.line(at, variance / at, color=hue, alpha=alpha, line_width=2 if named else 1, **label)


def _tell(plot: figure, shown: str, words: str) -> None:
    """Let points say what they are when they are pointed at."""
    marks = [one for one in plot.renderers if isinstance(one.glyph, Scatter)]
    tips = [
        ("amplifier", "@amp"), ("pair to", "@exposure"), ("mean", "@mean{0.0} ADU"),
        ("variance", "@variance{0.0} ADU²"), (words, shown), ("fitted", "@used"),
    ]  # fmt: skip
    plot.add_tools(HoverTool(renderers=marks, tooltips=tips))
