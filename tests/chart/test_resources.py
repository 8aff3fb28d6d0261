"""What the chart renders: valid to the letter, and safe by default, for every camera and mode."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import install
import pytest
import yaml
from charting import (
    CAMERAS,
    CHART,
    EVERYTHING,
    SCALED,
    Resource,
    of_kind,
    releases,
    rendered,
    resources,
    texts,
)

from calwatch.publish.schemas import NAMES

pytestmark = pytest.mark.services

VAULT = ("global.vaultSecretsPath=secret/k8s_operator/summit",)
USER = 10123
KINDS = ("requests", "limits")


@pytest.fixture(scope="module")
def found() -> dict[str, list[Resource]]:
    return releases()


def kubeconform(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    folder = install.need("kubeconform")
    where = f"{folder}/schemas/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [folder / "kubeconform", "-strict", "-summary", "-schema-location", where, *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


def test_kubeconform_accepts_every_release(found: dict[str, list[Resource]]) -> None:
    documents = [document for all_of_it in found.values() for document in all_of_it]
    done = kubeconform("\n---\n".join(texts().values()))
    assert done.returncode == 0, done.stdout
    assert f"Valid: {len(documents)}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout
    kinds = {document["kind"] for document in documents}
    assert kinds == {
        "ConfigMap", "Deployment", "Ingress", "KafkaTopic", "KafkaUser", "NetworkPolicy",
        "PersistentVolumeClaim", "PodDisruptionBudget", "PrometheusRule", "ScaledObject", "Service",
        "ServiceMonitor", "TriggerAuthentication",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"),
        ("partitions: 1", "partitions: one"),
        ("operations: [Read, Describe]", "operations: [Read, Look]"),
        ("jobLabel:", "jobLable:"),
        ("minReplicaCount:", "minReplicas:"),
        ("expr: ", "expression: "),
        ("failureThreshold: 3", "failureThreshold: three"),
        ("apiVersion: policy/v1", "apiVersion: policy/v1beta1"),
    ],
)
def test_kubeconform_would_find_a_mistake(right: str, wrong: str) -> None:
    text = rendered("lsstcam", "summit", sets=SCALED)
    assert right in text
    assert kubeconform(text.replace(right, wrong)).returncode != 0


def pods(all_of_it: list[Resource]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in of_kind(all_of_it, "Deployment"):
        yield one["metadata"]["name"], one["spec"]["template"]


def test_every_pod_is_locked_down(found: dict[str, list[Resource]]) -> None:
    for name, all_of_it in found.items():
        for _, pod in pods(all_of_it):
            spec = pod["spec"]
            assert spec["automountServiceAccountToken"] is False, name
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["runAsUser"] == USER
            assert spec["securityContext"]["runAsGroup"] == USER
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }
                for kind in KINDS:
                    assert {"cpu", "memory"} <= container["resources"][kind].keys()


def test_every_daemon_is_probed_where_it_answers_and_has_time_to_end(
    found: dict[str, list[Resource]],
) -> None:
    for all_of_it in found.values():
        for _, pod in pods(all_of_it):
            (container,) = pod["spec"]["containers"]
            ports = {port["name"] for port in container["ports"]}
            probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")]
            assert probes == [{"path": "/healthz", "port": "metrics"}] * 2
            ready = container["readinessProbe"]["httpGet"]
            assert ready == {"path": "/readyz", "port": "metrics"}
            assert "metrics" in ports
            role = container["args"][-1]
            assert ("http" in ports) == (role != "worker")
            assert pod["spec"]["terminationGracePeriodSeconds"] > 20


def test_every_folder_that_is_written_to_is_a_volume(found: dict[str, list[Resource]]) -> None:
    for name, all_of_it in found.items():
        (config,) = of_kind(all_of_it, "ConfigMap")
        folder = yaml.safe_load(config["data"]["calwatch.yaml"]).get("calibration_folder")
        for _, pod in pods(all_of_it):
            (container,) = pod["spec"]["containers"]
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
            assert set(mounts.values()) <= volumes.keys(), name
            assert {"/tmp", "/var/lib/calwatch", "/etc/calwatch"} <= mounts.keys()
            if folder and container["args"][-1] != "intake":
                assert folder in mounts
            for volume in volumes.values():
                if "emptyDir" in volume:
                    assert volume["emptyDir"]["sizeLimit"]


def test_a_pod_may_fill_its_volumes_without_being_evicted(
    found: dict[str, list[Resource]],
) -> None:
    for name, all_of_it in found.items():
        for _, pod in pods(all_of_it):
            (container,) = pod["spec"]["containers"]
            disk = {kind: container["resources"][kind]["ephemeral-storage"] for kind in KINDS}
            sizes = [
                volume["emptyDir"]["sizeLimit"]
                for volume in pod["spec"]["volumes"]
                if "emptyDir" in volume and volume["emptyDir"].get("medium") != "Memory"
            ]
            assert sum(map(gibibytes, sizes)) + 1 == gibibytes(disk["limits"]), name
            assert 1 <= gibibytes(disk["requests"]) <= gibibytes(disk["limits"])


def gibibytes(size: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", size).groups()
    return int(number) / (1024 if unit == "Mi" else 1)


def test_secrets_are_only_named(found: dict[str, list[Resource]]) -> None:
    for all_of_it in found.values():
        assert not of_kind(all_of_it, "Secret")
        for _, pod in pods(all_of_it):
            (container,) = pod["spec"]["containers"]
            for variable in container["env"]:
                if re.search(r"PASSWORD|TOKEN|LEDGER|SLACK|SECRET", variable["name"]):
                    assert variable["valueFrom"]["secretKeyRef"]["key"], variable
                    assert "value" not in variable
        (config,) = of_kind(all_of_it, "ConfigMap")
        assert not re.search(
            r"password|token|ledger: postgres\S+:\S+@", config["data"]["calwatch.yaml"]
        )


def test_files_of_the_secret_are_copied_to_where_only_their_owner_reads_them(
    tmp_path: Path,
) -> None:
    secret, credentials = tmp_path / "secret", tmp_path / "credentials"
    credentials.mkdir()
    (secret / "..data").mkdir(parents=True)
    file = secret / "..data" / "postgres-credentials.txt"
    file.write_text("host:5432:butler:oods:x")
    file.chmod(0o440)
    (secret / file.name).symlink_to(Path("..data") / file.name)  # as the kubelet lays it out
    (main,) = of_kind(resources(rendered("latiss", "summit")), "Deployment")
    spec = main["spec"]["template"]["spec"]
    (init,), (container,) = spec["initContainers"], spec["containers"]
    shell, option, script = init["command"]
    script = script.replace("/run/calwatch-secret", str(secret)).replace(
        "/run/calwatch/", f"{credentials}/"
    )
    for _ in range(2):  # the second time after the node was started anew
        subprocess.run([shell, option, script], check=True)
    (copy,) = credentials.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o400
    assert copy.read_text() == file.read_text()
    (variable,) = (one for one in container["env"] if one["name"] == "PGPASSFILE")
    assert variable["value"] == f"/run/calwatch/{copy.name}"


def test_everything_that_is_taken_from_the_secret_is_in_the_list_for_vault(
    found: dict[str, list[Resource]],
) -> None:
    listed = yaml.safe_load((CHART / "secrets.yaml").read_text()).keys()
    asked: set[str] = set()
    for all_of_it in found.values():
        for _, pod in pods(all_of_it):
            (container,) = pod["spec"]["containers"]
            asked |= {
                variable["valueFrom"]["secretKeyRef"]["key"]
                for variable in container["env"]
                if "valueFrom" in variable
            }
            for volume in pod["spec"]["volumes"]:
                if volume["name"] == "secret":
                    asked |= {item["key"] for item in volume["secret"]["items"]}
    assert asked - {"slack-url"} == listed


def test_one_daemon_at_a_time_and_any_number_of_workers() -> None:
    (main,) = of_kind(resources(rendered("latiss", "summit")), "Deployment")
    assert (main["spec"]["replicas"], main["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert main["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--role", "all"]
    intake, worker = of_kind(resources(rendered("lsstcam", "summit", sets=SCALED)), "Deployment")
    assert (intake["spec"]["replicas"], intake["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert "replicas" not in worker["spec"]  # KEDA's to say
    fixed = resources(rendered("lsstcam", "summit", sets=("mode=fleet", "worker.replicas=7")))
    assert of_kind(fixed, "Deployment")[1]["spec"]["replicas"] == 7
    assert not of_kind(fixed, "ScaledObject")


def test_workers_are_scaled_by_the_lag_of_the_jobs_that_the_daemon_uses() -> None:
    all_of_it = resources(rendered("lsstcam", "summit", sets=EVERYTHING))
    (scaled,) = of_kind(all_of_it, "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    (config,) = of_kind(all_of_it, "ConfigMap")
    kafka = yaml.safe_load(config["data"]["calwatch.yaml"])["kafka"]
    assert trigger["metadata"]["topic"] == kafka["jobs_topic"]
    assert trigger["metadata"]["consumerGroup"] == f"{kafka['group']}-workers"
    worker = of_kind(all_of_it, "Deployment")[1]
    assert scaled["spec"]["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    assert scaled["spec"]["maxReplicaCount"] <= kafka["jobs_partitions"]
    (jobs,) = (
        one
        for one in of_kind(all_of_it, "KafkaTopic")
        if one["spec"]["topicName"] == kafka["jobs_topic"]
    )
    assert jobs["spec"]["partitions"] == kafka["jobs_partitions"]
    (trust,) = of_kind(all_of_it, "TriggerAuthentication")
    assert trigger["authenticationRef"]["name"] == trust["metadata"]["name"]
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    (user,) = trust["spec"]["env"]
    assert user["containerName"] == container["name"]
    assert user["name"] in {variable["name"] for variable in container["env"]}


def test_selectors_find_their_pods_and_no_others(found: dict[str, list[Resource]]) -> None:
    for name, all_of_it in found.items():
        labels = {which: pod["metadata"]["labels"] for which, pod in pods(all_of_it)}
        for service in of_kind(all_of_it, "Service"):
            chosen = [
                w
                for w, have in labels.items()
                if service["spec"]["selector"].items() <= have.items()
            ]
            metrics = service["metadata"]["name"].endswith("-metrics")
            assert chosen == (list(labels) if metrics else [service["metadata"]["name"]]), name
        for budget in of_kind(all_of_it, "PodDisruptionBudget"):
            wanted = budget["spec"]["selector"]["matchLabels"].items()
            assert len([w for w, have in labels.items() if wanted <= have.items()]) == 1
        (monitor,) = of_kind(all_of_it, "ServiceMonitor")
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        chosen_services = [
            one["metadata"]["name"]
            for one in of_kind(all_of_it, "Service")
            if wanted <= one["metadata"]["labels"].items()
        ]
        assert len(chosen_services) == 1
        assert chosen_services[0].endswith("-metrics")
        assert monitor["metadata"]["labels"]["lsst.io/monitor"] == "true"


def test_a_changed_configuration_starts_the_pods_anew() -> None:
    def checksums(*sets: str) -> set[str]:
        found = resources(rendered("latiss", "summit", sets=sets))
        return {pod["metadata"]["annotations"]["checksum/config"] for _, pod in pods(found)}

    assert len(checksums("config.interval_seconds=30") | checksums() | checksums()) == 2


def test_two_cameras_share_no_name_but_the_topics_that_one_of_them_makes() -> None:
    names: dict[tuple[str, str], str] = {}
    for camera in CAMERAS:
        for one in resources(rendered(camera, "summit", sets=SCALED)):
            key = (one["kind"], one["metadata"]["name"])
            assert key not in names, f"{key} of {names[key]} and {camera}"
            names[key] = camera
    shared = [name for (kind, name), camera in names.items() if name.startswith("lsst.")]
    published = [f"lsst.cp.calwatch.{name.replace('_', '-')}" for name in NAMES]
    assert sorted(shared) == sorted([
        *published, "lsst.sal.calwatch.logevent-alarm", "lsst.sal.calwatch.logevent-heartbeat",
        "lsst.sal.calwatch.logevent-summary",
    ])  # fmt: skip


def test_the_secret_comes_from_vault_where_its_path_is_known() -> None:
    (secret,) = of_kind(resources(rendered("latiss", "summit", sets=VAULT)), "VaultSecret")
    assert secret["spec"]["path"] == "secret/k8s_operator/summit/calwatch"
    (main,) = of_kind(resources(rendered("latiss", "summit", sets=VAULT)), "Deployment")
    volumes = main["spec"]["template"]["spec"]["volumes"]
    assert {"secretName": secret["metadata"]["name"]}.items() <= next(
        volume["secret"] for volume in volumes if volume["name"] == "secret"
    ).items()
