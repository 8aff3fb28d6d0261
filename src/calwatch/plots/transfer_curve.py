"""The photon transfer curve: the variance of pairs of flats over their mean, and the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from calwatch.arrays import DoubleArray
from calwatch.plots.look import LIGHT, Scheme, dress, many_colours, set_legend
from calwatch.verify.sets.ptc_models import curve

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
    curves: Sequence[Curve], *, chosen: str = "", scheme: Scheme = LIGHT, height: int = 380
) -> figure:
    """Draw variance over mean against mean, where a level line is pure shot noise.

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
        title=f"photon transfer curve{f' of {chosen}' if chosen else ''}",
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll=None,
        x_axis_label="mean of the pair, ADU", y_axis_label="variance / mean, ADU",
    )  # fmt: skip
    hues = many_colours(len(curves), scheme)
    ordered = sorted(zip(curves, hues, strict=True), key=lambda one: one[0].amp == chosen)
    marks = []
    for one, own in ordered:
        first = one.amp == chosen
        hue = scheme.outcomes["P"] if first else own if not chosen else scheme.dim
        strong = first or not chosen
        for used in _USED:
            pairs = [p for p in one.pairs if p.used is used and p.mean > 0]
            if pairs:
                marks.append(_points(plot, one.amp, pairs, hue, strong=strong, named=first))
        _line(plot, one, hue, strong=strong, named=first)
    plot.add_tools(
        HoverTool(
            renderers=marks,
            tooltips=[
                ("amplifier", "@amp"), ("pair to", "@exposure"), ("mean", "@mean{0.0} ADU"),
                ("variance", "@variance{0.0} ADU²"), ("fitted", "@used"),
            ],
        )
    )  # fmt: skip
    dress(plot, scheme)
    return set_legend(plot, scheme)


def model(one: Curve, mean: DoubleArray) -> DoubleArray | None:
    """Return the fitted variance at some means, ADU²; None where there is no fit."""
    if one.gain is None or one.a00 is None:
        return None
    return curve(mean, one.gain, one.a00, one.noise or 0.0)


def _points(
    plot: figure, amp: str, pairs: Sequence[Pair], hue: str, *, strong: bool, named: bool
) -> object:
    words, marker, tip = _USED[pairs[0].used]
    source = ColumnDataSource(
        {
            "mean": [p.mean for p in pairs],
            "ratio": [p.variance / p.mean for p in pairs],
            "variance": [p.variance for p in pairs],
            "amp": [amp] * len(pairs),
            "exposure": [str(p.exposure_id) for p in pairs],
            "used": [tip] * len(pairs),
        }
    )
    label = {"legend_label": words} if named else {}
    return plot.scatter(
        "mean", "ratio", source=source, marker=marker, size=7 if named else 5,
        fill_color=hue, line_color=hue, alpha=1.0 if strong else 0.3, **label,
    )  # fmt: skip


def _line(plot: figure, one: Curve, hue: str, *, strong: bool, named: bool) -> None:
    fitted = [p.mean for p in one.pairs if p.used is not False and p.mean > 0]
    if not fitted:
        return
    at = np.linspace(min(fitted), max(fitted), STEPS)
    variance = model(one, at)
    if variance is None:
        return
    label = {"legend_label": "fit"} if named else {}
    plot.line(
        at, variance / at, color=hue, alpha=0.9 if strong else 0.25, line_width=2 if named else 1,
        **label,
    )  # fmt: skip
