"""Linearity: how far each pair of flats is from the straight line, against its signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bokeh.models import BasicTickFormatter, ColumnDataSource, HoverTool, Span
from bokeh.plotting import figure

from calwatch.plots.look import LIGHT, Scheme, dress, many_colours, set_legend


@dataclass(frozen=True, slots=True)
class Residual:
    """One pair of flats of one amplifier."""

    exposure_id: int
    signal: float
    """ADU."""
    residual: float
    """Part of the signal."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """The pairs of one amplifier, by signal."""

    amp: str
    points: Sequence[Residual]


def linearity(
    amps: Sequence[Residuals],
    *,
    chosen: str = "",
    limit: float | None = None,
    scheme: Scheme = LIGHT,
    height: int = 340,
) -> figure:
    """Draw the residuals, in per cent.

    Parameters
    ----------
    amps
        By amplifier.
    chosen
        An amplifier before the others; empty: all alike, each in its own colour.
    limit
        Largest residual that is allowed, as part of the signal; None for none.
    scheme, height
        How it looks.
    """
    plot = figure(
        width=900, height=height, sizing_mode="stretch_width", output_backend="canvas",
        title=f"residual of the linearity{f' of {chosen}' if chosen else ''}",
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll=None,
        x_axis_label="signal, ADU", y_axis_label="residual, %",
    )  # fmt: skip
    plot.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    plot.add_layout(Span(location=0, dimension="width", line_color=scheme.dim, line_width=1))
    for bound in () if limit is None else (-limit, limit):
        plot.add_layout(
            Span(
                location=100 * bound, dimension="width", line_color=scheme.outcomes["F"],
                line_dash="dashed",
            )
        )  # fmt: skip
    hues = many_colours(len(amps), scheme)
    marks = []
    ordered = sorted(zip(amps, hues, strict=True), key=lambda one: one[0].amp == chosen)
    for one, own in ordered:
        if not one.points:
            continue
        first = one.amp == chosen
        hue = scheme.outcomes["P"] if first else own if not chosen else scheme.dim
        points = sorted(one.points, key=lambda point: point.signal)
        source = ColumnDataSource(
            {
                "signal": [p.signal for p in points],
                "residual": [100 * p.residual for p in points],
                "amp": [one.amp] * len(points),
                "exposure": [str(p.exposure_id) for p in points],
            }
        )
        alpha = 1.0 if first or not chosen else 0.3
        label = {"legend_label": one.amp} if first else {}
        plot.line("signal", "residual", source=source, color=hue, alpha=0.5 * alpha)
        marks.append(
            plot.scatter(
                "signal", "residual", source=source, size=7 if first else 5, fill_color=hue,
                line_color=hue, alpha=alpha, **label,
            )
        )  # fmt: skip
    tips = [
        ("amplifier", "@amp"), ("pair to", "@exposure"), ("signal", "@signal{0.0} ADU"),
        ("residual", "@residual{0.000} %"),
    ]  # fmt: skip
    plot.add_tools(HoverTool(renderers=marks, tooltips=tips))
    dress(plot, scheme)
    return set_legend(plot, scheme)
