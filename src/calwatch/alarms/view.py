"""What stands behind an alarm, put together from the tracks of its members."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from calwatch.alarms.grouping import group_severity
from calwatch.alarms.machine import View
from calwatch.alarms.model import Alarm, Key, Severity, Symptom
from calwatch.alarms.parts import Parts
from calwatch.alarms.rules import Rules
from calwatch.alarms.state import Track, TrackKey

SHOWN = 8
"""Symptoms given with all their values; the rest is counted."""
KEPT = 6
"""Samples of a symptom that is over."""


def make_view(
    key: Key,
    tracks: Mapping[TrackKey, Track],
    members: Sequence[str],
    judged: Collection[str],
    parts: Parts,
    rules: Rules,
) -> View:
    """Return what is wrong with one part.

    Parameters
    ----------
    key
        Of the alarm.
    tracks
        Everything raised that it stands for; at least one.
    members
        Its bad parts, in the camera's order.
    judged
        Parts of which the last exposure said something.
    parts, rules
        The camera and the rules.
    """
    severities: dict[str, Severity] = {}
    for track_key, track in tracks.items():
        part = track_key[0]
        severities[part] = max(severities.get(part, Severity.NONE), track.window.severity)
    # Where all that is bad are amplifiers, a detector that was judged as a whole is none of them.
    kinds = {_is_amplifier(name) for name in members} or {True, False}
    known = [name for name in {*judged, *members} if _is_amplifier(name) in kinds]
    total = sum(parts.within(name, key.part) for name in known)
    return View(
        severity=group_severity(key.part, severities, judged, parts, rules),
        since=_since(tracks),
        members=tuple(members),
        total=total,
        symptoms=_worst(tracks, parts),
        counts=_counts(tracks),
        exposure_id=_newest(tracks),
    )


def with_last_samples(alarm: Alarm, tracks: Mapping[TrackKey, Track]) -> Alarm:
    """Return an alarm whose symptoms have the good samples as well that ended it."""
    symptoms = []
    for symptom in alarm.symptoms:
        key = (symptom.part, symptom.calib_type, symptom.test, alarm.key.aspect)
        newer = tracks[key].window.samples if key in tracks else ()
        samples = {sample.exposure_id: sample for sample in (*symptom.samples, *newer)}
        ordered = sorted(samples.values(), key=lambda s: (s.end, s.exposure_id))
        symptoms.append(replace(symptom, samples=tuple(ordered[-KEPT:])))
    return replace(alarm, symptoms=tuple(symptoms))


def _worst(tracks: Mapping[TrackKey, Track], parts: Parts) -> tuple[Symptom, ...]:
    """Return the gravest symptoms: first those furthest beyond their limits, then in order."""
    places = {name: i for i, name in enumerate(parts.sorted({key[0] for key in tracks}))}
    ordered = sorted(
        tracks.items(),
        key=lambda item: (
            -item[1].window.severity,
            -_excess(item[1]),
            places[item[0][0]],
            item[0],
        ),
    )
    return tuple(
        Symptom(
            part=part,
            calib_type=calib_type,
            test=test,
            unit=track.unit,
            section=track.section,
            severity=track.window.severity,
            samples=track.window.samples,
        )
        for (part, calib_type, test, _aspect), track in ordered[:SHOWN]
    )


def _excess(track: Track) -> float:
    """Return how far the last bad value is beyond its limit, in units of the limit."""
    sample = track.window.last_bad
    if sample is None or sample.value is None:
        return 0.0
    lower, upper = sample.limit
    edges = [edge for edge in (lower, upper) if edge is not None]
    if not edges:
        return 0.0
    beyond = min(abs(sample.value - edge) for edge in edges)
    width = (upper - lower) if lower is not None and upper is not None else abs(edges[0])
    return round(beyond / width, 6) if width > 0 else 0.0


def _counts(tracks: Mapping[TrackKey, Track]) -> dict[str, int]:
    """Return the number of bad parts by kind of exposure and test."""
    counts: dict[str, int] = {}
    for _part, calib_type, test, _aspect in tracks:
        name = f"{calib_type} {test}"
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def _since(tracks: Mapping[TrackKey, Track]) -> datetime:
    return min(s.end for t in tracks.values() if (s := t.window.bad_since or t.window.samples[-1]))


def _newest(tracks: Mapping[TrackKey, Track]) -> int:
    samples = [track.window.samples[-1] for track in tracks.values()]
    return max(samples, key=lambda s: (s.end, s.exposure_id)).exposure_id


def _is_amplifier(name: str) -> bool:
    return "/" in name
