"""Where the new defects of a detector are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from calwatch.arrays import AnyArray
from calwatch.camera.model import Box, Detector
from calwatch.plots.look import DARK, LIGHT, Scheme, dress, set_legend


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of defect is drawn."""

    name: str
    marker: str
    colour: str
    dark_colour: str


KINDS: Mapping[int, Look] = {
    1: Look("bright", "circle", "#c8501a", "#f09a62"),
    2: Look("dark", "square", "#2b7bba", "#4a97d2"),
    3: Look("unstable", "triangle", "#8c5fbf", "#b79be0"),
    4: Look("column", "dash", "#a3180d", "#ff6b5c"),
}
"""By the number that `calwatch.verify.sets.defects` gives each kind."""
COLUMN = 4


def defect_map(
    detector: Detector, places: AnyArray, *, scheme: Scheme = LIGHT, size: int = 520
) -> figure:
    """Draw new defects in the assembled frame of a detector.

    Parameters
    ----------
    detector
        Its amplifiers are outlined.
    places
        Shape (n, 3): x, y, and the kind. A column is drawn through its whole amplifier.
    scheme, size
        How it looks.
    """
    plot = figure(
        width=size, height=size, match_aspect=True, sizing_mode="scale_width",
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll=None, output_backend="canvas",
        title="new defects", x_axis_label="x, pixels", y_axis_label="y, pixels",
    )  # fmt: skip
    boxes = {amp.name: amp.bbox for amp in detector.amplifiers}
    plot.quad(
        left=[box.x0 for box in boxes.values()], right=[box.x1 for box in boxes.values()],
        bottom=[box.y0 for box in boxes.values()], top=[box.y1 for box in boxes.values()],
        fill_color=None, line_color=scheme.line, line_width=1,
    )  # fmt: skip
    found = np.asarray(places, dtype=np.float64).reshape(-1, 3)
    dark = scheme is DARK
    marks = []
    for number, look in KINDS.items():
        mine = found[found[:, 2] == number]
        if not len(mine):
            continue
        hue = look.dark_colour if dark else look.colour
        amps = [amp_at(boxes, x, y) for x, y, _ in mine]
        source = ColumnDataSource(
            {
                "x": mine[:, 0],
                "y": mine[:, 1],
                "amp": amps,
                "y0": [boxes[amp].y0 if amp else 0 for amp in amps],
                "y1": [boxes[amp].y1 if amp else 0 for amp in amps],
            }
        )
        label = f"{look.name}: {len(mine)}"
        if number == COLUMN:
            drawn = plot.segment(
                "x", "y0", "x", "y1", source=source, line_color=hue, line_width=2,
                legend_label=label,
            )  # fmt: skip
        else:
            drawn = plot.scatter(
                "x", "y", source=source, marker=look.marker, size=7, fill_color=None,
                line_color=hue, line_width=1.5, legend_label=label,
            )  # fmt: skip
        marks.append(drawn)
        tips = [(look.name, "@amp"), ("x, y", "@x{0}, @y{0}")]
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    dress(plot, scheme)
    return set_legend(plot, scheme, columns=2)


def amp_at(boxes: Mapping[str, Box], x: float, y: float) -> str:
    """Return the amplifier in whose box a pixel is; empty where it is in none."""
    inside = (n for n, b in boxes.items() if b.x0 <= x < b.x1 and b.y0 <= y < b.y1)
    return next(inside, "")
