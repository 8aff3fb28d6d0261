"""Keeping secrets out of whatever is shown: logs, errors, tracebacks, metrics, the page.

Two ways, one upon the other. What is known to be a secret (a password that was read from somewhere,
the environment's variables of such names) is struck out wherever it stands, in the forms in which
other software writes it. And what looks like one (a password within a URL, a signature of S3) is
struck out, too, without being known.
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

MASK = "***"
SHORTEST = 4
"""A secret of fewer characters is not struck out: it would take half of every line with it."""
_SHORTEST_GUESSED = 8
"""The same for variables that are only taken for secrets because of their names."""

_TELLING_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|ACCESS_KEY|API_KEY", re.IGNORECASE)
_NAMES_A_PLACE = re.compile(r"_(FILE|PATH|DIR|URI|ENV)$", re.IGNORECASE)
_WEB = ("http", "https", "json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos")
"""Schemes whose host is a host; other services put tokens there, too."""
_LOOKS = (
    # ://user:password@host; what stands before need not be read, which could be a very long word
    re.compile(r"(?P<keep>://[^\s/:@'\"<>]*:)[^\s/@'\"<>]+(?=@)"),
    # Signatures and session tokens of presigned S3 URLs; passwords and tokens of any query.
    re.compile(
        r"(?P<keep>[?&;](?:X-Amz-(?:Signature|Credential|Security-Token)|AWSAccessKeyId"
        r"|Signature|[\w-]*(?:password|passwd|secret|token|api_?key))=)[^&\s'\"<>;]+",
        re.IGNORECASE,
    ),
    # password=… of a connection string of PostgreSQL
    re.compile(r"(?P<keep>\bpassword=)(?:'(?:[^'\\]|\\.)*'|[^\s'\"&;]+)", re.IGNORECASE),
    # An Authorization header
    re.compile(r"(?P<keep>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
)
"""Each in time that grows as the text does: errors may hold what others wrote, at any length."""


class Secrets:
    """All secrets that this process knows."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def keep(self, *values: str | None) -> None:
        """Strike these out from now on, in every form; those that are too short are left alone."""
        fresh = {v for v in values if v and len(v) >= SHORTEST} - self._values
        if not fresh:
            return
        with self._lock:
            self._values |= fresh
            forms = {form for value in self._values for form in _forms(value)}
            # The longest first, so that of two secrets one of which begins the other none remains.
            ordered = sorted(forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def forget(self) -> None:
        """Know none any more, for tests."""
        with self._lock:
            self._values, self._pattern = set(), None

    def redact(self, text: str) -> str:
        """Return a text without secrets."""
        pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(MASK, text)
        for looks in _LOOKS:
            text = looks.sub(rf"\g<keep>{MASK}", text)
        return text


SECRETS = Secrets()
"""Of this process."""


def keep_secret(*values: str | None) -> None:
    """Strike these out of whatever this process shows from now on."""
    SECRETS.keep(*values)


def keep_url(url: str | None, *, whole: bool = False) -> None:
    """Strike the secrets of a URL out of whatever this process shows from now on.

    Parameters
    ----------
    url
        Its password is a secret; nothing if there is none.
    whole
        All of it is, as of an address of apprise: user, path and query, and the host where it is
        none.
    """
    if not url:
        return
    try:
        parts = urlsplit(url)
        password, user, host = parts.password, parts.username, parts.hostname
    except ValueError:  # whoever uses it will say what is wrong
        keep_secret(url)
        return
    found = [password]
    if whole:
        pieces = [piece for piece in parts.path.split("/") if len(piece) >= _SHORTEST_GUESSED]
        values = [v for _, v in parse_qsl(parts.query) if len(v) >= _SHORTEST_GUESSED]
        found += [url, user, *pieces, *values]
        if parts.scheme.lower() not in _WEB:
            # hostname is in lower case
            found += [host, parts.netloc.rpartition("@")[2]]
    keep_secret(*(form for one in found if one for form in (one, unquote(one))))


def keep_environment(environment: Mapping[str, str] | None = None) -> None:
    """Strike out what stands in variables of telling names, and the passwords of all URLs there."""
    for name, value in (os.environ if environment is None else environment).items():
        if "://" in value:
            keep_url(value)
        elif (
            _TELLING_NAME.search(name)
            and not _NAMES_A_PLACE.search(name)
            and len(value) >= _SHORTEST_GUESSED
        ):
            keep_secret(value)


def redact(text: str) -> str:
    """Return a text without the secrets that are known, and without what looks like one."""
    return SECRETS.redact(text)


def redacted(value: Any) -> Any:
    """Return a value of a log line without secrets, within dicts and lists, too.

    What is no text, number, dict or list becomes the text that it would be written as.
    """
    match value:
        case str():
            return redact(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {redact(str(key)): redacted(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(item) for item in value]
        case _:
            return redact(repr(value))


class RedactingFormatter(logging.Formatter):
    """Writes lines of the libraries below, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(super().format(record))


def install_hooks() -> None:
    """Have errors that nobody catches written without secrets, in every thread."""
    sys.excepthook = _show
    threading.excepthook = lambda what: (
        None if what.exc_value is None else _show(what.exc_type, what.exc_value, what.exc_traceback)
    )


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lines = traceback.format_exception(kind, error, trace)
    print(redact("".join(lines)), file=sys.stderr, end="", flush=True)


def _forms(value: str) -> Iterable[str]:
    """Yield a secret as it is, and as others write it."""
    raw = {value, value.strip()} - {""}
    for one in raw:
        if len(one) < SHORTEST:
            continue
        escaped = json.dumps(one)[1:-1]
        yield from (
            one,
            escaped,
            json.dumps(one, ensure_ascii=False)[1:-1],
            escaped.replace("\\", "\\\\"),
            repr(one)[1:-1],
            repr(repr(one))[1:-1],
            ascii(one)[1:-1],
            one.replace("'", "\\'"),
            one.replace("\\", "\\\\").replace("'", "\\'"),
            html.escape(one),
            html.escape(one).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
            quote(one, safe="", errors="replace"),
            quote(one, errors="replace"),
            quote_plus(one, errors="replace"),
        )


keep_environment()
