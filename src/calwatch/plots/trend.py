"""One number against time, with its limits and with what happened on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from calwatch.plots.look import LIGHT, MARKERS, WORDS, Scheme, dress, set_legend
from calwatch.verify.brief import gravest

MOST_OF_RAFT = 100
"""Exposures at which the raft is drawn beside an amplifier."""


@dataclass(frozen=True, slots=True)
class Point:
    """One exposure."""

    at: datetime
    exposure_id: int
    value: float | None
    lower: float | None
    upper: float | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the camera, its calibrations or its alarms."""

    at: datetime
    kind: str
    """``calibration``, ``sequencer`` or ``alarm``."""
    words: str


@dataclass(frozen=True, slots=True)
class Band:
    """Lowest, middle and highest value of the raft at one exposure."""

    at: datetime
    low: float
    middle: float
    high: float


KINDS = {"calibration": "#8c5fbf", "sequencer": "#2f8f6b", "alarm": "#c8501a"}
DASHES = {"calibration": "solid", "sequencer": "dashed", "alarm": "dotted"}


def trend(
    points: Sequence[Point],
    events: Sequence[Event],
    raft: Sequence[Band],
    *,
    title: str,
    unit: str,
    scheme: Scheme = LIGHT,
    height: int = 380,
) -> figure:
    """Draw a trend.

    Parameters
    ----------
    points
        Oldest first. Where one has no value only its mark on the axis is drawn.
    events
        Drawn as lines across.
    raft
        What the amplifiers of the raft had, oldest first; empty for none.
    title, unit
        Of the number.
    scheme, height
        How it looks.
    """
    plot = figure(
        width=900, height=height, x_axis_type="datetime", sizing_mode="stretch_width", title=title,
        tools="xpan,xwheel_zoom,box_zoom,reset,save", active_scroll=None, y_axis_label=unit or None,
        x_axis_label="end of exposure, UTC", output_backend="canvas",
    )  # fmt: skip
    if raft:
        at = [naive(band.at) for band in raft]
        plot.varea(
            at, [b.low for b in raft], [b.high for b in raft], fill_color=scheme.dim,
            fill_alpha=0.15, legend_label="raft, lowest to highest",
        )  # fmt: skip
        plot.line(
            at, [b.middle for b in raft], color=scheme.dim, line_dash="dotted",
            legend_label="raft, median",
        )  # fmt: skip
    _limits(plot, points, scheme)
    _events(plot, events)
    seen = [point for point in points if point.value is not None]
    plot.line(
        [naive(p.at) for p in seen],
        [p.value for p in seen],
        color=scheme.outcomes["P"],
        line_alpha=0.35,
    )
    for letter in dict.fromkeys(gravest(point.outcome) for point in seen):
        mine = [point for point in seen if gravest(point.outcome) == letter]
        source = ColumnDataSource(
            {
                "at": [naive(p.at) for p in mine],
                "value": [p.value for p in mine],
                "exposure": [str(p.exposure_id) for p in mine],
                "lower": ["−∞" if p.lower is None else f"{p.lower:.5g}" for p in mine],
                "upper": ["∞" if p.upper is None else f"{p.upper:.5g}" for p in mine],
            }
        )
        marks = plot.scatter(
            "at", "value", source=source, marker=MARKERS[letter], size=8 if letter == "F" else 6,
            fill_color=scheme.outcomes[letter], line_width=2 if letter == "F" else 1,
            line_color=scheme.ink if letter == "W" else scheme.outcomes[letter],
            legend_label=WORDS[letter],
        )  # fmt: skip
        tips = [
            ("exposure", "@exposure"), ("end", "@at{%F %T}"), ("value", f"@value{{0.0000}} {unit}"),
            ("allowed", "@lower … @upper"), ("result", WORDS[letter]),
        ]  # fmt: skip
        plot.add_tools(HoverTool(renderers=[marks], tooltips=tips, formatters={"@at": "datetime"}))
    dress(plot, scheme)
    return set_legend(plot, scheme)


def naive(at: datetime) -> datetime:
    """Return a time as Bokeh has it: in UTC, without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None)


def thinned(exposures: Sequence[int], most: int = MOST_OF_RAFT) -> list[int]:
    """Return at most so many, evenly spread, the first and the last among them."""
    count = len(exposures)
    if count <= most:
        return list(exposures)
    return [exposures[round(i * (count - 1) / (most - 1))] for i in range(most)]


def _limits(plot: figure, points: Sequence[Point], scheme: Scheme) -> None:
    for side in ("lower", "upper"):
        known = [(naive(p.at), value) for p in points if (value := getattr(p, side)) is not None]
        if known:
            plot.step(
                [at for at, _ in known], [value for _, value in known], mode="after",
                color=scheme.outcomes["F"], line_dash="dashed", legend_label="limit",
            )  # fmt: skip


def _events(plot: figure, events: Sequence[Event]) -> None:
    for kind, hue in KINDS.items():
        mine = [event for event in events if event.kind == kind]
        if not mine:
            continue
        source = ColumnDataSource(
            {"at": [naive(e.at) for e in mine], "words": [e.words for e in mine]}
        )
        lines = plot.vspan(
            x="at", source=source, line_color=hue, line_dash=DASHES[kind], line_width=2,
            line_alpha=0.8, legend_label=kind, level="underlay",
        )  # fmt: skip
        plot.add_tools(
            HoverTool(
                renderers=[lines], tooltips=[(kind, "@words"), ("at", "@at{%F %T}")],
                formatters={"@at": "datetime"},
            )
        )  # fmt: skip
