"""The environment is understood as safir's names say, and no secret is ever shown."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import pytest

from calwatch.errors import StopError
from calwatch.kafka.connection import load_connection

SECRET = "hunter2-of-the-summit"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("KAFKA_", "SCHEMA_MANAGER_")):
            monkeypatch.delenv(name)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    def put(**values: str) -> None:
        for name, value in values.items():
            prefixed = name if name.startswith("SCHEMA_") else f"KAFKA_{name}"
            monkeypatch.setenv(prefixed, value)

    put(BOOTSTRAP_SERVERS="a:9092")
    return put


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_broker_named_means_no_kafka(value, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", value)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", SECRET)
    assert load_connection() is None


def test_a_plain_connection(environment) -> None:
    environment(BOOTSTRAP_SERVERS="a:9092, b:9093", SCHEMA_MANAGER_REGISTRY_URL="http://r:8081")
    connection = load_connection()
    assert connection.client_options() == {
        "bootstrap_servers": ["a:9092", "b:9093"],
        "security_protocol": "PLAINTEXT",
    }
    assert connection.registry_url == "http://r:8081"


def test_scram_is_the_mechanism_unless_another_is_named(environment) -> None:
    environment(SECURITY_PROTOCOL="SASL_PLAINTEXT", SASL_USERNAME="u", SASL_PASSWORD=SECRET)
    options = load_connection().client_options()
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("u", SECRET)
    environment(SASL_MECHANISM="PLAIN")
    assert load_connection().client_options()["sasl_mechanism"] == "PLAIN"


def test_the_password_may_stand_in_a_file(environment, tmp_path: Path) -> None:
    (tmp_path / "word").write_text(SECRET + "\n")
    environment(
        SECURITY_PROTOCOL="SASL_PLAINTEXT",
        SASL_USERNAME="u",
        SASL_PASSWORD_FILE=str(tmp_path / "word"),
    )
    assert load_connection().client_options()["sasl_plain_password"] == SECRET


def test_tls_checks_the_broker(environment) -> None:
    environment(SECURITY_PROTOCOL="SSL")
    context = load_connection().client_options()["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_variable_that_is_empty_is_not_set(environment) -> None:
    environment(SECURITY_PROTOCOL="", SASL_PASSWORD="", CLUSTER_CA_PATH="")
    connection = load_connection()
    assert connection.security_protocol == "PLAINTEXT"
    assert connection.sasl_password is None


def test_no_secret_is_shown(environment) -> None:
    environment(
        SECURITY_PROTOCOL="SASL_PLAINTEXT",
        SASL_USERNAME="u",
        SASL_PASSWORD=SECRET,
        SCHEMA_MANAGER_REGISTRY_URL=f"http://u:{SECRET}@r:8081",
    )
    connection = load_connection()
    shown = f"{connection!r} {connection} {connection.model_dump_json(exclude={'registry_url'})}"
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"BOOTSTRAP_SERVERS": "a"}, ["KAFKA_BOOTSTRAP_SERVERS", "'a' is not host:port"]),
        ({"BOOTSTRAP_SERVERS": "a:1,b:x"}, ["'b:x'"]),
        ({"SECURITY_PROTOCOL": "TLS"}, ["KAFKA_SECURITY_PROTOCOL", "SASL_SSL"]),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, ["KAFKA_SASL_USERNAME: is not set"]),
        ({"SECURITY_PROTOCOL": "SASL_SSL", "SASL_PASSWORD": ""}, ["2 problems", "needs exactly"]),
        ({"CLUSTER_CA_PATH": "/no/such"}, ["KAFKA_CLUSTER_CA_PATH", "/no/such"]),
        ({"CLUSTER_CA_PATH": "/tmp"}, ["KAFKA_CLUSTER_CA_PATH", "directory"]),
        ({"CLIENT_CERT_PATH": __file__}, ["KAFKA_CLIENT_KEY_PATH"]),
        (
            {"SECURITY_PROTOCOL": "SSL", "CLUSTER_CA_PATH": __file__},
            ["KAFKA_CLUSTER_CA_PATH", __file__],
        ),
        (
            {
                "SECURITY_PROTOCOL": "SSL",
                "CLIENT_CERT_PATH": __file__,
                "CLIENT_KEY_PATH": __file__,
            },
            ["KAFKA_CLIENT_CERT_PATH", "KAFKA_CLIENT_KEY_PATH"],
        ),
        ({"SCHEMA_MANAGER_REGISTRY_URL": f"u:{SECRET}@r"}, ["SCHEMA_MANAGER_REGISTRY_URL"]),
        (
            {"SECURITY_PROTOCOL": "TLS", "CLUSTER_CA_PATH": "/no/such", "SASL_MECHANISM": "NONE"},
            ["KAFKA_SECURITY_PROTOCOL", "KAFKA_CLUSTER_CA_PATH", "KAFKA_SASL_MECHANISM", "3 prob"],
        ),
    ],
)
def test_every_wrong_variable_is_named(environment, values, words) -> None:
    environment(**{"SASL_PASSWORD": SECRET, **values})
    with pytest.raises(StopError) as caught:
        load_connection()
    for word in words:
        assert word in str(caught.value)
    assert SECRET not in str(caught.value)


def test_two_passwords_are_one_too_many(environment, tmp_path: Path) -> None:
    (tmp_path / "word").write_text(SECRET)
    environment(
        SECURITY_PROTOCOL="SASL_PLAINTEXT",
        SASL_USERNAME="u",
        SASL_PASSWORD=SECRET,
        SASL_PASSWORD_FILE=str(tmp_path / "word"),
    )
    with pytest.raises(StopError, match="exactly one") as caught:
        load_connection()
    assert SECRET not in str(caught.value)


def test_the_client_does_not_log_every_try(environment, caplog: pytest.LogCaptureFixture) -> None:
    load_connection()
    logging.getLogger("aiokafka").error("Unable connect to node")
    logging.getLogger("aiokafka.producer.sender").warning("Got error produce response")
    assert caplog.records == []
