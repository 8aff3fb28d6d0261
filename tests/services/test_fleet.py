"""Jobs over a real Kafka: several workers share them, none is lost, none counts twice."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import fakes
import numpy as np
import pytest
from fakes import FakeRepository
from sqlalchemy import select
from structlog.testing import capture_logs

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.job import Job
from calwatch.errors import RecordError
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement, outbox
from calwatch.service.daemon import Daemon
from calwatch.service.judging import JudgeFactory
from calwatch.service.pool import Outcome
from calwatch.service.remote import RemoteWorkers
from calwatch.service.serving import JobServer
from calwatch.settings import Settings
from calwatch.verify.model import Verdict
from calwatch.verify.sets.needs import NEEDS

pytestmark = pytest.mark.services

JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
EXPOSURES, DETECTORS = 4, 9


class Fleet:
    """One intake and any number of workers, each with its own connection to everything."""

    def __init__(self, kafka, url: str) -> None:
        self.topic = f"jobs-{uuid.uuid4().hex[:8]}"
        self.connection = KafkaConnection(bootstrap_servers=kafka.bootstrap)
        self.url = url
        self.repository = FakeRepository()
        self.settings = Settings(
            repo="/repo",
            instruments=("LATISS",),
            workers=1,
            look_back_days=None,
            retry={"attempts": 2, "first_seconds": 0.05, "most_seconds": 0.2},
            sets={"kinds": ()},  # `test_sets_in_fleet.py` has them
        )

    def worker(self) -> JobServer:
        ledger = Ledger.open(self.url, publishing=True)
        group = f"{self.topic}-workers"
        return JobServer(self.settings, self.connection, self.topic, group, ledger, JUDGING)

    def intake(self, **options) -> Daemon:
        ledger = Ledger.open(self.url, publishing=True)
        workers = RemoteWorkers(self.connection, self.topic, 6, ledger, look_seconds=0.1, **options)
        return Daemon(self.settings, self.repository, ledger, JUDGING, performer=workers)

    def judged(self) -> Counter[tuple[int, int]]:
        ledger = Ledger.open(self.url)
        rows = ledger.read(
            lambda c: c.execute(select(judgement.c.exposure_id, judgement.c.detector)).all()
        )
        ledger.close()
        return Counter((row.exposure_id % 1000, row.detector) for row in rows)


@pytest.fixture
def fleet(kafka_server, postgresql_url: str) -> Fleet:
    return Fleet(kafka_server, postgresql_url)


def all_once() -> Counter[tuple[int, int]]:
    return Counter((e, d) for e in range(1, EXPOSURES + 1) for d in range(DETECTORS))


def test_two_workers_share_the_work_and_each_detector_stays_with_one(fleet: Fleet) -> None:
    for number in range(1, EXPOSURES + 1):
        fleet.repository.take(number, range(DETECTORS))

    async def run() -> list[int]:
        workers = [fleet.worker(), fleet.worker()]
        serving = [asyncio.create_task(worker.run()) for worker in workers]
        summary = await asyncio.wait_for(fleet.intake().run(once=True), 60)
        assert sum(summary.exposures.values()) == EXPOSURES
        for worker in workers:
            worker.stop()
        return [sum((await task).detectors.values()) for task in serving]

    with capture_logs() as logs:
        done = asyncio.run(run())
    assert fleet.judged() == all_once()
    assert sum(done) == EXPOSURES * DETECTORS
    assert len([line for line in logs if line["event"] == "exposure judged"]) == EXPOSURES


def test_result_and_outbox_are_one(fleet: Fleet) -> None:
    fleet.repository.take(1, range(3))

    async def run() -> None:
        worker = fleet.worker()
        serving = asyncio.create_task(worker.run())
        await asyncio.wait_for(fleet.intake().run(once=True), 60)
        worker.stop()
        await serving

    asyncio.run(run())
    ledger = Ledger.open(fleet.url)
    rows = ledger.read(lambda c: c.execute(select(outbox)).all())
    ledger.close()
    assert sum(row.judgement_id is not None for row in rows) == 3
    assert sum(row.exposure_verdict_id is not None for row in rows) == 1


def test_what_a_worker_leaves_another_one_does(fleet: Fleet) -> None:
    for number in range(1, EXPOSURES + 1):
        fleet.repository.take(number, range(DETECTORS), observation_reason="sleep:0.05")

    async def run() -> None:
        first, second = fleet.worker(), fleet.worker()
        serving = [asyncio.create_task(first.run())]
        intake = asyncio.create_task(fleet.intake(resend_seconds=20.0).run(once=True))
        while not fleet.judged():
            await asyncio.sleep(0.1)
        first.stop()
        serving.append(asyncio.create_task(second.run()))
        await asyncio.wait_for(intake, 60)
        second.stop()
        await asyncio.gather(*serving)

    asyncio.run(run())
    assert fleet.judged() == all_once()


def test_a_job_delivered_twice_counts_once_and_garbage_stops_nothing(
    fleet: Fleet, kafka_server
) -> None:
    from aiokafka import AIOKafkaProducer

    job = fakes.make_job(1, detector=5)
    kafka_server.create_topics(fleet.topic)

    async def run() -> None:
        producer = AIOKafkaProducer(**fleet.connection.client_options())
        await producer.start()
        wrong = json.dumps({"exposure": 1}).encode()
        for content in (b"\x00garbage", b"", wrong, *[JobCodec().dump(job)] * 3):
            await producer.send_and_wait(fleet.topic, content, partition=0)
        await producer.stop()
        worker = fleet.worker()
        serving = asyncio.create_task(worker.run())
        while not fleet.judged():
            await asyncio.sleep(0.1)
        worker.stop()
        await serving

    with capture_logs() as logs:
        asyncio.run(run())
    assert fleet.judged() == Counter({(1, 5): 1})
    refused = [line for line in logs if line["event"] == "job cannot be read"]
    assert [line["offset"] for line in refused] == [0, 1, 2]


BROKERS_OWN = 1_048_588
"""``max.message.bytes`` of a broker that was told of no other."""
PAIRS = 400


def record_pairs(ledger: Ledger, curve: Job) -> None:
    """Record the judgement of each pair that a curve is made of."""
    for flat, point in zip(curve.members[1::2], curve.earlier, strict=True):
        pair = Job(flat.exposure, "gain", curve.detector, flat.raw, curve.chain)
        result = fakes.make_result(pair, metrics=NEEDS["ptc"].metrics)
        arrays = {"covariances": np.asarray(point.arrays["covariances"])}
        ledger.record(replace(result, arrays=arrays), flat.exposure, datetime.now(UTC))


def test_a_curve_of_400_pairs_is_judged_and_a_job_too_long_holds_nothing_up(
    fleet: Fleet, kafka_server
) -> None:
    kafka_server.create_topics(fleet.topic, max_message_bytes=str(BROKERS_OWN))
    ledger = Ledger.open(fleet.url, publishing=True)
    workers = RemoteWorkers(fleet.connection, fleet.topic, 1, ledger, look_seconds=0.1)
    curve = fakes.make_curve_job(PAIRS)
    curve = replace(curve, exposure=replace(curve.exposure, observation_reason="numbers"))
    record_pairs(ledger, curve)
    # Compressed it is too much for the broker, or already for the client before that.
    noise = random.Random(1).randbytes(BROKERS_OWN).hex()
    jobs = [replace(fakes.make_job(1), why_not=noise * times) for times in (1, 5)] + [curve]

    async def run() -> list[Outcome]:
        worker = fleet.worker()
        serving = asyncio.create_task(worker.run())
        await workers.start()
        outcomes = [await asyncio.wait_for(workers.run(job), 60) for job in jobs]
        await workers.close()
        worker.stop()
        await serving
        return outcomes

    *too_long, good = asyncio.run(run())
    ledger.close()
    for outcome in too_long:
        assert isinstance(outcome.error, RecordError)
        assert "too large for Kafka" in str(outcome.error)
    assert (good.error, good.recorded) == (None, Verdict.PASS)
    assert fleet.judged()[2 * PAIRS, 0] == 2  # the last pair, and the curve


def test_a_broker_that_goes_away_and_returns_loses_nothing(fleet: Fleet, kafka_server) -> None:
    for number in range(1, EXPOSURES + 1):
        fleet.repository.take(number, range(DETECTORS), observation_reason="sleep:0.05")

    async def run() -> None:
        worker = fleet.worker()
        serving = asyncio.create_task(worker.run())
        intake = asyncio.create_task(fleet.intake(resend_seconds=5.0).run(once=True))
        while not fleet.judged():
            await asyncio.sleep(0.1)
        await asyncio.to_thread(kafka_server.kill)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(kafka_server.start)
        await asyncio.wait_for(intake, 120)
        worker.stop()
        await serving

    asyncio.run(run())
    assert fleet.judged() == all_once()
