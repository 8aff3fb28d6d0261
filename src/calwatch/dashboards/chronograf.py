"""Dashboards as Chronograf 1.10 exports and imports them. Nothing in them needs Kapacitor."""

from __future__ import annotations

from typing import Any

from calwatch.dashboards.camera import limit_query
from calwatch.dashboards.influxql import Store
from calwatch.dashboards.model import (
    DETECTOR,
    INSTRUMENT,
    INTERVAL,
    TIME,
    Dashboard,
    Kind,
    Panel,
    Variable,
    filled_in,
)

Json = dict[str, Any]

VERSION = "1.10.9"
COLUMNS = 12
"""Of Chronograf's grid; panels are measured in 24."""
_FILLED_IN = {
    TIME: "time > :dashboardTime: AND time < :upperDashboardTime:",
    INTERVAL: ":interval:",
    INSTRUMENT: '"instrument" = :instrument:',
    DETECTOR: '"detector" = :detector:',
}
_TYPES = {
    Kind.TREND: "line",
    Kind.STEPS: "line-stepplot",
    Kind.STAT: "single-stat",
    Kind.TABLE: "table",
}
_SCALE = (("Sky", "#31C0F6"), ("Purple", "#A500A5"), ("Orange", "#FF7E27"))


def render(dashboard: Dashboard, store: Store) -> Json:
    """Return a dashboard as Chronograf imports it.

    Each cell asks whichever source the reader has chosen.
    """
    return {
        "meta": {"chronografVersion": VERSION, "sources": {}},
        "dashboard": {
            "id": 0,
            "name": dashboard.title,
            "organization": "default",
            "templates": [_template(one, store) for one in dashboard.variables],
            "cells": _cells(dashboard),
            "links": {"self": "", "cells": "", "templates": ""},
        },
    }


def _cells(dashboard: Dashboard) -> list[Json]:
    """Lay cells out from left to right and from top to bottom."""
    found: list[Json] = []
    x = y = tallest = 0
    for row in dashboard.rows:
        x, y, tallest = 0, y + tallest, 0
        for panel in row.panels:
            width, height = panel.width * COLUMNS // 24, max(1, panel.height // 2)
            if x + width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            place = {"x": x, "y": y, "w": width, "h": height}
            found.append(_cell(panel, f"{dashboard.uid}-{len(found) + 1}", place))
            x, tallest = x + width, max(tallest, height)
    return found


def _cell(panel: Panel, identity: str, place: Json) -> Json:
    limits = limit_query(panel)
    queries = [*panel.queries, *([] if limits is None else [limits])]
    return {
        "i": identity,
        **place,
        "name": panel.title,
        "type": _TYPES[panel.kind],
        "queries": [_query(query) for query in queries],
        "axes": {"x": _axis(), "y": _axis(panel.unit), "y2": _axis()},
        "colors": _colours(panel.kind),
        "legend": {},
        "tableOptions": {
            "verticalTimeAxis": True,
            "sortBy": _time_field(),
            "wrapping": "truncate",
            "fixFirstColumn": True,
        },
        "fieldOptions": [_time_field()],
        "timeFormat": "YYYY-MM-DD HH:mm:ss",
        "decimalPlaces": {"isEnforced": False, "digits": 3},
        "note": panel.description,
        "noteVisibility": "default",
        "links": {"self": ""},
    }


def _query(query: str) -> Json:
    text = filled_in(query, _FILLED_IN)
    return {
        "query": text,
        "queryConfig": {
            "database": "",
            "measurement": "",
            "retentionPolicy": "",
            "fields": [],
            "tags": {},
            "groupBy": {"time": "", "tags": []},
            "areTagsAccepted": False,
            "rawText": text,
            "range": None,
            "shifts": [],
        },
        "source": "",
        "type": "influxql",
    }


def _axis(label: str = "") -> Json:
    return {
        "bounds": ["", ""], "label": label, "prefix": "", "suffix": "", "base": "10",
        "scale": "linear",
    }  # fmt: skip


def _colours(kind: Kind) -> list[Json]:
    if kind in (Kind.TREND, Kind.STEPS):
        return [
            {"id": str(i), "type": "scale", "hex": code, "name": name, "value": "0"}
            for i, (name, code) in enumerate(_SCALE)
        ]
    return [{"id": "base", "type": "text", "hex": "#00C9FF", "name": "laser", "value": "-1000"}]


def _time_field() -> Json:
    return {"internalName": "time", "displayName": "", "visible": True}


def _template(variable: Variable, store: Store) -> Json:
    return {
        "id": variable.name,
        "tempVar": f":{variable.name}:",
        "label": variable.label,
        "type": "tagValues",
        "values": [{"value": variable.usual, "type": "tagValue", "selected": True}],
        "query": {
            "influxql": "SHOW TAG VALUES ON :database: FROM :measurement: WITH KEY=:tagKey:",
            "db": store.database,
            "rp": "",
            "measurement": variable.measurement,
            "tagKey": variable.name,
            "fieldKey": "",
        },
        "links": {"self": ""},
    }
