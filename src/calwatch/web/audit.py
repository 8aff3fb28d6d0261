"""A log line for every change over HTTP, and for every one that was refused: who, and from where.

What was done stands in the history of the alarm, too, with who and why. From where a request came
is only here: it is the peer of the connection, so behind a proxy it is the proxy.
"""

from __future__ import annotations

import structlog
from starlette.requests import Request


def note_change(request: Request, alarm_id: int, action: str, who: str) -> None:
    """Note that somebody has changed an alarm."""
    structlog.get_logger("calwatch").info(
        "alarm changed over HTTP", alarm=alarm_id, action=action, who=who, peer=_peer(request)
    )


def note_refusal(request: Request, alarm_id: int, action: str, error: Exception) -> None:
    """Note that somebody was not let: who it is cannot be known."""
    structlog.get_logger("calwatch").warning(
        "change over HTTP refused",
        alarm=alarm_id,
        action=action,
        reason=str(error),
        peer=_peer(request),
    )


def _peer(request: Request) -> str:
    return "" if request.client is None else request.client.host
