"""No secret, wherever it was set, comes out by any of the ways out."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

import pytest
import structlog
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from sqlalchemy import URL

from calwatch.errors import CalwatchError, RecordError
from calwatch.kafka.connection import KafkaConnection, load_connection
from calwatch.ledger.engine import parse_url
from calwatch.redaction import (
    MASK,
    SECRETS,
    install_hooks,
    keep_environment,
    keep_secret,
    keep_url,
    redact,
    redacted,
)
from calwatch.service.endpoint import answers
from calwatch.service.health import Finding, Report
from calwatch.service.logs import set_up_logs
from calwatch.settings import LogSettings, load_settings

BASE = {"CALWATCH_REPO": "/repo", "CALWATCH_INSTRUMENTS": "LATISS"}


def is_distinct(secret: str) -> bool:
    """Tell whether a secret cannot be a part of the lines themselves by chance."""
    return len(set(secret)) > 4 and "*" not in secret and secret.strip() == secret


SECRET = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Cs", "Zs")),
    min_size=8,
    max_size=40,
).filter(is_distinct) | st.from_regex(r"[A-Za-z0-9+/=_-]{8,40}", fullmatch=True).filter(is_distinct)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    with patch.dict(os.environ, {**BASE, **values}):
        yield


def in_password(secret: str) -> None:
    with environment(
        KAFKA_BOOTSTRAP_SERVERS="a:1",
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        KAFKA_SASL_USERNAME="u",
        KAFKA_SASL_PASSWORD=secret,
    ):
        assert load_connection() is not None


def in_password_file(secret: str, folder: Path) -> None:
    (folder / "word").write_text(secret + "\n", encoding="utf-8")
    connection = KafkaConnection(
        bootstrap_servers="a:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="u",
        sasl_password_file=folder / "word",
    )
    assert connection.client_options()["sasl_plain_password"] == secret


def in_registry(secret: str) -> None:
    url = f"http://user:{quote(secret, safe='')}@registry:8081"
    with environment(KAFKA_BOOTSTRAP_SERVERS="a:1", SCHEMA_MANAGER_REGISTRY_URL=url):
        load_connection()


def in_ledger(secret: str) -> None:
    url = URL.create("postgresql", "user", secret, "host", 5432, "calwatch")
    text = url.render_as_string(hide_password=False)
    with environment(CALWATCH_LEDGER=text):
        parse_url(load_settings().ledger)


def in_token(secret: str) -> None:
    with environment(CALWATCH_WEB__TOKEN=secret):
        load_settings()


def in_apprise(secret: str) -> None:
    url = f"slack://botname@{quote(secret, safe='')}/A1BRTD4JD/TIiajkdnlazk"
    channels = json.dumps([{"type": "apprise", "urls": [url]}])
    with environment(CALWATCH_ALARMS__CHANNELS=channels):
        load_settings()


def in_s3(secret: str) -> None:
    with environment(AWS_SECRET_ACCESS_KEY=secret):
        load_settings()


def in_s3_profile(secret: str) -> None:
    key = f"https://access:{quote(secret, safe='')}@s3.example.org"
    with environment(LSST_RESOURCES_S3_PROFILE_usdf=key):
        load_settings()


PLACES: dict[str, Callable[[str], None]] = {
    "KAFKA_SASL_PASSWORD": in_password,
    "registry": in_registry,
    "ledger": in_ledger,
    "web token": in_token,
    "apprise": in_apprise,
    "S3": in_s3,
    "S3 profile": in_s3_profile,
}


class ThirdPartyError(Exception):
    """An error that carries what it was called with, as those of libraries do."""


def told(secret: str) -> Iterator[str]:
    """Yield all that is shown of an error in which a secret stands in many forms."""
    shown = [f"cannot open {secret}", repr(secret), json.dumps({"password": secret}), quote(secret)]
    error = ThirdPartyError(*shown, {"password": secret})
    for style in ("json", "console"):
        logging.getLogger().handlers[:] = []
        stream = io.StringIO()
        with redirect_stderr(stream):
            set_up_logs(LogSettings(format=style))
            log = structlog.get_logger("calwatch")
            try:
                raise RecordError(f"unexpected: {error}") from error
            except RecordError as raised:
                log.exception("job failed", reason=str(raised), parts=[secret, {"x": (secret,)}])
                log.error("thing", error=error, raised=raised, a={secret: 1})
            handler = logging.StreamHandler(stream)
            handler.setFormatter(logging.getLogger().handlers[0].formatter)
            record = logging.LogRecord(
                "lib", logging.ERROR, "f", 1, "to %s: %r", (secret, error), None
            )
            record.exc_info = (ThirdPartyError, error, None)
            stream.write(handler.format(record))
            try:
                raise error
            except ThirdPartyError:
                sys.excepthook(*sys.exc_info())
        yield stream.getvalue()
    yield f"{CalwatchError(secret)} {RecordError(repr(secret))}"
    registry = CollectorRegistry()
    failures = Counter("failures", "Failures.", ["reason"], registry=registry)
    failures.labels(str(RecordError(f"password {secret}"))).inc()
    yield generate_latest(registry).decode()


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Leave logs, hooks and secrets as they were."""
    hook, handlers = sys.excepthook, logging.getLogger().handlers[:]
    logging.getLogger().handlers[:] = []
    try:
        yield
    finally:
        sys.excepthook = hook
        logging.getLogger().handlers[:] = handlers
        structlog.reset_defaults()
        SECRETS.forget()


@pytest.mark.parametrize("place", sorted(PLACES))
@settings(max_examples=20, deadline=None)
@given(secret=SECRET)
def test_no_secret_comes_out(place: str, secret: str) -> None:
    SECRETS.forget()
    PLACES[place](secret)
    for text in told(secret):
        assert secret not in text
        assert quote(secret, safe="") not in text
        assert json.dumps(secret)[1:-1] not in text
        assert MASK in text


@settings(max_examples=12, deadline=None)
@given(secret=SECRET)
def test_no_secret_of_a_file_comes_out(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    SECRETS.forget()
    in_password_file(secret, tmp_path_factory.mktemp("word"))
    assert all(secret not in text for text in told(secret))


@settings(max_examples=12, deadline=None)
@given(secret=SECRET)
def test_the_settings_are_shown_without(secret: str) -> None:
    from calwatch.cli.main import cli

    SECRETS.forget()
    url = URL.create("postgresql", "user", secret, "host", 5432, "calwatch")
    values = {
        "CALWATCH_LEDGER": url.render_as_string(hide_password=False),
        "CALWATCH_WEB__TOKEN": secret,
        "CALWATCH_ALARMS__CHANNELS": json.dumps(
            [{"type": "apprise", "urls": [f"json://user:{quote(secret, safe='')}@host/x"]}]
        ),
        "CALWATCH_ALARMS__PAGE": f"http://page/?token={quote(secret, safe='')}",
    }
    with environment(**values):
        done = CliRunner().invoke(cli, ["config", "show"], catch_exceptions=False)
    assert done.exit_code == 0
    assert secret not in done.output
    assert quote(secret, safe="") not in done.output


@settings(max_examples=12, deadline=None)
@given(secret=SECRET)
def test_health_tells_of_no_secret(secret: str) -> None:
    """What it says comes of errors, and an error of ours is without secrets."""
    from datetime import UTC, datetime

    SECRETS.forget()
    keep_secret(secret)
    report = Report(
        datetime.now(UTC), "all", [Finding("ledger", False, str(RecordError(f"no: {secret}")))]
    )
    app = answers(lambda: report, CollectorRegistry())
    body = b"".join(app({"PATH_INFO": "/readyz"}, lambda *_: None))
    assert secret.encode() not in body
    assert json.dumps(secret).encode()[1:-1] not in body


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:pw1234@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("http://user:a%40b@r:8081/subjects", "http://user:***@r:8081/subjects"),
        ("http://host:8080/alarms/7", "http://host:8080/alarms/7"),
        ("KAFKA_SASL_PASSWORD: is not set", "KAFKA_SASL_PASSWORD: is not set"),
        ("https://s3/b/k?X-Amz-Signature=0a1b&x=1", "https://s3/b/k?X-Amz-Signature=***&x=1"),
        ("host=h user=u password=pw1234 dbname=d", "host=h user=u password=*** dbname=d"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer ***"),
        ("token=given", "token=given"),
        ("3 of 12 tokens; ratio=0.5", "3 of 12 tokens; ratio=0.5"),
    ],
)
def test_what_looks_like_a_secret_is_struck_out(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@given(st.text(max_size=200))
def test_without_secrets_text_that_has_none_stays(text: str) -> None:
    SECRETS.forget()
    if not any(sign in text.lower() for sign in ("://", "password=", "bearer", "basic", "=")):
        assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "a." * 250_000,
        "a://u:" + "p" * 500_000,
        "?" + "token" * 100_000,
        "a://" * 99_000,
    ],
)
def test_a_very_long_word_keeps_nobody_waiting(text: str) -> None:
    began = time.perf_counter()
    assert redact(text) == text
    assert time.perf_counter() - began < 2.0


def test_of_two_secrets_one_of_which_begins_the_other_nothing_remains() -> None:
    keep_secret("abcd")
    keep_secret("abcdefgh")
    assert redact("abcdefgh abcd") == f"{MASK} {MASK}"


def test_short_secrets_do_not_eat_the_line() -> None:
    keep_secret("a", "abc", "", None)
    keep_environment({"A_TOKEN": "true", "B_PASSWORD_FILE": "/run/secrets/calwatch"})
    assert redact("a true abc of /run/secrets/calwatch") == "a true abc of /run/secrets/calwatch"


def test_a_url_that_is_none_is_struck_out_whole() -> None:
    keep_url("http://[broken:hunter2hunter2")
    assert redact("cannot read http://[broken:hunter2hunter2") == f"cannot read {MASK}"


def test_hosts_are_no_secrets() -> None:
    keep_url("mailto://user:hunter2hunter2@mail.example.org", whole=True)
    assert redact("mail.example.org hunter2hunter2") == f"mail.example.org {MASK}"


def test_values_stay_what_they_were() -> None:
    keep_secret("hunter2hunter2")
    assert redacted({"a": 1, "b": [None, True, 2.5], "c": "x"}) == {
        "a": 1, "b": [None, True, 2.5], "c": "x",
    }  # fmt: skip


def test_an_error_in_a_thread_or_at_the_end_is_written_without_secrets() -> None:
    code = (
        "import threading\n"
        "from calwatch.redaction import install_hooks\n"
        "install_hooks()\n"
        "def fail(where): raise ValueError('hunter2-of-the-summit ' + where)\n"
        "one = threading.Thread(target=fail, args=('in a thread',))\n"
        "one.start(); one.join()\n"
        "fail('at the end')\n"
    )
    values = {**os.environ, "KAFKA_SASL_PASSWORD": "hunter2-of-the-summit"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=values)
    assert done.returncode == 1
    assert f"ValueError: {MASK} in a thread" in done.stderr
    assert f"ValueError: {MASK} at the end" in done.stderr
    assert done.stderr.count("Traceback") == 2
    # (the line of the source that is shown is not there: it came from the command line)
    assert "ValueError: hunter2" not in done.stderr


def test_hooks_are_installed_once_and_harmless() -> None:
    install_hooks()
    install_hooks()
    stream = io.StringIO()
    with redirect_stderr(stream):
        sys.excepthook(ValueError, ValueError("plain"), None)
    assert stream.getvalue() == "ValueError: plain\n"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--role", "hunter2-of-the-summit"],
        ["verify", "postgresql://u:other-w0rd@h/hunter2-of-the-summit", "--instrument", "LATISS"],
    ],
)
def test_the_command_line_says_what_is_wrong_without_secrets(words: list[str]) -> None:
    code = f"import sys; sys.argv = ['calwatch', *{words!r}]\n"
    code += "from calwatch.cli.main import main\nmain()"
    values = {**os.environ, **BASE, "KAFKA_SASL_PASSWORD": "hunter2-of-the-summit"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=values)
    assert done.returncode in (2, 3)
    assert MASK in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "other-w0rd" not in done.stdout + done.stderr
