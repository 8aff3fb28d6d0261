"""The doctor before a real Kafka, registry and Alertmanager, with each thing broken in turn."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka_server import KafkaServer
from registry_server import RegistryServer
from running import free_port
from secure_kafka_server import MECHANISM, SecureKafkaServer

from calwatch.cli.main import main as entry
from calwatch.kafka.registry import SchemaRegistry
from calwatch.publish.schemas import NAMES

pytestmark = pytest.mark.services

NUMBER = len(NAMES)
"""Of the topics that are written, and of their schemas."""

Found = dict[str, list[dict[str, str]]]
Doctor = Callable[..., tuple[int, Found]]


@pytest.fixture
def doctor(nights, tmp_path: Path, capsys, monkeypatch) -> Doctor:
    """Run `calwatch doctor` with a configuration; return (exit code, findings by check)."""

    def call(environment: dict[str, str], *words: str, **changes: Any) -> tuple[int, Found]:
        content = {
            "repo": str(nights.root),
            "instruments": ["MiniCam"],
            "camera": nights.camera_file,
            "ledger": f"sqlite:///{tmp_path / 'ledger.db'}",
            "look_back_days": None,
        } | changes
        config = tmp_path / "calwatch.yaml"
        config.write_text(yaml.safe_dump(content))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(
            sys, "argv", ["calwatch", "doctor", "-c", str(config), "--json", *words]
        )
        with pytest.raises(SystemExit) as end:
            entry()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        found: Found = {}
        for one in json.loads(said.out)["findings"]:
            found.setdefault(one["check"], []).append(one)
        return int(end.value.code or 0), found

    return call


def kafka_of(prefix: str) -> dict[str, Any]:
    topics = {"MiniCam": {"ingested": [f"{prefix}.imageInOODS"]}}
    return {"prefix": prefix, "topics": topics, "group": prefix}


@pytest.fixture
def prefix() -> str:
    return f"lsst.doctor_{uuid.uuid4().hex[:8]}"


def test_a_kafka_that_lets_everybody_in(
    doctor: Doctor, kafka_server: KafkaServer, schema_registry: RegistryServer, prefix: str
) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_server.bootstrap,
        "SCHEMA_MANAGER_REGISTRY_URL": schema_registry.url,
    }
    _, found = doctor(environment, kafka=kafka_of(prefix))
    assert found["Kafka"][0]["status"] == "OK"
    (read,) = found["topics read"]
    assert (read["status"], read["says"]) == ("WARN", f"not there: {prefix}.imageInOODS")
    assert found["topics written"][0]["says"] == (
        f"all {NUMBER} may be written, {NUMBER} of them will be made at the first start"
    )
    assert found["consumer group"][0]["status"] == "OK"
    assert f"{NUMBER} to be registered at the first start" in found["schema registry"][0]["says"]
    assert found["clock"][0]["status"] == "OK"
    assert f"agrees with schema registry {schema_registry.url}" in found["clock"][0]["says"]

    kafka_server.create_topics(f"{prefix}.imageInOODS")
    _, found = doctor(environment, "--role", "worker", kafka=kafka_of(prefix))
    assert found["consumer group"][0]["says"] == f"{prefix}-workers may be used"
    assert found["topics read"][0]["says"] == "not there: calwatch.jobs"
    _, found = doctor(environment, kafka=kafka_of(prefix))
    assert found["topics read"][0]["says"] == "all 1 are there and may be read"


def test_a_registry_that_is_away_or_does_not_allow_our_schemas(
    doctor: Doctor, kafka_server: KafkaServer, schema_registry: RegistryServer, prefix: str
) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_server.bootstrap,
        "SCHEMA_MANAGER_REGISTRY_URL": f"http://ada:hush-hush@127.0.0.1:{free_port()}",
    }
    code, found = doctor(environment, kafka=kafka_of(prefix))
    assert code == 1
    (one,) = found["schema registry"]
    assert one["status"] == "FAIL"
    assert "hush-hush" not in json.dumps(found)

    async def register() -> None:
        fields = [{"name": "later", "type": "string"}]
        schema = {"type": "record", "name": "bias", "namespace": prefix, "fields": fields}
        async with SchemaRegistry(schema_registry.url) as client:
            await client.register(f"{prefix}.bias-value", schema)

    asyncio.run(register())
    environment["SCHEMA_MANAGER_REGISTRY_URL"] = schema_registry.url
    code, found = doctor(environment, kafka=kafka_of(prefix))
    assert code == 1
    assert f"does not allow our schemas: {prefix}.bias-value" in found["schema registry"][0]["says"]


def test_a_kafka_that_is_away(doctor: Doctor, prefix: str) -> None:
    away = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    code, found = doctor(away, kafka=kafka_of(prefix))
    assert code == 1
    assert found["Kafka"][0]["status"] == "FAIL"
    assert "nobody listens there" in found["Kafka"][0]["says"]
    assert "topics read" not in found
    assert found["ledger"][0]["status"] == "OK"


@pytest.fixture
def secured(secure_kafka_server: SecureKafkaServer) -> dict[str, str]:
    """The environment of a new user, who may do nothing yet."""
    user = secure_kafka_server.new_user()
    return {
        "KAFKA_BOOTSTRAP_SERVERS": secure_kafka_server.bootstrap,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": MECHANISM,
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": secure_kafka_server.password,
        "KAFKA_CLUSTER_CA_PATH": str(secure_kafka_server.ca_path),
    }


def test_rights_one_after_the_other(
    doctor: Doctor, secure_kafka_server: SecureKafkaServer, secured: dict[str, str], prefix: str
) -> None:
    server, user, kafka = secure_kafka_server, secured["KAFKA_SASL_USERNAME"], kafka_of(prefix)
    records = [f"{prefix}.{name}" for name in NAMES]
    server.create_topics(f"{prefix}.imageInOODS", *records)

    code, found = doctor(secured, kafka=kafka)
    assert code == 1
    assert found["Kafka"][0]["status"] == "OK"
    (read,) = found["topics read"]
    assert read["says"] == f"not to be seen by this user: {prefix}.imageInOODS"
    assert "give this user Describe and Read" in read["advice"]
    assert f"and {NUMBER - 4} more" in found["topics written"][0]["says"]
    assert found["consumer group"][0]["advice"].endswith(f"Read on the group {prefix}")

    server.allow(user, "topic", f"{prefix}.imageInOODS", "describe")
    server.allow(user, "group", prefix, "read")
    for name in records[1:]:
        server.allow(user, "topic", name, "write")
    server.allow(user, "topic", records[0], "read")
    code, found = doctor(secured, kafka=kafka)
    assert code == 1
    assert found["topics read"][0]["says"] == f"this user may not read: {prefix}.imageInOODS"
    assert found["topics written"][0]["says"] == f"this user may not write: {records[0]}"
    assert found["consumer group"][0]["status"] == "OK"

    server.allow(user, "topic", f"{prefix}.imageInOODS", "read")
    server.allow(user, "topic", records[0], "write")
    _, found = doctor(secured, kafka=kafka)
    assert found["topics read"][0]["status"] == found["topics written"][0]["status"] == "OK"


def test_wrong_words(doctor: Doctor, secured: dict[str, str], prefix: str) -> None:
    wrong = secured | {"KAFKA_SASL_PASSWORD": "not-the-password"}
    code, found = doctor(wrong, kafka=kafka_of(prefix))
    assert code == 1
    assert "name or password is wrong" in found["Kafka"][0]["says"]
    assert "not-the-password" not in json.dumps(found)


def test_a_configuration_that_is_wrong(doctor: Doctor) -> None:
    code, found = doctor({}, wrokers=2)
    assert code == 1
    assert found["settings"][0]["status"] == "FAIL"
    assert "wrokers" in found["settings"][0]["says"]
    assert found["all else"][0]["status"] == "SKIPPED"


def test_an_alertmanager(doctor: Doctor, alertmanager_server) -> None:
    channel = {"type": "alertmanager", "url": alertmanager_server.url}
    _, found = doctor({}, alarms={"channels": [channel]})
    assert found["alarm channel"][0]["says"].endswith("answers and lets us in")
    assert found["clock"][0]["status"] == "OK"
    assert alertmanager_server.alerts() == []
