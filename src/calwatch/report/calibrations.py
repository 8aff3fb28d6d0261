"""Which certified calibrations stood behind the results of a report, and when they changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calwatch.report.findings import reference
from calwatch.report.model import Change, Moment, Reference, Used
from calwatch.verify.model import DetectorResult

_Set = tuple[str, str, str, str, str]
"""Name, RUN, collection, begin, end."""


@dataclass(slots=True)
class _Uses:
    first: Moment
    last: Moment
    uuids: dict[str, str] = field(default_factory=dict)
    exposures: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Calibrations:
    """The chains of all results of a report."""

    _sets: dict[_Set, _Uses] = field(default_factory=dict)
    _now: dict[tuple[str, str], Reference] = field(default_factory=dict)
    """What each detector was last judged with, by (name, detector)."""
    _changes: dict[tuple[str, int, str, str], tuple[Moment, list[str]]] = field(
        default_factory=dict
    )

    def add(self, result: DetectorResult, at: Moment) -> None:
        """Look at one result; exposures come oldest first."""
        chain: Mapping[str, Mapping[str, Any]] = result.provenance.get("chain") or {}
        for calib_type, entry in chain.items():
            name = f"{calib_type} {entry.get('physical_filter') or ''}".strip()
            used = reference(calib_type, entry)
            self._use(name, result.detector_name, used, at)
            before = self._now.get((name, result.detector_name))
            if before is not None and before.uuid != used.uuid:
                self._change(name, result.detector_name, before, used, at)
            self._now[name, result.detector_name] = used

    def used(self) -> tuple[Used, ...]:
        """Return what was used, by name and then in the order of use."""
        found = [
            Used(*key, dict(sorted(of.uuids.items())), of.first, of.last, len(of.exposures))
            for key, of in self._sets.items()
        ]
        return tuple(sorted(found, key=lambda one: (one.name, one.first.exposure_id)))

    def changes(self) -> tuple[Change, ...]:
        """Return what changed within the report, oldest first."""
        found = [
            Change(name, at, before, after, tuple(detectors))
            for (name, _, before, after), (at, detectors) in self._changes.items()
        ]
        return tuple(sorted(found, key=lambda one: (one.at.exposure_id, one.name)))

    def _use(self, name: str, detector: str, used: Reference, at: Moment) -> None:
        key = (name, used.run, used.collection, used.begin, used.end)
        known = self._sets.setdefault(key, _Uses(at, at))
        known.last = at
        known.uuids[detector] = used.uuid
        known.exposures.add(at.exposure_id)

    def _change(
        self, name: str, detector: str, before: Reference, after: Reference, at: Moment
    ) -> None:
        key = (name, at.exposure_id, before.run, after.run)
        self._changes.setdefault(key, (at, []))[1].append(detector)
