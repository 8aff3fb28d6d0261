"""Dashboards as Grafana's JSON model has them (schema version 39, Grafana 10.3 and later)."""

from __future__ import annotations

from typing import Any

from calwatch.dashboards.influxql import COMMENT
from calwatch.dashboards.model import (
    DETECTOR,
    INSTRUMENT,
    INTERVAL,
    SETS,
    TIME,
    Dashboard,
    Kind,
    Line,
    Panel,
    Row,
    Source,
    Variable,
    filled_in,
)

Json = dict[str, Any]

SCHEMA_VERSION = 39
COLUMNS = 24
_FILLED_IN = {
    TIME: "$timeFilter",
    INTERVAL: "$__interval",
    INSTRUMENT: '"instrument" =~ /^$instrument$/',
    DETECTOR: '"detector" =~ /^$detector$/',
}
_TYPES = {
    Kind.TREND: "timeseries",
    Kind.STEPS: "timeseries",
    Kind.STAT: "stat",
    Kind.TABLE: "table",
}
_DATASOURCES = {Source.INFLUXDB: "sasquatch", Source.PROMETHEUS: "prometheus"}
"""Names of the variables by which the reader chooses the data source."""
_GOOD, _WARNING, _SERIOUS = "green", "orange", "red"
_UNITS = {"": "short", "s": "s"}


def render(dashboard: Dashboard) -> Json:
    """Return a dashboard as Grafana imports it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": _tags(dashboard),
        "timezone": "utc",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "refresh": "1m",
        "time": {"from": dashboard.since, "to": "now"},
        "templating": {
            "list": [
                _datasource_variable(dashboard.source),
                *(_variable(one, dashboard.source) for one in dashboard.variables),
            ]
        },
        "annotations": {"list": []},
        "links": [_menu("calwatch"), _menu(SETS)],
        "panels": _panels(dashboard),
    }


def _tags(dashboard: Dashboard) -> list[str]:
    """Return the menus that a dashboard is in; a group has its own, but for its first page."""
    if not dashboard.group:
        return ["calwatch"]
    return ["calwatch", SETS] if dashboard.uid == dashboard.group else [dashboard.group]


def _menu(tag: str) -> Json:
    return {
        "type": "dashboards",
        "title": tag,
        "tags": [tag],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "icon": "external link",
        "tooltip": "",
        "url": "",
        "targetBlank": False,
    }


def _panels(dashboard: Dashboard) -> list[Json]:
    """Lay panels out from left to right and from top to bottom."""
    found: list[Json] = []
    number = y = 0
    for row in dashboard.rows:
        number += 1
        heading = _heading(row, number, y)
        found.append(heading)
        # Panels of a row that is to be opened lie within its heading.
        laid: list[Json] = heading["panels"] if row.collapsed else found
        y += 1
        x = tallest = 0
        below = y
        for panel in row.panels:
            number += 1
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            laid.append(_panel(panel, number, place, dashboard.source))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y = below if row.collapsed else y + tallest
    return found


def _heading(row: Row, number: int, y: int) -> Json:
    place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {
        "id": number, "type": "row", "title": row.title, "collapsed": row.collapsed,
        "gridPos": place, "panels": [],
    }  # fmt: skip


def _panel(panel: Panel, number: int, place: Json, source: Source) -> Json:
    targets = [
        _target(panel, query, chr(ord("A") + i), source) for i, query in enumerate(panel.queries)
    ]
    found: Json = {
        "id": number,
        "type": _TYPES[panel.kind],
        "title": panel.title,
        "description": panel.description,
        "datasource": _datasource(source),
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }
    if panel.kind is Kind.TABLE and source is Source.PROMETHEUS:
        hidden = {"excludeByName": {"Time": True, "Value": True}}
        found["transformations"] = [{"id": "organize", "options": hidden}]
    return found


def _target(panel: Panel, query: str, letter: str, source: Source) -> Json:
    as_table = panel.kind is Kind.TABLE
    if source is Source.PROMETHEUS:
        return {
            "refId": letter,
            "datasource": _datasource(source),
            "expr": query,
            "legendFormat": panel.label,
            "instant": as_table,
            "range": not as_table,
            "format": "table" if as_table else "time_series",
        }
    return {
        "refId": letter,
        "datasource": _datasource(source),
        "query": filled_in(query, _FILLED_IN),
        "rawQuery": True,
        "resultFormat": "table" if as_table else "time_series",
        "alias": panel.label or "$col",
    }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": _UNITS.get(panel.unit, f"suffix: {panel.unit}"), "custom": {}}
    if panel.kind is Kind.STAT:
        defaults["noValue"] = "0"
    if panel.kind in (Kind.TREND, Kind.STEPS):
        defaults["custom"] = {
            "drawStyle": "line",
            "lineInterpolation": "stepAfter" if panel.kind is Kind.STEPS else "linear",
            "lineWidth": 1,
            "showPoints": "always",
            "pointSize": 4,
            "spanNulls": True,
            "thresholdsStyle": {"mode": "dashed" if panel.lines else "off"},
        }
    if panel.lines:
        defaults["color"] = {"mode": "palette-classic"}
        defaults["thresholds"] = {"mode": "absolute", "steps": steps(panel.lines)}
    return defaults


def steps(lines: tuple[Line, ...]) -> list[Json]:
    """Return limits as thresholds: a colour from each value on, the lowest first.

    Below the lowest stands the colour of what a value is there.
    """
    colours = {"warning": _WARNING, "serious": _SERIOUS}
    lower = sorted((line for line in lines if line.side == "lower"), key=lambda line: line.value)
    upper = sorted((line for line in lines if line.side == "upper"), key=lambda line: line.value)
    # Between two lower bounds a value has crossed the higher of them only.
    above = [colours[line.severity] for line in lower] + [_GOOD]
    found: list[Json] = [{"value": None, "color": above[0]}]
    found += [
        {"value": line.value, "color": colour}
        for line, colour in zip(lower, above[1:], strict=True)
    ]
    found += [{"value": line.value, "color": colours[line.severity]} for line in upper]
    return found


_LEGEND: Json = {
    "displayMode": "list", "placement": "right", "showLegend": True, "calcs": [],
}  # fmt: skip
_LINES: Json = {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
_OPTIONS: dict[Kind, Json] = {
    Kind.TREND: _LINES,
    Kind.STEPS: _LINES,
    Kind.STAT: {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "none",
        "graphMode": "none",
        "textMode": "value",
    },
    Kind.TABLE: {"showHeader": True, "cellHeight": "sm"},
}


def _datasource(source: Source) -> Json:
    return {"type": source.value, "uid": f"${{{_DATASOURCES[source]}}}"}


def _datasource_variable(source: Source) -> Json:
    return {
        "name": _DATASOURCES[source],
        "label": "Data source",
        "type": "datasource",
        "query": source.value,
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
    }


def _variable(variable: Variable, source: Source) -> Json:
    if source is Source.PROMETHEUS:
        query = f"label_values({variable.measurement}, {variable.name})"
    else:
        query = (
            f'{COMMENT}SHOW TAG VALUES FROM "{variable.measurement}" WITH KEY = "{variable.name}"'
        )
        if variable.name != "instrument":
            query += f" WHERE {_FILLED_IN[INSTRUMENT]}"
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": _datasource(source),
        "query": query,
        "current": {"selected": True, "text": variable.usual, "value": variable.usual},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 2,
        "sort": 3,
    }
