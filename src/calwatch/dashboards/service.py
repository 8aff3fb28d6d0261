"""The dashboard of the service itself, from what ``/metrics`` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calwatch.dashboards.families import Family
from calwatch.dashboards.model import Dashboard, Kind, Panel, Row, Source, Variable

JOB = "job"
"""The variable, and the label that Prometheus gives every series of one deployment."""
_TIMESTAMP = "_timestamp_seconds"
_INFO = "_info"
_SINGLE = {"partition"}
"""Labels that are summed over: nobody looks at one partition."""
_HEADINGS = (
    ("calwatch_build", "Which code runs"),
    ("calwatch_alarm", "Alarms"),
    ("calwatch_heartbeat", "Alarms"),
    ("calwatch_publish", "Publishing"),
    ("calwatch_outbox", "Publishing"),
    ("calwatch_event", "Events"),
    ("calwatch_intake", "Events"),
    ("calwatch_rebalances", "Events"),
    ("calwatch_commit", "Events"),
    ("calwatch_missing_topics", "Events"),
)
_OTHERS = "Work"
"""Heading of every metric that none of these begins."""


def service_dashboard(families: Sequence[Family]) -> Dashboard:
    """Return a dashboard with a panel for every metric.

    Parameters
    ----------
    families
        From `calwatch.dashboards.families.families`.
    """
    by_heading: dict[str, list[Panel]] = {
        heading: [] for heading in (_OTHERS, *(text for _, text in _HEADINGS))
    }
    for family in families:
        by_heading[heading_of(family.name)].append(_panel(family))
    return Dashboard(
        "calwatch-service",
        "calwatch: the service",
        "Whether calwatch itself gets on with its work; a panel for each of its metrics.",
        Source.PROMETHEUS,
        tuple(Row(heading, tuple(panels)) for heading, panels in by_heading.items()),
        (Variable(JOB, "Job", "calwatch_build_info", "calwatch"),),
    )


def heading_of(name: str) -> str:
    """Return the row in which a metric is shown."""
    return next((text for start, text in _HEADINGS if name.startswith(start)), _OTHERS)


def _panel(family: Family) -> Panel:
    labels = [label for label in family.labels if label not in _SINGLE]
    title = family.name.removeprefix("calwatch_").removesuffix("_total").replace("_", " ")
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    make = _MAKERS[family.kind]
    queries, unit, kind = make(family.name, labels)
    age = " Shown is how long ago." if family.name.endswith(_TIMESTAMP) else ""
    return Panel(
        title.removesuffix(" timestamp seconds"), kind, tuple(queries), f"{family.text}{age}",
        unit, label=legend or title, width=24 if kind is Kind.TABLE else 8,
        height=4 if kind is Kind.TABLE else 8,
    )  # fmt: skip


_Made = tuple[list[str], str, Kind]


def _counter(name: str, labels: Sequence[str]) -> _Made:
    return [f"{_by('sum', labels)}(increase({_of(name)}[$__rate_interval]))"], "", Kind.TREND


def _gauge(name: str, labels: Sequence[str]) -> _Made:
    if name.endswith(_INFO):
        return [f"{_by('max', labels)}({_of(name)})"], "", Kind.TABLE
    if name.endswith(_TIMESTAMP):
        return [f"time() - {_by('max', labels)}({_of(name)})"], "s", Kind.TREND
    unit = "s" if name.endswith("_seconds") else ""
    return [f"{_by('sum', labels)}({_of(name)})"], unit, Kind.TREND


def _histogram(name: str, labels: Sequence[str]) -> _Made:
    rate = f"{_by('sum', [*labels, 'le'])}(rate({_of(f'{name}_bucket')}[$__rate_interval]))"
    shares = ("0.5", "0.95")
    return [f"histogram_quantile({share}, {rate})" for share in shares], "s", Kind.TREND


_MAKERS: dict[str, Callable[[str, Sequence[str]], _Made]] = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
}


def _of(name: str) -> str:
    return f'{name}{{{JOB}="${JOB}"}}'


def _by(how: str, labels: Sequence[str]) -> str:
    return f"{how} by ({', '.join(labels)}) " if labels else how
