"""The focal plane: every amplifier in its true place, coloured by what one wants to see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from bokeh.models import ColorBar, ColumnDataSource, HoverTool, LinearColorMapper, OpenURL, TapTool
from bokeh.plotting import figure

from calwatch.camera.model import Camera, Detector
from calwatch.camera.placing import corners
from calwatch.plots.look import (
    COLOURS,
    DISTANCES,
    HATCHES,
    LIGHT,
    VALUES,
    WORDS,
    Scheme,
    colour,
    dress,
)
from calwatch.plots.readings import Reading
from calwatch.verify.brief import ABSENT, gravest

By = Literal["value", "distance", "verdict"]
WAYS: Sequence[By] = ("verdict", "distance", "value")
FARTHEST = 2.0
"""Distances are coloured up to here; 1 is the limit."""
OUTLIERS = 0.02
"""Part of the values at either end that does not stretch the scale."""
_TIP = """
<div><b>@detector @amp</b>: @words<br>@test: @shown<br>allowed: @allowed<br>@seen</div>
"""


def focal_plane(
    camera: Camera,
    readings: Sequence[Reading],
    by: By,
    *,
    scheme: Scheme = LIGHT,
    address: Callable[[Reading], str] | None = None,
    size: int = 760,
) -> figure:
    """Draw a focal plane.

    Parameters
    ----------
    camera
        All its detectors are drawn; those without a reading are pale.
    readings
        At most one for each amplifier.
    by
        What the colour says: the verdict, the distance from the limit, or the value itself.
    scheme
        Colours around it.
    address
        Where a tap on an amplifier leads; nowhere if None.
    size
        Width and height, screen pixels.
    """
    by_place = {(reading.detector, reading.amp): reading for reading in readings}
    low, high = scale(readings, by)
    palette = VALUES if by == "value" else DISTANCES
    columns: dict[str, list[Any]] = {}
    for detector in camera.detectors:
        for amp in detector.amplifiers:
            reading = by_place.get((detector.name, amp.name))
            points = corners(detector, amp.bbox)
            cell = {
                "xs": [round(x, 2) for x, _ in points],
                "ys": [round(y, 2) for _, y in points],
                "detector": detector.name,
                "amp": amp.name,
                **_words(reading),
                "fill": _fill(reading, by, low, high, palette, scheme),
                "hatch": HATCHES[gravest(reading.outcome) if reading else ABSENT],
                "address": address(reading) if address and reading else "",
            }
            for name, value in cell.items():
                columns.setdefault(name, []).append(value)
    plot = figure(
        width=size, height=size, match_aspect=True, tools="pan,wheel_zoom,box_zoom,reset,save",
        sizing_mode="scale_width", active_scroll=None, output_backend="canvas",
    )  # fmt: skip
    cells = plot.patches(
        "xs", "ys", source=ColumnDataSource(columns), fill_color="fill", line_color=scheme.ground,
        line_width=0.3,
    )  # fmt: skip
    _hatch(plot, columns, scheme)
    # What is not pointed at stays as it is: a tap leads away, it selects nothing.
    cells.nonselection_glyph = cells.glyph
    _outline(plot, camera, scheme)
    plot.add_tools(HoverTool(renderers=[cells], tooltips=_TIP, attachment="horizontal"))
    if address:
        tap = TapTool(renderers=[cells], callback=OpenURL(url="@address", same_tab=True))
        plot.add_tools(tap)
    if by != "verdict":
        mapper = LinearColorMapper(palette=list(palette), low=low, high=high)
        unit = next((reading.unit for reading in readings if reading.unit), "")
        title = unit if by == "value" else "parts of the way to the limit"
        bar = ColorBar(
            color_mapper=mapper, title=title, background_fill_color=scheme.ground,
            title_text_color=scheme.dim, major_label_text_color=scheme.dim, width=12,
        )  # fmt: skip
        plot.add_layout(bar, "right")
    plot.axis.visible = False
    plot.grid.visible = False
    return dress(plot, scheme)


def scale(readings: Sequence[Reading], by: By) -> tuple[float, float]:
    """Return the ends of the colour scale. Single outliers do not stretch that of values."""
    if by != "value":
        return 0.0, FARTHEST
    values = sorted(reading.value for reading in readings if reading.value is not None)
    if not values:
        return 0.0, 1.0
    cut = int(len(values) * OUTLIERS)
    low, high = values[cut], values[-1 - cut]
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def legend(readings: Sequence[Reading]) -> Mapping[str, tuple[str, int]]:
    """Return colour and number of amplifiers by the word of each outcome that occurs."""
    found: dict[str, tuple[str, int]] = {}
    for letter, word in WORDS.items():
        count = sum(gravest(reading.outcome) == letter for reading in readings)
        if count:
            found[word] = (COLOURS[letter], count)
    return found


def _fill(
    reading: Reading | None,
    by: By,
    low: float,
    high: float,
    palette: Sequence[str],
    scheme: Scheme,
) -> str:
    absent = scheme.outcomes[ABSENT]
    if reading is None:
        return absent
    if by == "verdict":
        return scheme.outcomes[gravest(reading.outcome)]
    if by == "distance" and reading.distance == 1.0:
        return palette[len(palette) // 2 - 1]  # on the limit is not beyond it
    shown = reading.value if by == "value" else reading.distance
    return colour(shown, low, high, palette, absent)


def _words(reading: Reading | None) -> dict[str, str]:
    if reading is None:
        return {"words": "not judged", "test": "–", "shown": "–", "allowed": "–", "seen": ""}
    lower = "−∞" if reading.lower is None else f"{reading.lower:.5g}"
    upper = "∞" if reading.upper is None else f"{reading.upper:.5g}"
    bound = reading.lower is not None or reading.upper is not None
    return {
        "words": WORDS[gravest(reading.outcome)],
        "test": reading.test,
        "shown": "–" if reading.value is None else f"{reading.value:.5g} {reading.unit}".strip(),
        "allowed": f"{lower} … {upper}" if bound else "no limit",
        "seen": f"exposure {reading.exposure_id}",
    }


def _hatch(plot: figure, columns: Mapping[str, Sequence[Any]], scheme: Scheme) -> None:
    """Hatch the cells that have a hatching: to ask for none costs as much as to draw one."""
    marked = [place for place, hatch in enumerate(columns["hatch"]) if hatch.strip()]
    if not marked:
        return
    chosen = {name: [columns[name][place] for place in marked] for name in ("xs", "ys", "hatch")}
    plot.patches(
        "xs", "ys", source=ColumnDataSource(chosen), fill_color=None, line_color=None,
        hatch_pattern="hatch", hatch_color=scheme.ground, hatch_scale=5, hatch_alpha=0.7,
        hatch_weight=0.8,
    )  # fmt: skip


def _outline(plot: figure, camera: Camera, scheme: Scheme) -> None:
    """Draw the edges of the CCDs, and names: of rafts, or of amplifiers where there is one CCD."""
    edges = [corners(detector) for detector in camera.detectors]
    plot.multi_polygons(
        [[[[round(x, 2) for x, _ in points]]] for points in edges],
        [[[[round(y, 2) for _, y in points]]] for points in edges],
        fill_color=None, line_color=scheme.dim, line_width=1.0,
    )  # fmt: skip
    names = _amp_names(camera.detectors[0]) if len(camera.detectors) == 1 else _raft_names(camera)
    plot.text(
        [x for x, _, _ in names], [y for _, y, _ in names], [text for _, _, text in names],
        text_align="center", text_baseline="middle", text_color=scheme.ink, text_font_size="11px",
        text_alpha=0.6,
    )  # fmt: skip


def _amp_names(detector: Detector) -> list[tuple[float, float, str]]:
    return [(*_centre(corners(detector, amp.bbox)), amp.name) for amp in detector.amplifiers]


def _raft_names(camera: Camera) -> list[tuple[float, float, str]]:
    rafts: dict[str, list[tuple[float, float]]] = {}
    for detector in camera.detectors:
        rafts.setdefault(detector.raft, []).append((detector.place.x, detector.place.y))
    return [(*_centre(points), raft) for raft, points in rafts.items()]


def _centre(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    count = len(points)
    return sum(x for x, _ in points) / count, sum(y for _, y in points) / count
