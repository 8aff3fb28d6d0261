"""How pictures look: colours that colour-blind people tell apart, in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bokeh.models import Legend, Toolbar
from bokeh.palettes import Cividis256
from bokeh.plotting import figure

from calwatch.verify.brief import ABSENT, FAIL, PASS, UNKNOWN, WARNING

WORDS = {PASS: "PASS", WARNING: "WARNING", FAIL: "FAIL", UNKNOWN: "UNKNOWN", ABSENT: "not judged"}
COLOURS = {
    PASS: "#2b7bba", WARNING: "#e9b824", FAIL: "#a3180d", UNKNOWN: "#8a949e", ABSENT: "#c9d0d7",
}  # fmt: skip
DARK_COLOURS = {
    PASS: "#4a97d2", WARNING: "#f2d264", FAIL: "#ff6b5c", UNKNOWN: "#9aa4ae", ABSENT: "#4a545e",
}  # fmt: skip
"""Blue, yellow and dark red differ in brightness as well, for every kind of colour blindness."""
HATCHES = {FAIL: "cross", UNKNOWN: "right_diagonal_line", WARNING: "dot", PASS: " ", ABSENT: " "}
"""So that colour alone tells nothing."""
MARKERS = {PASS: "circle", WARNING: "triangle", FAIL: "x", UNKNOWN: "square", ABSENT: "dot"}
VALUES: Sequence[str] = Cividis256
_INSIDE = ("#dbe9f5", "#2b7bba")
_BEYOND = ("#f0a35c", "#7d0f08")
_STEPS = 128


def _between(first: str, last: str) -> list[str]:
    """Return colours from one to another in even steps."""
    a, b = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (first, last))
    parts = [i / (_STEPS - 1) for i in range(_STEPS)]
    return [
        "#" + "".join(f"{round(x + part * (y - x)):02x}" for x, y in zip(a, b, strict=True))
        for part in parts
    ]


DISTANCES: Sequence[str] = [*_between(*_INSIDE), *_between(*_BEYOND)]
"""For 0 … 2: blue up to the limit at 1, orange to red beyond it."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """Colours of what is around the data."""

    ink: str
    dim: str
    line: str
    ground: str
    outcomes: Mapping[str, str]
    """By letter; on a dark ground they are brighter."""


LIGHT = Scheme("#1b2026", "#55606c", "#d5dae0", "#ffffff", COLOURS)
DARK = Scheme("#e6eaee", "#a4afba", "#37414b", "#1d232a", DARK_COLOURS)


def scheme_of(name: str) -> Scheme:
    """Return a scheme by its name: ``dark``, or else the light one."""
    return DARK if name == "dark" else LIGHT


def colour(
    value: float | None, low: float, high: float, palette: Sequence[str], absent: str
) -> str:
    """Return the colour of a value on a linear scale, or that for none."""
    if value is None:
        return absent
    part = (value - low) / (high - low) if high > low else 0.5
    return palette[min(max(int(part * len(palette)), 0), len(palette) - 1)]


def many_colours(count: int, scheme: Scheme) -> list[str]:
    """Return a colour for each of many, from one end of a scale to the other.

    The end that is as dark or as bright as the ground is left out.
    """
    low, high = (90, 255) if scheme is DARK else (0, 205)
    last = max(count - 1, 1)
    return [VALUES[low + round(i * (high - low) / last)] for i in range(count)]


def set_legend(plot: figure, scheme: Scheme, columns: int | None = None) -> figure:
    """Put the legend of a figure above it, if it has one, and return the figure.

    Parameters
    ----------
    plot, scheme
        Which, and its colours.
    columns
        So many entries beside each other; None for all. A phone has room for two.
    """
    if not plot.legend:
        return plot
    found: Legend = plot.legend
    found.location = "top_left"
    found.orientation = "horizontal"
    found.ncols = "auto" if columns is None else columns
    found.background_fill_color = scheme.ground
    found.background_fill_alpha = 0.8
    found.border_line_color = None
    found.label_text_color = scheme.ink
    found.label_text_font_size = "11px"
    found.click_policy = "hide"
    plot.add_layout(plot.legend[0], "above")
    return plot


def dress(plot: figure, scheme: Scheme) -> figure:
    """Give a figure its colours and return it."""
    plot.background_fill_color = scheme.ground
    plot.border_fill_color = scheme.ground
    plot.outline_line_color = scheme.line
    plot.title.text_color = scheme.ink
    for axis in plot.axis:
        axis.axis_label_text_color = scheme.dim
        axis.major_label_text_color = scheme.dim
        axis.axis_line_color = scheme.line
        axis.major_tick_line_color = scheme.line
        axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
    for grid in plot.grid:
        grid.grid_line_color = scheme.line
        grid.grid_line_alpha = 0.6
    toolbar: Toolbar = plot.toolbar
    toolbar.logo = None
    toolbar.autohide = True
    return plot
