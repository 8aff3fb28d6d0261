"""Starts and stops a real Apache Kafka, one node in KRaft mode, set as the summit's brokers are."""

from __future__ import annotations

import base64
import logging
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import install
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from java_process import OPTIONS, JavaProcess
from running import Server, free_port, running

QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

SILENT = logging.getLogger("calwatch.tests.kafka")
SILENT.propagate = False

SETTINGS: Mapping[str, object] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    # As at the summit: topics are made by hand, records carry the broker's time.
    "auto.create.topics.enable": "false",
    "log.message.timestamp.type": "LogAppendTime",
    "message.max.bytes": 10485760,
    # One node.
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    # Small, quick to start and to return after a kill.
    "group.initial.rebalance.delay.ms": 0,
    "broker.heartbeat.interval.ms": 400,
    "broker.session.timeout.ms": 2000,
    "num.network.threads": 2,
    "num.io.threads": 2,
    "background.threads": 2,
    "log.cleaner.dedupe.buffer.size": 4194304,
}


class KafkaServer(Server):
    """One node of Kafka; its port and data outlive `stop` and `kill`."""

    def __init__(self, jars: Path, folder: Path) -> None:
        port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.folder = folder
        self.options: dict[str, str] = {"bootstrap.servers": self.bootstrap}
        """How a client of confluent_kafka reaches it."""
        self._java = [QUIET, "-cp", ":".join(sorted(map(str, jars.glob("*.jar"))))]
        self._format(self._settings(port, controller))
        words = [*self._java, "kafka.Kafka", folder / "server.properties"]
        self.process = JavaProcess(jars, words, folder, self._answers)

    def _settings(self, port: int, controller: int) -> dict[str, object]:
        return {
            **SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": self.folder / "data",
        }

    def _format(self, settings: dict[str, object], *words: str) -> None:
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        # A name that begins with a dash would be taken for an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        tool = ["java", *OPTIONS, *self._java, "kafka.tools.StorageTool", "format"]
        tool += ["-t", cluster, "-c", str(file)]
        done = subprocess.run([*tool, *words], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage could not be formatted: {done.stderr}")

    def _answers(self) -> bool:
        try:
            return bool(self.admin().list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def admin(self) -> AdminClient:
        """Return a client that makes, lists and describes topics."""
        return AdminClient(self.options, logger=SILENT)

    def create_topics(self, *names: str, partitions: int = 1, **config: str) -> None:
        """Make topics; options as `cleanup_policy="compact"`."""
        options = {name.replace("_", "."): value for name, value in config.items()}
        new = [NewTopic(name, partitions, 1, config=options) for name in names]
        admin = self.admin()  # kept until all is done: its end would break off the calls
        for future in admin.create_topics(new).values():
            future.result(30)

    def topics(self) -> set[str]:
        """Return the names of all topics but Kafka's own."""
        names = self.admin().list_topics(timeout=10).topics
        return {name for name in names if not name.startswith("__")}


def server() -> AbstractContextManager[KafkaServer]:
    """Run a server in a folder of its own."""
    jars = install.java("kafka")
    return running("kafka", lambda folder: KafkaServer(jars, folder))
