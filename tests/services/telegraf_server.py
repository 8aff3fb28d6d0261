"""Runs a real Telegraf, set as the connector of Sasquatch that takes `lsst.cp` to InfluxDB."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import install
from influx_server import InfluxServer
from kafka_server import KafkaServer
from registry_server import RegistryServer
from running import Process, Server, running

DATABASE = "lsst.cp"
TAGS = (
    "dataset_tag",
    "band",
    "instrument",
    "skymap",
    "detector",
    "physical_filter",
    "tract",
    "exposure",
    "patch",
    "visit",
    "run",
    "pipeline",
)
"""The fields that Sasquatch makes tags of, for `lsst.cp` at the summit."""

SETTINGS = """
[agent]
  metric_batch_size = 1000
  metric_buffer_limit = 100000
  flush_interval = "1s"
  omit_hostname = true
  skip_processors_after_aggregators = false
  logformat = "structured"

[[outputs.influxdb]]
  urls = [{influx}]
  database = {database}
  timeout = "15s"

[[inputs.kafka_consumer]]
  brokers = [{broker}]
  consumer_group = {group}
  data_format = "avro"
  avro_schema_registry = {registry}
  avro_timestamp = "timestamp"
  avro_timestamp_format = "unix"
  avro_union_mode = "nullable"
  avro_field_separator = ""
  avro_tags = {tags}
  topic_regexps = {topics}
  offset = "oldest"
  precision = "1us"
  max_processing_time = "1s"
  consumer_fetch_default = "1MB"
  max_undelivered_messages = 10000
  compression_codec = 3
  kafka_version = "3.9.1"
"""
"""The connector's settings but for access, and a flush every second in place of every ten."""


class TelegrafServer(Server):
    """A connector; it knows only the topics that are there when it starts."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        influx: InfluxServer,
        kafka: KafkaServer,
        registry: RegistryServer,
        *,
        topics: Sequence[str],
        database: str,
    ) -> None:
        values = {
            "influx": influx.url,
            "database": database,
            "broker": kafka.bootstrap,
            "group": f"telegraf-kafka-consumer-{uuid.uuid4().hex[:8]}",
            "registry": registry.url,
            "tags": TAGS,
            "topics": list(topics),
        }
        settings = folder / "telegraf.conf"
        quoted = {name: json.dumps(value) for name, value in values.items()}  # as TOML has them
        settings.write_text(SETTINGS.format(**quoted))
        self.process = Process([binary, "--config", settings], folder, self._answers)

    def _answers(self) -> bool:
        return "Agent Config" in self.log() or "Loaded outputs" in self.log()

    def log(self) -> str:
        """Return what it said so far: also the messages it could not read."""
        return self.process.log.read_text(errors="replace")


def telegraf(
    influx: InfluxServer,
    kafka: KafkaServer,
    registry: RegistryServer,
    *,
    topics: Sequence[str] = ("lsst.cp",),
    database: str = DATABASE,
) -> AbstractContextManager[TelegrafServer]:
    """Run a connector for the topics that match; make them before."""
    binary = install.need("telegraf") / "telegraf"

    def make(folder: Path) -> TelegrafServer:
        return TelegrafServer(
            binary, folder, influx, kafka, registry, topics=topics, database=database
        )

    return running("telegraf", make)
