"""What a dashboard is, before it is written for Grafana or for Chronograf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TIME, INTERVAL, INSTRUMENT, DETECTOR = "@time", "@interval", "@instrument", "@detector"
"""Stand in a query for what each program fills in by itself: the time range, the width of a time
bin, and the conditions that choose the instrument and the detector."""


SETS = "calwatch-sets"
"""Menu of the dashboards of sets."""


def filled_in(query: str, words: Mapping[str, str]) -> str:
    """Return a query with a program's own words in the place of ours."""
    for ours, theirs in words.items():
        query = query.replace(ours, theirs)
    return query


class Kind(StrEnum):
    """How a panel shows its numbers."""

    TREND = "trend"
    STEPS = "steps"
    """A trend that stands still between its points."""
    STAT = "stat"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Line:
    """One bound of a limit, as a line in a trend."""

    value: float
    severity: str
    """``warning`` or ``serious``."""
    side: str
    """``lower`` or ``upper``."""

    @property
    def label(self) -> str:
        """What the line is called."""
        return f"{self.severity} {self.side}"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    title: str
    kind: Kind
    queries: tuple[str, ...]
    description: str = ""
    unit: str = ""
    lines: tuple[Line, ...] = ()
    line_source: str = ""
    """The measurement over whose points the lines are drawn, where a program has no lines."""
    label: str = ""
    """Name of each series, in Grafana's words; empty: that of the column."""
    width: int = 12
    """Of 24."""
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False
    """Whether a reader opens it: until then nothing is asked for it (Chronograf has no rows)."""


@dataclass(frozen=True, slots=True)
class Variable:
    """Something that the reader chooses."""

    name: str
    label: str
    measurement: str
    """In InfluxDB: the one whose values of the tag of this name may be chosen."""
    usual: str
    """Chosen at first."""


class Source(StrEnum):
    """Where the numbers come from."""

    INFLUXDB = "influxdb"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page of panels."""

    uid: str
    title: str
    description: str
    source: Source
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "now-2d"
    """Beginning of the time range shown at first."""
    group: str = ""
    """A menu of its own that it stands in, such as `SETS`, beside that of all."""
