"""The frame itself: the small residual image of a detector, and profiles of an amplifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColorBar, HoverTool, LinearColorMapper
from bokeh.plotting import figure

from calwatch.arrays import AnyArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.plots.look import LIGHT, VALUES, Scheme, dress

WIDE = 3.0
"""The scale reaches so many robust deviations to either side."""
_MAD = 1.4826


def frame_image(
    image: AnyArray,
    detector: Detector,
    amp: Amplifier | None = None,
    *,
    block: int = 32,
    scheme: Scheme = LIGHT,
    size: int = 440,
) -> figure:
    """Draw the small image of a detector.

    Parameters
    ----------
    image
        Shape (n_amp, rows, columns), as `calwatch.verify.binned.binned_residual` makes it.
    detector
        Its amplifiers are in the same order.
    amp
        Is outlined.
    block
        Pixels of a block.
    scheme, size
        How it looks.
    """
    reach = spread(image)
    mapper = LinearColorMapper(palette=list(VALUES), low=-reach, high=reach, nan_color=scheme.line)
    plot = figure(
        width=size, height=size, match_aspect=True, tools="pan,wheel_zoom,reset,save",
        active_scroll=None, sizing_mode="scale_width", output_backend="canvas",
        title="residual, each amplifier less its median, e-",
    )  # fmt: skip
    drawn = []
    for blocks, one in zip(image, detector.amplifiers, strict=True):
        rows, columns = -(-one.bbox.height // block), -(-one.bbox.width // block)
        drawn.append(
            plot.image(
                [np.asarray(blocks[:rows, :columns], dtype=np.float32)], x=one.bbox.x0,
                y=one.bbox.y0, dw=one.bbox.width, dh=one.bbox.height, color_mapper=mapper,
            )
        )  # fmt: skip
    boxes = [(one.bbox, scheme.dim, 0.5) for one in detector.amplifiers]
    if amp is not None:
        boxes.append((amp.bbox, "#c8501a", 3.0))
    for box, hue, width in boxes:
        plot.quad(
            left=box.x0, right=box.x1, bottom=box.y0, top=box.y1, fill_color=None, line_color=hue,
            line_width=width,
        )  # fmt: skip
    plot.add_tools(
        HoverTool(renderers=drawn, tooltips=[("x, y", "$x{0}, $y{0}"), ("e-", "@image")])
    )
    bar = ColorBar(
        color_mapper=mapper, width=10, background_fill_color=scheme.ground,
        major_label_text_color=scheme.dim,
    )  # fmt: skip
    plot.add_layout(bar, "right")
    return dress(plot, scheme)


def profile(
    values: Sequence[float] | AnyArray,
    along: str,
    *,
    step: int = 1,
    scheme: Scheme = LIGHT,
    height: int = 210,
) -> figure:
    """Draw the mean of each row or column of an amplifier.

    Parameters
    ----------
    values
        One for each row or column (or each block of them); NaN where there is none.
    along
        ``row`` or ``column``.
    step
        Pixels from one value to the next.
    scheme, height
        How it looks.
    """
    plot = figure(
        width=440, height=height, tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll=None,
        sizing_mode="stretch_width", title=f"mean of each {along}, e-", x_axis_label=along,
        output_backend="canvas",
    )  # fmt: skip
    at = np.arange(len(values)) * step + (step - 1) / 2
    line = plot.line(at, np.asarray(values, dtype=np.float64), color="#2b7bba")
    plot.add_tools(HoverTool(renderers=[line], tooltips=[(along, "@x{0}"), ("e-", "@y")]))
    return dress(plot, scheme)


def spread(image: AnyArray) -> float:
    """Return half the range of the colours: robust, so that one hot block hides nothing else."""
    seen = image[np.isfinite(image)]
    if not seen.size:
        return 1.0
    return float(max(WIDE * _MAD * np.median(np.abs(seen)), 1e-3))
