"""What a request asks for, read with bounds: never more than a form can need."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from calwatch.alarms.model import Severity
from calwatch.service.alarm_desk import LONGEST_MUTE, Order, OrderError

MOST_BYTES = 16 * 1024
_FIELDS = ("who", "why", "severity", "seconds")


class TooLargeError(OrderError):
    """The body is longer than any that makes sense."""

    status = 413


async def read_body(request: Request) -> bytes:
    """Return a request's body, giving up as soon as it is too long.

    Raises
    ------
    TooLargeError
        If it is.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLargeError(f"the request is longer than {MOST_BYTES} bytes")
    return bytes(body)


async def read_json(request: Request) -> Mapping[str, Any]:
    """Return a request's JSON object.

    Raises
    ------
    OrderError
        If it is none.
    """
    body = await read_body(request)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise OrderError("the request must be a JSON object") from None
    if not isinstance(content, dict):
        raise OrderError("the request must be a JSON object")
    return content


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form as browsers send it; of a repeated one the first.

    Raises
    ------
    OrderError
        If it cannot be read.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise OrderError("the request must be a form")
    body = await read_body(request)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise OrderError("the form cannot be read") from None
    return {name: values[0] for name, values in fields.items()}


def order_of(content: Mapping[str, Any]) -> Order:
    """Return what a JSON object orders.

    Raises
    ------
    OrderError
        Naming the field that is wrong.
    """
    unknown = sorted(set(content) - set(_FIELDS))
    if unknown:
        raise OrderError(f"no field {unknown[0][:40]!r}: there are {', '.join(_FIELDS)}")
    return Order(
        who=_text(content, "who"),
        why=_text(content, "why"),
        severity=severity_of(_text(content, "severity")),
        duration=_duration(content.get("seconds")),
    )


def severity_of(name: str) -> Severity | None:
    """Return a severity by name; None for an empty one.

    Raises
    ------
    OrderError
        If there is none of that name.
    """
    if not name:
        return None
    try:
        return Severity[name.upper()]
    except KeyError:
        known = ", ".join(s.name for s in Severity if s is not Severity.NONE)
        raise OrderError(f"severity: {name[:40]!r} is none of {known}") from None


def _text(content: Mapping[str, Any], field: str) -> str:
    value = content.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise OrderError(f"{field}: must be text")
    return value


def _duration(value: Any) -> timedelta | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OrderError("seconds: must be a number")
    if not math.isfinite(value) or not 0 < value <= LONGEST_MUTE.total_seconds():
        raise OrderError(f"seconds: must be a number up to {LONGEST_MUTE.total_seconds():.0f}")
    return timedelta(seconds=value)
