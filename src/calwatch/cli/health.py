"""``calwatch health``: ask a running daemon how it is, as a container's health check does."""

from __future__ import annotations

import http.client
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import click

DEFAULT_PORT = 9188
MOST_BYTES = 1 << 20
"""Of an answer; a daemon's has a few hundred."""


def _default_url() -> str:
    port = os.environ.get("CALWATCH_METRICS_PORT") or DEFAULT_PORT
    return f"http://127.0.0.1:{port}/healthz"


@click.command()
@click.option("--url", help="Address of /healthz (does it need a restart?) or /readyz (would it "
              "judge now?) [default: /healthz of this machine, at CALWATCH_METRICS_PORT or "
              "9188].")  # fmt: skip
@click.option("--timeout", default=8.0, show_default=True, type=click.FloatRange(0.1, 600),
              help="Seconds to wait for the answer.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the daemon's whole answer.")
def health(url: str | None, timeout: float, as_json: bool) -> None:
    """Tell in one line whether a running daemon gets on with its work.

    Exit code 0: it does. 1: it does not, or does not answer.

    \b
    Examples:
      calwatch health
      calwatch health --url http://127.0.0.1:9188/readyz --json
    """
    asked = url or _default_url()
    try:
        good, document = _ask(asked, timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        said: dict[str, Any] = {"url": asked, "error": reason}
        click.echo(json.dumps(said) if as_json else f"not well: {asked}: {reason}")
        sys.exit(1)
    click.echo(json.dumps(document) if as_json else _line(good, document))
    sys.exit(0 if good else 1)


def _ask(url: str, timeout: float) -> tuple[bool, dict[str, Any]]:
    """Return whether the answer was a good one, and what it said.

    The standard library's client: a check that runs every few seconds must not cost more than what
    it checks.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"--url {url}: give an address such as {_default_url()}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/healthz")
        answer = connection.getresponse()
        body = answer.read(MOST_BYTES)
    finally:
        connection.close()
    if answer.status not in (http.client.OK, http.client.SERVICE_UNAVAILABLE):
        raise ValueError(f"answered {answer.status} {answer.reason}")
    document = json.loads(body)
    if not isinstance(document, dict) or "checks" not in document:
        raise ValueError("answered, but not as calwatch does")
    return answer.status == http.client.OK, document


def _line(good: bool, document: dict[str, Any]) -> str:
    """Say all in one line: what is wrong, or what was looked at."""
    checks = document["checks"]
    wrong = [f"{check['name']}: {check['says']}" for check in checks if not check["ok"]]
    if good and not wrong:
        return f"well: {', '.join(check['name'] for check in checks)}"
    return f"{'well' if good else 'not well'}; {'; '.join(wrong)}"
