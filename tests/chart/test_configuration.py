"""What the chart tells the daemon: accepted by it, and in step with the rest of the chart."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from charting import CAMERAS, EVERYTHING, Resource, of_kind, releases, rendered, resources
from click.testing import CliRunner

from calwatch.alarms.deliver.sal_topics import TOPICS
from calwatch.arrivals.topics import Kind, topics_of
from calwatch.cli.main import cli
from calwatch.kafka.connection import KafkaConnection
from calwatch.publish.schemas import NAMES
from calwatch.settings import load_settings

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def found() -> dict[str, list[Resource]]:
    return releases()


def configuration(all_of_it: list[Resource]) -> str:
    (config,) = of_kind(all_of_it, "ConfigMap")
    return config["data"]["calwatch.yaml"]


def test_the_daemon_accepts_the_configuration_of_every_release(
    found: dict[str, list[Resource]], tmp_path: Path
) -> None:
    files = []
    for name, all_of_it in found.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(configuration(all_of_it))
    result = CliRunner().invoke(cli, ["config", "check", *map(str, files)])
    assert result.exit_code == 0, result.output
    assert result.output.count("nothing wrong") == len(found)


def test_files_of_a_site_lie_beside_the_configuration(tmp_path: Path) -> None:
    sets = ("config.limits=/etc/calwatch/ours.yaml", "extraFiles.ours\\.yaml=first: 1")
    (config,) = of_kind(resources(rendered("latiss", sets=sets)), "ConfigMap")
    assert config["data"]["ours.yaml"].strip() == "first: 1"
    assert yaml.safe_load(config["data"]["calwatch.yaml"])["limits"] == "/etc/calwatch/ours.yaml"


def test_the_environment_of_a_pod_lets_it_into_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    for sets in ((), EVERYTHING):
        for one in of_kind(resources(rendered("lsstcam", "summit", sets=sets)), "Deployment"):
            (container,) = one["spec"]["template"]["spec"]["containers"]
            for variable in container["env"]:
                value = variable.get("value", "from the secret")
                if variable["name"] != "KAFKA_CLUSTER_CA_PATH":  # no such file is here
                    monkeypatch.setenv(variable["name"], value)
            connection = KafkaConnection()
            assert connection.sasl_username == "calwatch-lsstcam"
            assert connection.registry_url


def test_numbers_of_workers_reach_the_daemon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "calwatch.yaml"
    all_of_it = resources(rendered("lsstcam", "summit", sets=EVERYTHING))
    path.write_text(configuration(all_of_it))
    _, worker = of_kind(all_of_it, "Deployment")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    (number,) = (v["value"] for v in container["env"] if v["name"] == "CALWATCH_WORKERS")
    monkeypatch.setenv("CALWATCH_WORKERS", number)
    settings = load_settings(path)
    assert settings.workers == int(number)
    # Each process that judges has a core.
    assert int(container["resources"]["requests"]["cpu"]) >= settings.workers


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_user_may_read_the_topics_that_the_daemon_reads(camera: str) -> None:
    sets = ("config.kafka.s3=true",)
    (user,) = of_kind(resources(rendered(camera, "summit", sets=sets)), "KafkaUser")
    rules = user["spec"]["authorization"]["acls"]
    literal = {
        rule["resource"]["name"]
        for rule in rules
        if rule["resource"]["type"] == "topic" and rule["resource"]["patternType"] == "literal"
    }
    wanted = topics_of([CAMERAS[camera]], s3=True)
    assert literal == {topic.name for topic in wanted}
    (plain,) = of_kind(resources(rendered(camera, "summit")), "KafkaUser")
    buckets = {topic.name for topic in wanted if topic.kind is Kind.BUCKET}
    assert buckets
    assert not buckets & {r["resource"]["name"] for r in plain["spec"]["authorization"]["acls"]}


def test_the_topics_are_those_that_the_daemon_writes_to() -> None:
    found = of_kind(resources(rendered("lsstcam", "summit")), "KafkaTopic")
    names = {one["spec"]["topicName"] for one in found}
    assert names == {
        *(f"lsst.cp.calwatch.{name}" for name in NAMES),
        *(topic.kafka_name("sal", "CalWatch") for topic in TOPICS),
    }
    for one in found:
        assert one["metadata"]["name"] == one["metadata"]["name"].lower()
        assert one["spec"]["partitions"] == 1
