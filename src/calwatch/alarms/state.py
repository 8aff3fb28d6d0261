"""What is remembered of one instrument between two exposures, beside its open alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from calwatch.alarms.evidence import Link
from calwatch.alarms.model import Sample, Severity
from calwatch.alarms.window import Window
from calwatch.verify.limits_schema import LONGEST

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECENT = LONGEST
"""Exposures of each kind that are remembered by their number alone: as many as can matter."""

TrackKey = tuple[str, str, str, str]
"""(part, kind of exposure, test, aspect)."""


@dataclass(frozen=True, slots=True)
class Track:
    """One test of one part that has been bad lately."""

    family: str
    unit: str
    section: str
    window: Window


@dataclass(frozen=True, slots=True)
class Mute:
    """Notices of one problem are held back; it outlives the episode for which it was asked."""

    severity: Severity
    who: str
    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Chained:
    """One link of the certified chain of one CCD."""

    accepted: Link
    """The last one that was certified as a newer one, or that somebody acknowledged."""
    latest: Link
    """What was used last."""
    end: datetime
    """End of the exposure that used it."""


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """An exposure that was taken in, as far as its detectors had come."""

    end: datetime
    exposure_id: int
    detectors: int = 0
    """A bit for each detector that said something (`calwatch.alarms.parts.Parts.bit`)."""
    physical_filter: str = ""
    told: tuple[tuple[str, int], ...] = ()
    """Families of alarms that have told of it, each with the detectors (`calwatch.alarms.told`)."""


@dataclass(slots=True)
class BookState:
    """All of it. `to_dict` and `from_dict` are exact."""

    clock: datetime = EPOCH
    """Time never runs back: nothing happens before this."""
    last: datetime = EPOCH
    """When something happened last."""
    recent: dict[str, list[Seen]] = field(default_factory=dict)
    """The last exposures of each kind, oldest first."""
    tracks: dict[TrackKey, Track] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    """By name of the alarm."""
    chains: dict[str, dict[str, Chained]] = field(default_factory=dict)
    """By name of the CCD and of the link."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "clock": self.clock.isoformat(),
            "last": self.last.isoformat(),
            "recent": {kind: [_seen(one) for one in seen] for kind, seen in self.recent.items()},
            "tracks": [[*key, *_track(track)] for key, track in self.tracks.items()],
            "mutes": {
                name: [mute.severity.value, mute.who, mute.why, mute.until.isoformat()]
                for name, mute in self.mutes.items()
            },
            "chains": {
                ccd: {name: _chained(link) for name, link in links.items()}
                for ccd, links in self.chains.items()
            },
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any] | None) -> BookState:
        """Return what `to_dict` wrote; a new book for None."""
        if content is None:
            return cls()
        return cls(
            clock=_time(content["clock"]),
            last=_time(content["last"]),
            recent={
                kind: [_read_seen(one) for one in seen] for kind, seen in content["recent"].items()
            },
            tracks=dict(_tracks(content["tracks"])),
            mutes={
                name: Mute(Severity(severity), who, why, _time(until))
                for name, (severity, who, why, until) in content["mutes"].items()
            },
            chains={
                ccd: {name: _read_chained(link) for name, link in links.items()}
                for ccd, links in content["chains"].items()
            },
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _seen(one: Seen) -> list[Any]:
    plain = [one.end.isoformat(), one.exposure_id, f"{one.detectors:x}", one.physical_filter]
    told = [[family, f"{bits:x}"] for family, bits in one.told]
    return [*plain, told] if told else plain


def _read_seen(content: Sequence[Any]) -> Seen:
    end, number, bits, *rest = content
    physical_filter = rest[0] if rest else ""
    told = rest[1] if len(rest) > 1 else ()
    families = tuple((family, int(detectors, 16)) for family, detectors in told)
    return Seen(_time(end), number, int(bits, 16), physical_filter, families)


def _track(track: Track) -> list[Any]:
    samples = [
        [
            s.end.isoformat(),
            s.exposure_id,
            s.severity.value,
            s.value,
            list(s.limit),
            s.reason,
            s.collection,
            s.uuid,
            s.calibration,
            s.near,
        ]
        for s in track.window.samples
    ]
    return [track.family, track.unit, track.section, track.window.severity.value, samples]


def _tracks(content: Iterable[Sequence[Any]]) -> Iterable[tuple[TrackKey, Track]]:
    for part, calib_type, test, aspect, family, unit, section, severity, samples in content:
        read = tuple(
            Sample(_time(end), number, Severity(grave), value, (limit[0], limit[1]), *rest)
            for end, number, grave, value, limit, *rest in samples
        )
        window = Window(read, Severity(severity))
        yield (part, calib_type, test, aspect), Track(family, unit, section, window)


def _chained(link: Chained) -> list[Any]:
    latest = None if link.latest == link.accepted else _link(link.latest)
    return [_link(link.accepted), latest, link.end.isoformat()]


def _link(link: Link) -> list[Any]:
    return [link.uuid, link.begin, link.run, link.collection]


def _read_chained(content: Sequence[Any]) -> Chained:
    accepted, latest, end = content
    first = Link(*accepted)
    return Chained(first, first if latest is None else Link(*latest), _time(end))
