"""Brings the servers of the tests that no package manager installs into `.services/`.

Run as a program it brings what is missing and tells what it could not bring; the tests that need
that are then skipped by name, or fail where CALWATCH_REQUIRE_SERVICES=1. Nothing is brought twice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import absence
import kubernetes_schemas

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".services"
LIMIT_SECONDS = 1800


class InstallError(Exception):
    """A server could not be brought; the message says why."""


def need(part: str) -> Path:
    """Return the folder of a part; where there is none the test ends here, by name."""
    folder = FOLDER / part
    if not folder.is_dir():
        absence.absent(part, f"no .services/{part}; `make services` brings it where it can")
    return folder


def java(part: str) -> Path:
    """Return the folder of a part that runs on Java."""
    if shutil.which("java") is None:
        absence.absent(part, "`java` is not on the path")
    return need(part)


def bring(part: str, make: Callable[[Path], None]) -> None:
    """Make the folder of a part, whole or not at all."""
    if (FOLDER / part).is_dir():
        return
    began = time.monotonic()
    unfinished = FOLDER / f"{part}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    make(unfinished)
    unfinished.rename(FOLDER / part)
    print(f"{part}: brought in {time.monotonic() - began:.0f} s")


def call(*command: object, **env: str) -> None:
    """Run a command; raise InstallError with the end of what it said if it fails."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        raise InstallError(f"`{words[0]}` is not on the path")
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=LIMIT_SECONDS, env={**os.environ, **env}
    )
    if done.returncode:
        raise InstallError(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def kafka(folder: Path) -> None:
    """Bring the jars of Apache Kafka from Maven Central."""
    pom, where = HERE / "jars" / "pom.xml", f"-DoutputDirectory={folder}"
    goal = "dependency:copy-dependencies"
    call("mvn", "-q", "-B", "-f", pom, goal, where, "-DincludeScope=runtime")


def registry(folder: Path) -> None:
    """Bring Apicurio Registry from Maven Central; later ones than 3.0 need Java 21."""
    artifact = "-Dartifact=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all"
    call("mvn", "-q", "-B", "dependency:copy", artifact, f"-DoutputDirectory={folder}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()


def telegraf(folder: Path) -> None:
    """Build Telegraf with the parts that Sasquatch's connectors use."""
    tags = "custom,inputs.kafka_consumer,parsers.avro,outputs.influxdb"
    source = "github.com/influxdata/telegraf/cmd/telegraf@v1.37.2"
    call("go", "install", "-tags", tags, "-ldflags=-s -w", source, GOBIN=str(folder))


def helm(folder: Path) -> None:
    """Build helm, which is told for which Kubernetes it renders as its own releases are."""
    version = "-X helm.sh/helm/v3/pkg/chartutil.k8sVersion"
    flags = f"-ldflags=-s -w {version}Major=1 {version}Minor=33"
    call("go", "install", flags, "helm.sh/helm/v3/cmd/helm@v3.16.4", GOBIN=str(folder))


def kubeconform(folder: Path) -> None:
    """Build kubeconform, and make the schemas that it goes by."""
    source = "github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"
    call("go", "install", "-ldflags=-s -w", source, GOBIN=str(folder))
    schemas = folder / "schemas"
    schemas.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        swagger = module(KUBERNETES, Path(scratch)) / "api" / "openapi-spec" / "swagger.json"
        kubernetes_schemas.write_own(swagger, schemas)
        for definition in definitions(Path(scratch)):
            kubernetes_schemas.write_custom(definition, schemas)


KUBERNETES = "k8s.io/kubernetes@v1.33.4"
KEDA = "github.com/kedacore/keda/v2@v2.17.2"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"


def definitions(scratch: Path) -> list[Path]:
    """Bring the definitions of the operators' resources that the chart makes."""
    keda = module(KEDA, scratch) / "config" / "crd" / "bases"
    prometheus = module(PROMETHEUS_OPERATOR, scratch) / "example" / "prometheus-operator-crd"
    return [
        *(keda / f"keda.sh_{kind}.yaml" for kind in ("scaledobjects", "triggerauthentications")),
        *(
            prometheus / f"monitoring.coreos.com_{kind}.yaml"
            for kind in ("servicemonitors", "prometheusrules")
        ),
        *_strimzi_definitions(scratch),
    ]


def module(name: str, scratch: Path) -> Path:
    """Bring the source of a Go module, and return where it is."""
    place = {"GOMODCACHE": str(scratch / "modules"), "GOFLAGS": "-modcacherw"}
    call("go", "mod", "download", name, **place)
    return scratch / "modules" / name


def _strimzi_definitions(scratch: Path) -> list[Path]:
    """Have Strimzi write what its resources are."""
    jars = scratch / "strimzi"
    pom, where = HERE / "jars" / "strimzi" / "pom.xml", f"-DoutputDirectory={jars}"
    goal = "dependency:copy-dependencies"
    call("mvn", "-q", "-B", "-f", pom, goal, where, "-DincludeScope=runtime")
    kinds = {"topic.KafkaTopic": scratch / "topic.yaml", "user.KafkaUser": scratch / "user.yaml"}
    asked = [f"io.strimzi.api.kafka.model.{kind}={path}" for kind, path in kinds.items()]
    main = "io.strimzi.crdgenerator.CrdGenerator"
    call("java", "-cp", f"{jars}/*", main, "--yaml", *asked)
    return list(kinds.values())


PARTS: dict[str, Callable[[Path], None]] = {
    "kafka": kafka,
    "registry": registry,
    "telegraf": telegraf,
    "helm": helm,
    "kubeconform": kubeconform,
}


def attempt(part: str) -> bool:
    """Bring a part; say why if that fails."""
    try:
        bring(part, PARTS[part])
    except (InstallError, OSError, subprocess.TimeoutExpired, tarfile.TarError) as error:
        print(f"{part}: its tests will be skipped: {error}", file=sys.stderr)
        return False
    return True


def main() -> int:
    with ThreadPoolExecutor() as pool:  # one waits for the network while another compiles
        brought = list(pool.map(attempt, PARTS))
    return int(not all(brought) and os.environ.get("CALWATCH_REQUIRE_SERVICES") == "1")


if __name__ == "__main__":
    sys.exit(main())
