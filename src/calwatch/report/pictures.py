"""The plots of a report, as what an HTML document takes in: BokehJS once, and a figure a place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calwatch.camera.model import Camera
from calwatch.plots.readings import Reading, gravity
from calwatch.report import words
from calwatch.report.model import Report, Trend
from calwatch.report.progress import Progress, in_silence
from calwatch.service.alarm_words import utc

FOCAL_PIXELS = 560
TREND_PIXELS = 300


SHOW = """
const waiting = new Map();
let last = Promise.resolve();
function draw(place) {
  const item = waiting.get(place);
  if (item && waiting.delete(place)) {
    last = last.then(() => Bokeh.embed.embed_item(item, place.id));
  }
}
const seen = new IntersectionObserver((entries) => {
  for (const one of entries) { if (one.isIntersecting) { draw(one.target); } }
}, { rootMargin: "300px" });
function show(name, item) {
  const place = document.getElementById(name);
  waiting.set(place, item);
  seen.observe(place);
}
addEventListener("beforeprint", () => { for (const place of waiting.keys()) { draw(place); } });
"""
"""Draws each figure when it is about to come into view, one after the other: a focal plane takes
its time."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One plot."""

    name: str
    """Of its place in the document."""
    caption: str
    """What it shows, in sentences that say the most important of it."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The plots of a report and the scripts that draw them; none of it from elsewhere."""

    focal: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict)
    """By kind of exposure."""
    trends: tuple[Picture, ...] = ()
    scripts: tuple[str, ...] = ()
    """JavaScript, in this order; safe within a script element."""


@dataclass(slots=True)
class _Drawn:
    """Figures as they are drawn."""

    scripts: list[str] = field(default_factory=list)

    def add(self, figure: Any, caption: str) -> Picture:
        from bokeh.embed import json_item

        name = f"plot-{len(self.scripts) + 1}"
        item = json.dumps(json_item(figure), allow_nan=False, separators=(",", ":"))
        self.scripts.append(f'show("{name}", {_safe(item)});')
        return Picture(name, caption)


def draw(report: Report, camera: Camera, progress: Progress = in_silence) -> Pictures:
    """Draw the focal plane of each kind of exposure, and the trends of what failed.

    Parameters
    ----------
    report
        What is drawn.
    camera
        Gives every amplifier its place.
    progress
        Told of the work.
    """
    drawn = _Drawn()
    kinds = progress(list(report.focal), "drawing focal planes")
    focal = {kind: _focal(drawn, camera, report.focal[kind]) for kind in kinds}
    trends = tuple(_trend(drawn, one) for one in progress(report.trends, "drawing trends"))
    return Pictures(focal, trends, (_library(), SHOW, *drawn.scripts) if drawn.scripts else ())


def _focal(drawn: _Drawn, camera: Camera, readings: Sequence[Reading]) -> tuple[Picture, ...]:
    from calwatch.plots.focal_plane import By, focal_plane, legend

    ways: tuple[By, ...] = ("verdict", "distance")
    counted = ", ".join(f"{many} {word}" for word, (_, many) in legend(readings).items())
    captions = (f"By verdict: {counted} (amplifiers).", _worst_words(readings))
    return tuple(
        drawn.add(focal_plane(camera, readings, by, size=FOCAL_PIXELS), caption)
        for by, caption in zip(ways, captions, strict=True)
    )


def _worst_words(readings: Sequence[Reading]) -> str:
    """Say which amplifier is farthest out."""
    far = [one for one in readings if one.distance is not None]
    if not far:
        return "By distance from the limit: nothing has one."
    one = max(far, key=lambda reading: (gravity(reading)[0], reading.distance or 0.0))
    return (
        f"By distance from the limit. The worst: {one.detector}/{one.amp} {one.test}, "
        f"{words.number(one.value, one.unit)}, {one.distance:.3g}× as far as the limit."
    )


def _trend(drawn: _Drawn, trend: Trend) -> Picture:
    from calwatch.plots.trend import Event, Point
    from calwatch.plots.trend import trend as figure_of

    points = [Point(p.end_utc, p.exposure_id, p.value, *p.limit, p.outcome) for p in trend.points]
    events = [Event(event.at, event.kind, event.words) for event in trend.events]
    title = f"{trend.kind} {trend.test} of {trend.part}"
    figure = figure_of(points, events, (), title=title, unit=trend.unit, height=TREND_PIXELS)
    failed = sum(point.outcome == "F" for point in trend.points)
    caption = (
        f"{title}: {len(points)} exposures from {utc(points[0].at)} to {utc(points[-1].at)} UTC, "
        f"of which {failed} failed."
    )
    changed = [f"{utc(event.at)} {event.kind}: {event.words}" for event in trend.events]
    return drawn.add(figure, f"{caption} On the way: {'; '.join(changed)}." if changed else caption)


def _library() -> str:
    """Return BokehJS, as the installed package has it."""
    from bokeh.resources import Resources

    return _safe("\n".join(Resources(mode="inline", components=["bokeh"]).js_raw))


def _safe(script: str) -> str:
    """Keep a script from ending its element: in a string, a backslash before ``/`` is nothing."""
    return script.replace("</", "<\\/").replace("<!--", "<\\!--")
