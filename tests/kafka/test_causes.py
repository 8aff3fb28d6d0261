"""Each way to be refused has a sentence of its own; `tests/services` has real brokers refuse."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from aiokafka import errors
from hypothesis import given
from hypothesis import strategies as st

from calwatch.kafka.causes import cause_of, in_words, known_cause

PASSWORD = "hunter2-of-the-summit"


def certificate_error(code: int, text: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, text
    return error


ERRORS = {
    "expired": certificate_error(10, "certificate has expired"),
    "not yet": certificate_error(9, "certificate is not yet valid"),
    "authority": certificate_error(19, "self-signed certificate in certificate chain"),
    "host": certificate_error(62, "Hostname mismatch"),
    "other certificate": certificate_error(26, "unsupported certificate purpose"),
    "no TLS": ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "password": errors.SaslAuthenticationFailed("invalid credentials"),
    "mechanism": errors.UnsupportedSaslMechanismError("SCRAM-SHA-256"),
    "group": errors.GroupAuthorizationFailedError("calwatch"),
    "topic": errors.TopicAuthorizationFailedError({"b", "a"}),
    "cluster": errors.ClusterAuthorizationFailedError(),
    "time": TimeoutError(),
    "name": socket.gaierror(-2, "Name or service not known"),
    "refused": ConnectionRefusedError(111, "Connect call failed"),
    "reset": ConnectionResetError(),
    "closed": errors.KafkaConnectionError("Connection at a:1 closed"),
}


def test_every_cause_is_told_apart() -> None:
    told = {name: in_words(error, "calwatch") for name, error in ERRORS.items()}
    assert len(set(told.values())) == len(ERRORS)
    assert all(told.values())
    for name in ("password", "group", "topic", "cluster"):
        assert "user 'calwatch'" in told[name]
    assert "'a' and 'b'" in told["topic"]
    assert "KAFKA_CLUSTER_CA_PATH" in told["authority"]


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_refusal_is_no_outage(name: str) -> None:
    away = name in ("time", "name", "refused", "reset", "closed")
    assert known_cause(ERRORS[name]).refused is not away


@given(st.sampled_from(sorted(ERRORS)), st.integers(0, 3))
def test_a_cause_is_found_beneath_what_it_came_to(name: str, depth: int) -> None:
    error: BaseException = ERRORS[name]
    words = in_words(error)
    if name in ("time", "name", "refused", "reset", "closed"):  # says no more than: no connection
        return
    for _ in range(depth):
        outer = errors.KafkaError("Unexpected error during coordination")
        outer.__cause__ = error
        error = outer
    assert in_words(error) == words


def test_errors_in_a_circle_do_no_harm() -> None:
    one, other = errors.KafkaError("one"), errors.KafkaError("other")
    one.__cause__, other.__cause__ = other, one
    assert "one" in in_words(one)


@pytest.mark.parametrize("server", ["127.0.0.1:{port}", "localhost:{port}"])
def test_where_nobody_listens_is_told_by_knocking(server: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"bootstrap_servers": [server.format(port=port)], "security_protocol": "PLAINTEXT"}
    error = errors.KafkaConnectionError("Unable to bootstrap from [...]")
    assert "nobody listens" in asyncio.run(cause_of(options, error))


def test_who_lets_us_in_again_leaves_the_error_as_it_was(monkeypatch) -> None:
    class Connection:
        async def send(self, request: object) -> None:
            """Answer."""

        def close(self) -> None:
            """Close."""

    async def create_conn(*words: object, **options: object) -> Connection:
        return Connection()

    monkeypatch.setattr("calwatch.kafka.causes.create_conn", create_conn)
    options = {"bootstrap_servers": ["a:1"], "sasl_plain_password": PASSWORD}
    error = errors.KafkaConnectionError("Unable to bootstrap")
    assert "Unable to bootstrap" in asyncio.run(cause_of(options, error))


def test_what_is_telling_needs_no_knock() -> None:
    error = errors.GroupAuthorizationFailedError("calwatch")
    assert "calwatch" in asyncio.run(cause_of({}, error))  # no servers: knocking would fail
