"""A matrix of crosstalk: what each amplifier leaves in each other one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColorBar, ColumnDataSource, HoverTool, LinearColorMapper
from bokeh.palettes import interp_palette
from bokeh.plotting import figure

from calwatch.arrays import AnyArray
from calwatch.plots.look import LIGHT, Scheme, dress

ENDS = ("#2b7bba", "#c8501a")
"""Blue below zero, orange above: told apart by every kind of colour-blind eye."""
SIGNIFICANT = 5.0
"""Standard errors from which on a coefficient is marked."""
_SHADES = 128


def coefficients(
    amps: Sequence[str],
    values: AnyArray,
    errors: AnyArray | None = None,
    *,
    scheme: Scheme = LIGHT,
    size: int = 520,
) -> figure:
    """Draw the coefficients, those of five standard errors and more marked.

    Parameters
    ----------
    amps
        Names, in the order of the axes.
    values
        Shape (n_amp, n_amp): from the source (first axis) to the target; NaN where there is none.
    errors
        Standard errors, same shape; None if there are none.
    scheme, size
        How it looks.
    """
    known = np.asarray(values, dtype=np.float64)
    known_errors = np.full(known.shape, np.nan) if errors is None else np.asarray(errors, float)
    reach = float(np.nanmax(np.abs(known))) if np.isfinite(known).any() else 1.0
    reach = reach or 1.0
    palette = list(interp_palette([ENDS[0], scheme.ground, ENDS[1]], 2 * _SHADES))
    mapper = LinearColorMapper(palette=palette, low=-reach, high=reach)
    cells: dict[str, list[object]] = {
        name: [] for name in ("source", "target", "value", "error", "mark")
    }
    for i, source in enumerate(amps):
        for j, target in enumerate(amps):
            value, error = float(known[i, j]), float(known_errors[i, j])
            if i == j or not np.isfinite(value):
                continue
            certain = np.isfinite(error) and error > 0 and abs(value) >= SIGNIFICANT * error
            cells["source"].append(source)
            cells["target"].append(target)
            cells["value"].append(value)
            cells["error"].append(f"{error:.2g}" if np.isfinite(error) else "–")
            cells["mark"].append("•" if certain else "")
    plot = figure(
        width=size, height=size, x_range=list(amps), y_range=list(amps)[::-1],
        sizing_mode="scale_width", tools="save", output_backend="canvas",
        title="crosstalk that is left", x_axis_label="target", y_axis_label="source",
    )  # fmt: skip
    data = ColumnDataSource(cells)
    drawn = plot.rect(
        "target", "source", width=1, height=1, source=data, line_color=scheme.line,
        fill_color={"field": "value", "transform": mapper},
    )  # fmt: skip
    plot.text(
        "target", "source", text="mark", source=data, text_align="center", text_baseline="middle",
        text_color=scheme.ink,
    )  # fmt: skip
    tips = [("from", "@source"), ("to", "@target"), ("coefficient", "@value{0.00e+0} ± @error")]
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    bar = ColorBar(
        color_mapper=mapper, width=10, background_fill_color=scheme.ground,
        major_label_text_color=scheme.dim,
    )  # fmt: skip
    plot.add_layout(bar, "right")
    plot.xaxis.major_label_orientation = "vertical"
    plot.grid.visible = False
    return dress(plot, scheme)
