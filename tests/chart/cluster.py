"""Installs the chart into a real API server of Kubernetes, for every camera and mode.

Run it as a program. The server is built from source the first time, which takes some ten minutes of
CPU, so this is no test of every day. It needs Go, Maven, Java and Debian's `etcd-server`. There
are no nodes and no operators: what is tried is what the server itself takes and refuses, with the
definitions of Strimzi, KEDA and the Prometheus operator in it, and the life of a release.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "services")]

import install  # noqa: E402  (these are found only now)
from charting import CAMERAS, CHART, EVERYTHING, SCALED, SINGLE, helm, options  # noqa: E402
from running import free_port  # noqa: E402

VERSION = install.KUBERNETES.rpartition("@v1.")[2]
MAIN = """package main

import (
\t"os"

\t"k8s.io/component-base/cli"
\t"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
"""
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
RELEASE, NAMESPACE = "calwatch-lsstcam", "calwatch"


def api_server(folder: Path) -> None:
    """Build the API server: Kubernetes' own program, with the versions of its parts set."""
    own = install.module(install.KUBERNETES, folder)
    text = (own / "go.mod").read_text()
    parts = sorted(set(re.findall(r"(k8s\.io/[a-z0-9-]+) => \./staging", text)))
    (go,) = re.findall(r"^go (\S+)", text, re.M)
    needs = "".join(f"require {part} v0.{VERSION}\n" for part in parts)
    places = "".join(f"replace {part} => {part} v0.{VERSION}\n" for part in parts)
    (folder / "go.mod").write_text(
        f"module apiserver\n\ngo {go}\n\nrequire k8s.io/kubernetes v1.{VERSION}\n{needs}{places}"
    )
    (folder / "main.go").write_text(MAIN)
    shutil.rmtree(folder / "modules")
    stamp = "-X k8s.io/component-base/version.git"
    told = {"Version": f"v1.{VERSION}", "Major": "1", "Minor": VERSION.partition(".")[0]}
    flags = "-ldflags=-s -w " + " ".join(f"{stamp}{name}={text}" for name, text in told.items())
    build = ("go", "build", "-C", folder, "-p", "1", flags, "-o", "kube-apiserver")
    install.call(*build, GOFLAGS="-mod=mod")


@contextmanager
def running(name: str, folder: Path, *words: object) -> Iterator[None]:
    """Keep a program running; its output goes to a file."""
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(list(map(str, words)), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


class Cluster:
    """An API server over an etcd, to which helm and we ourselves speak."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        etcd = shutil.which("etcd")
        if etcd is None:
            raise SystemExit("etcd: not on the path; Debian has it in its package etcd-server")
        install.bring("kube-apiserver", api_server)
        client, between = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        port = free_port()
        stack.enter_context(
            running(
                "etcd", folder, etcd, "--data-dir", folder / "etcd",
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", between, "--initial-advertise-peer-urls", between,
                "--initial-cluster", f"default={between}", "--unsafe-no-fsync",
            )
        )  # fmt: skip
        key, token = folder / "accounts.key", secrets.token_hex(16)
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        stack.enter_context(
            running(
                "kube-apiserver", folder, install.need("kube-apiserver") / "kube-apiserver",
                "--etcd-servers", client, "--secure-port", port, "--bind-address", "127.0.0.1",
                "--cert-dir", folder / "certificates", "--service-cluster-ip-range", "10.0.0.0/24",
                "--service-account-issuer", "https://kubernetes.default.svc",
                "--service-account-key-file", key, "--service-account-signing-key-file", key,
                "--token-auth-file", folder / "tokens.csv", "--authorization-mode", "RBAC",
                "--disable-admission-plugins", "ServiceAccount",
            )
        )  # fmt: skip
        self.url = f"https://127.0.0.1:{port}"
        self._ask = httpx.Client(
            base_url=self.url,
            verify=False,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        stack.enter_context(self._ask)
        access = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}
            ],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (folder / "kubeconfig").write_text(json.dumps(access))
        (folder / "kubeconfig").chmod(0o600)
        os.environ["KUBECONFIG"] = str(folder / "kubeconfig")
        self._until_ready()

    def _until_ready(self) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if self._ask.get("/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        raise SystemExit("kube-apiserver: is not ready after 120 s; its log tells why")

    def get(self, path: str) -> dict[str, Any]:
        """Return what the server has."""
        return self._ask.get(path).raise_for_status().json()

    def post(self, path: str, content: Any, **options: str) -> httpx.Response:
        """Give the server something."""
        return self._ask.post(path, json=content, params=options)

    def define(self, files: list[Path]) -> int:
        """Make the custom resources of operators known; return how many."""
        names = []
        for file in files:
            for definition in yaml.safe_load_all(file.read_text()):
                self.post(DEFINITIONS, definition).raise_for_status()
                names.append(definition["metadata"]["name"])
        for name in names:
            for _ in range(100):
                status = self.get(f"{DEFINITIONS}/{name}").get("status", {})
                held = {c["type"]: c["status"] for c in status.get("conditions", ())}
                if held.get("Established") == "True":
                    break
                time.sleep(0.1)
            else:
                raise SystemExit(f"{name}: is not established: {held}")
        return len(names)

    def empty(self, path: str) -> None:
        """Delete all that a list holds."""
        self._ask.delete(path).raise_for_status()
        while self.found(path):  # a claim waits for its protection to be lifted
            for name in self.found(path):
                patch = {"metadata": {"finalizers": None}}
                kind = {"Content-Type": "application/merge-patch+json"}
                self._ask.patch(f"{path}/{name}", json=patch, headers=kind)

    def found(self, path: str) -> list[str]:
        """Return the names of all that a list holds."""
        return sorted(one["metadata"]["name"] for one in self.get(path)["items"])


def check(what: str, good: bool, more: object = "") -> None:
    """Say that something is as it should be, or end."""
    print(f"{'ok  ' if good else 'FAIL'} {what}{f': {more}' if more else ''}", flush=True)
    if not good:
        raise SystemExit(1)


def release(*words: object) -> None:
    """Have helm do something, which must succeed."""
    done = helm(*words, "--namespace", NAMESPACE)
    if done.returncode:
        check(" ".join(map(str, words[:2])), good=False, more=done.stderr)


def pods_are_restricted(cluster: Cluster) -> None:
    """Have the server judge the pods themselves by its strictest standard."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    for deployment in cluster.get(path)["items"]:
        template = deployment["spec"]["template"]
        name = deployment["metadata"]["name"]
        pod = {**template, "apiVersion": "v1", "kind": "Pod"}
        pod["metadata"] = {**template["metadata"], "name": name}
        where = f"/api/v1/namespaces/{NAMESPACE}/pods"
        answer = cluster.post(where, pod, dryRun="All", fieldValidation="Strict")
        check(
            f"a pod of {name} meets the standard `restricted`",
            answer.is_success,
            answer.text[:300] if answer.is_error else "",
        )
        pod["spec"] = {**pod["spec"], "securityContext": {}}
        answer = cluster.post(where, pod, dryRun="All")
        check("  and would not without its securityContext", answer.status_code == 403)


def life(cluster: Cluster) -> None:
    """Install, change, roll back and remove a release."""
    files = options("lsstcam", "summit", sets=SCALED)
    release("install", RELEASE, CHART, *files)
    deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RELEASE}"

    def checksum() -> str:
        return cluster.get(deployment)["spec"]["template"]["metadata"]["annotations"][
            "checksum/config"
        ]

    first = checksum()
    release("upgrade", RELEASE, CHART, *files, "--set", "config.interval_seconds=30")
    check("an upgrade with another configuration starts the pods anew", checksum() != first)
    release("rollback", RELEASE, "1")
    check("a rollback brings the former configuration back", checksum() == first)
    release("uninstall", RELEASE)
    check("an uninstall takes the pods away", not cluster.found(deployment.rpartition("/")[0]))
    topics = cluster.found("/apis/kafka.strimzi.io/v1beta2/namespaces/sasquatch/kafkatopics")
    check("and leaves the topics", len(topics) == 10, ", ".join(topics))
    release("install", RELEASE, CHART, *files)
    check("which a new install takes over", good=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        cluster = Cluster(folder, stack)
        check("the API server is ready", good=True, more=cluster.get("/version")["gitVersion"])
        count = cluster.define(install.definitions(folder))
        check("the operators' resources are defined", count > 0, count)
        for name, labels in ((NAMESPACE, RESTRICTED), ("sasquatch", {})):
            made = {"metadata": {"name": name, "labels": labels}}
            cluster.post("/api/v1/namespaces", made).raise_for_status()
        for camera in CAMERAS:
            for mode, sets in (("single", SINGLE), ("fleet", SCALED), ("everything", EVERYTHING)):
                files = options(camera, "summit", sets=sets)
                name = f"calwatch-{camera}"
                release("install", name, CHART, *files)
                check(f"{camera}, {mode}: is taken", good=True)
                if mode == "everything":
                    pods_are_restricted(cluster)
                release("uninstall", name)
                for kind in ("kafkatopics", "kafkausers"):  # topics are kept on purpose
                    cluster.empty(f"/apis/kafka.strimzi.io/v1beta2/namespaces/sasquatch/{kind}")
                cluster.empty(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")
        life(cluster)


if __name__ == "__main__":
    main()
