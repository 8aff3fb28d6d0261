"""Who may change something: whoever has the token."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from calwatch.errors import StopError
from calwatch.settings import WebSettings

_SCHEME = "bearer"


class RefusedError(StopError):
    """Nobody may change anything over HTTP here."""

    status = 403


class WrongTokenError(RefusedError):
    """The token is missing or not the right one."""

    status = 401


def bearer(request: Request) -> str:
    """Return the token of a request's Authorization header; empty if it has none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else ""


def token_of(settings: WebSettings) -> str:
    """Return the token that is set; empty if none is, and then nothing can be changed here."""
    return settings.token.get_secret_value() if settings.token else ""


def require(settings: WebSettings, given: str) -> None:
    """Let pass whoever has the token.

    Parameters
    ----------
    settings
        Hold the token, if there is one.
    given
        What the request brought.

    Raises
    ------
    RefusedError
        If no token is set: then nobody can prove anything.
    WrongTokenError
        If it is not the right one.
    """
    token = token_of(settings)
    if not token:
        raise RefusedError(
            "changes are not allowed over HTTP: no token is set (CALWATCH_WEB__TOKEN); "
            "`calwatch alarms` works without"
        )
    if not given:
        raise WrongTokenError("a token is needed for this")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise WrongTokenError("the token is not the right one")
