"""How quickly events become jobs, how a backlog is taken, and what memory it costs.

Usage: python tests/benchmarks/flow.py [--exposures 10] [--backlog 10000] [--many 100000] [--json F]

Real Butler (205 detectors of LSSTCam, SQLite registry; raw files hold a header only), Kafka, schema
registry and SQLite ledger. Pixels are not judged: each job gets a made-up result at once, which is
recorded. Printed are

* latency: from the moment an event is handed to the producer to the moment its job is handed out,
  with the events of 205 ingested detectors sent at once, exposure after exposure;
* backlog: so many events waiting at the start, until the offset of the last is committed, and how
  often the consumer had to join its group meanwhile (1: it never left);
* memory: resident size of the daemon's process after 10^3 events and after many.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import REGISTRY
from whole_camera import CAMERA, INSTRUMENT, ingest, make_repository, obs_id

from calwatch.arrivals.job import Job
from calwatch.butler.repository import Repository
from calwatch.isr.switches import needed_calibrations
from calwatch.kafka.connection import KafkaConnection
from calwatch.ledger.store import Ledger
from calwatch.service.daemon import Daemon
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import SystemClock
from calwatch.service.online import go_online
from calwatch.service.pool import Outcome
from calwatch.settings import Settings

SERVICES = Path(__file__).parents[1] / "services"
sys.path[:0] = [str(SERVICES), str(SERVICES.parent / "service")]

import fakes  # noqa: E402  (these are found only now)
import kafka_server  # noqa: E402
import registry_server  # noqa: E402
from sal import Sal  # noqa: E402

SUBNAME = "salflow"


class Noting:
    """In place of the workers: notes when a job comes, and gives a result at once."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.wants_numbers = False
        self.at: dict[tuple[int, int], float] = {}

    async def start(self) -> None:
        return

    async def run(self, job: Job) -> Outcome:
        self.at[job.exposure.seq_num, job.detector] = time.time()
        return Outcome(fakes.make_result(job), None, "", 0.0, 0)

    def drop_waiting(self) -> int:
        return 0

    async def close(self) -> None:
        return


@cache
def sal_of(bootstrap: str, registry_url: str) -> Sal:
    """Return the one publisher of the feeding process."""
    return Sal({"bootstrap.servers": bootstrap}, registry_url, SUBNAME)


def announce(bootstrap: str, registry_url: str, number: int) -> dict[int, float]:
    """Send the events of all detectors at once; return when each was handed to the producer."""
    sal = sal_of(bootstrap, registry_url)
    sent = {}
    for det in CAMERA.detectors:
        sent[det.number] = time.time()
        sal.ingested(INSTRUMENT, obs_id(number), det.raft, det.slot)
    sal.flush()
    return sent


def resident() -> float:
    """Resident size of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Bench:
    """One daemon on line, in this process; all that feeds it is in another."""

    def __init__(self, folder: Path, kafka: Any, registry: Any) -> None:
        self.kafka, self.registry = kafka, registry
        self.root = make_repository(folder)
        self.topic = f"lsst.{SUBNAME}.MTOODS.logevent_imageInOODS"
        others = [f"lsst.{SUBNAME}.{c}.logevent_imageInOODS" for c in ("CCOODS", "WFOODS")]
        kafka.create_topics(self.topic, *others, f"lsst.{SUBNAME}.MTCamera.logevent_endReadout")
        self.settings = Settings(
            repo=str(self.root),
            instruments=(INSTRUMENT,),
            ledger=f"sqlite:///{folder / 'ledger.db'}",
            workers=1,
            look_back_days=None,
            interval_seconds=3600,
            sets={"kinds": ()},  # what one exposure costs is measured
            kafka={"sal_subname": SUBNAME, "prefix": f"lsst.cp.{SUBNAME}", "group": SUBNAME},
        )
        self.ledger = Ledger.open(self.settings.ledger, publishing=True)
        self.noting = Noting()
        connection = KafkaConnection(
            bootstrap_servers=kafka.bootstrap, SCHEMA_MANAGER_REGISTRY_URL=registry.url
        )
        cameras = {INSTRUMENT: CAMERA}
        self.online = go_online(self.settings, connection, self.ledger, cameras, SystemClock())
        context = get_context("spawn")
        self.feeder = ProcessPoolExecutor(1, mp_context=context)

    async def run(self, given: argparse.Namespace) -> dict[str, Any]:
        loop = asyncio.get_running_loop()

        def elsewhere(call: Any, *words: Any) -> asyncio.Future[Any]:
            return loop.run_in_executor(self.feeder, call, *words)

        assert self.online.publisher is not None
        await self.online.publisher.prepare()
        judging = JudgeFactory(
            fakes.work, lambda _i, k: needed_calibrations(CAMERA, k), fakes.unknown, fakes.merge
        )
        with Repository.open(self.settings.repo) as repository:
            daemon = Daemon(
                self.settings,
                repository,
                self.ledger,
                judging,
                sources=self.online.sources,
                companions=[self.online.publisher.run],
                watch=self.online.watch,
                performer=self.noting,
                jobs_ahead=1000,
                on_event=self.online.hear,
            )
            await elsewhere(send_many, self.kafka.bootstrap, self.registry.url, 0, given.backlog)
            began = time.monotonic()
            running = asyncio.create_task(daemon.run())
            await self._committed(given.backlog)
            report: dict[str, Any] = {
                "backlog events": given.backlog,
                "backlog seconds": round(time.monotonic() - began, 2),
            }
            latencies = []
            for number in range(1, given.exposures + 1):
                await elsewhere(ingest, self.root, number)
                sent = await elsewhere(announce, self.kafka.bootstrap, self.registry.url, number)
                while sum(key[0] == number for key in self.noting.at) < len(CAMERA.detectors):
                    await asyncio.sleep(0.05)
                latencies += [self.noting.at[number, det] - at for det, at in sent.items()]
                await asyncio.sleep(1.0)
            report |= {
                "latency events": len(latencies),
                "latency p50 ms": round(1000 * float(np.percentile(latencies, 50)), 1),
                "latency p99 ms": round(1000 * float(np.percentile(latencies, 99)), 1),
            }
            total = given.backlog + len(latencies)
            report["resident MB at first"] = round(resident(), 1)
            while total < given.many:
                count = min(20_000, given.many - total)
                await elsewhere(send_many, self.kafka.bootstrap, self.registry.url, total, count)
                total += count
                await self._committed(total)
            report |= {"events in all": total, "resident MB at last": round(resident(), 1)}
            report["times joined the group"] = REGISTRY.get_sample_value(
                "calwatch_rebalances_total"
            )
            daemon.stop()
            await running
        return report

    async def _committed(self, count: int) -> None:
        """Wait until the group has committed so many events."""
        options = {"bootstrap_servers": self.kafka.bootstrap, "group_id": SUBNAME}
        place = TopicPartition(self.topic, 0)
        consumer = AIOKafkaConsumer(**options, enable_auto_commit=False)
        await consumer.start()
        consumer.assign([place])
        try:
            while (await consumer.committed(place) or 0) < count:
                await asyncio.sleep(0.1)
        finally:
            await consumer.stop()


def send_many(bootstrap: str, registry_url: str, first: int, count: int) -> None:
    """Send events of exposures that the Butler does not have (as of a science night)."""
    sal = sal_of(bootstrap, registry_url)
    for number in range(first, first + count):
        det = CAMERA.detectors[number % 205]
        name = f"MC_O_20261119_{1 + number // 205:06d}"
        sal.ingested(INSTRUMENT, name, det.raft, det.slot)
    sal.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exposures", type=int, default=10)
    parser.add_argument("--backlog", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the summary here")
    given = parser.parse_args()
    level = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=level)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calwatch-flow-")))
        kafka = stack.enter_context(kafka_server.server())
        registry = stack.enter_context(registry_server.server())
        report = asyncio.run(Bench(folder, kafka, registry).run(given))
    text = json.dumps(report, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
