"""A fleet whose password changes: each half says that it is shut out, and goes on by itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from fakes import FakeRepository
from secure_kafka_server import SecureKafkaServer
from structlog.testing import capture_logs

from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.store import Ledger
from calwatch.service import remote
from calwatch.service.daemon import Daemon
from calwatch.service.health import Health, Need
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import SystemClock
from calwatch.service.remote import RemoteWorkers
from calwatch.service.serving import JobServer
from calwatch.settings import Settings

pytestmark = pytest.mark.services

JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
SECONDS = 60.0
SHUT_OUT = "is not let in: name or password is wrong"


class Rotation:
    """A user of its own, whose password is in a file, as a vault leaves it."""

    def __init__(self, server: SecureKafkaServer, folder: Path) -> None:
        self.server, self.user = server, server.new_user()
        self.topic = f"jobs-{uuid.uuid4().hex[:8]}"
        server.create_topics(self.topic)
        server.allow(self.user, "topic", self.topic, "describe", "read", "write")
        server.allow(self.user, "group", self.topic, "read")
        self.file = folder / "password"
        self.file.write_text(server.password)
        self.connection = KafkaConnection(
            bootstrap_servers=server.bootstrap,
            security_protocol="SASL_SSL",
            sasl_username=self.user,
            sasl_password_file=self.file,
            cluster_ca_path=server.ca_path,
        )
        self.ledger = Ledger.open(str(folder / "ledger.db"), publishing=True)
        self.settings = Settings(
            repo="/repo", instruments=("LATISS",), workers=1, look_back_days=None,
            interval_seconds=0.2, retry={"attempts": 2, "first_seconds": 0.05, "most_seconds": 0.2},
            sets={"kinds": ()},
        )  # fmt: skip

    def health(self, role: str) -> Health:
        return Health(self.settings, role, SystemClock(), lambda: None)


@pytest.fixture
def rotation(secure_kafka_server: SecureKafkaServer, tmp_path: Path) -> Rotation:
    return Rotation(secure_kafka_server, tmp_path)


async def until(something: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not something():
            await asyncio.sleep(0.05)


def says(health: Health, name: str) -> str:
    """Return what is wrong with one thing, which then makes the process not ready."""
    [found] = [one for one in health.report().findings if one.name == name]
    assert found.ok or found.need is Need.READY
    return "" if found.ok else found.says


def test_an_intake_takes_up_a_new_password(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "UNSENT_SECONDS", 0.3)
    server, repository, health = rotation.server, FakeRepository(), rotation.health("intake")

    async def scene() -> None:
        parts = (rotation.connection, rotation.topic, 1, rotation.ledger)
        workers = RemoteWorkers(*parts, look_seconds=0.1, send_seconds=2.0)
        daemon = Daemon(rotation.settings, repository, rotation.ledger, JUDGING, performer=workers)
        health.watch(lambda: daemon.load, unsent=workers.held_up_by)
        working = asyncio.create_task(daemon.run())
        await until(lambda: workers._producer.is_open)
        assert says(health, "handing out") == ""
        server.set_password(rotation.user, "the-new-word")
        server.stop()  # which ends the connections that were let in with the old one
        await asyncio.to_thread(server.start)
        repository.take(1, range(20))
        await until(lambda: SHUT_OUT in says(health, "handing out"))
        rotation.file.write_text("the-new-word\n")
        await until(lambda: says(health, "handing out") == "")
        daemon.stop()
        await working

    with capture_logs() as logs:
        asyncio.run(scene())
    told = [line["reason"] for line in logs if line["event"] == "job not sent"]
    assert any(SHUT_OUT in reason for reason in told)
    assert len(told) <= 3  # not a line for each job and attempt
    assert "jobs are handed out again" in [line["event"] for line in logs]


def test_a_worker_says_why_it_is_shut_out_and_takes_up_a_new_password(rotation: Rotation) -> None:
    rotation.file.write_text("an-old-word")
    health = rotation.health("worker")

    async def scene() -> None:
        server = JobServer(
            rotation.settings, rotation.connection, rotation.topic, rotation.topic,
            rotation.ledger, JUDGING,
        )  # fmt: skip
        health.watch(lambda: server.load, lambda: server.state)
        serving = asyncio.create_task(server.run())
        await until(lambda: SHUT_OUT in says(health, "kafka"))
        rotation.file.write_bytes(b"\xff")  # it is just being written
        await until(lambda: "KAFKA_SASL_PASSWORD_FILE" in says(health, "kafka"))
        rotation.file.write_text(rotation.server.password)
        await until(lambda: bool(server.state.assigned))
        assert says(health, "kafka") == ""
        server.stop()
        await serving

    asyncio.run(scene())
