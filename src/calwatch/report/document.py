"""A report as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from calwatch.alarms.codec import time_to_text
from calwatch.alarms.model import Numbered
from calwatch.report.model import Report
from calwatch.service.alarm_documents import alarm_document


def to_document(report: Report) -> dict[str, Any]:
    """Return a report as plain dicts, lists, strings and numbers; never NaN.

    Names are those of `calwatch.report.model`; times are UTC as ISO 8601.
    """
    document: dict[str, Any] = _plain(report)
    return {"failed": report.failed, **document}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return time_to_text(value)
    if isinstance(value, Numbered):
        return alarm_document(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    return [_plain(item) for item in value]
