"""A storm over the daemon: killed, cut off and confused at random, round after round, by a seed.

Every round takes a few exposures, ingests their detectors in any order, and announces them by
events that are doubled, shuffled, early, late or lost. Meanwhile something is killed: the daemon,
a worker, the broker or the registry. At the end everything must be there, once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from sal import Sal
from sqlalchemy import func, select

from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement, outbox

HERE = Path(__file__).parent
INSTRUMENT, COMPONENT = "LSSTComCam", "CCOODS"
DETECTORS = 9
VERDICTS = ("pass", "fail", "unknown")
KINDS = ("daemon", "worker", "both", "broker", "registry", "nothing")
WEIGHTS = (45, 25, 10, 6, 6, 8)


@dataclass
class Outcome:
    """What a storm left behind."""

    done: Counter[str] = field(default_factory=Counter)
    """What was killed or cut off, how often."""
    taken: set[tuple[int, int]] = field(default_factory=set)
    """(exposure number, detector) of all that was ingested."""
    judged: Counter[tuple[int, int]] = field(default_factory=Counter)
    published: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """By ``event_id``: every different value sent under it."""
    messages: int = 0
    detectors_told: set[tuple[int, int]] = field(default_factory=set)
    exposures_told: set[int] = field(default_factory=set)
    complete: set[int] = field(default_factory=set)
    """Exposures whose last message counts every detector."""
    left_in_outbox: int = 0

    def problems(self) -> list[str]:
        """Return everything that is not as it must be."""
        found = []
        if lost := self.taken - set(self.judged):
            found.append(f"not judged: {sorted(lost)}")
        if twice := [key for key, times in self.judged.items() if times > 1]:
            found.append(f"judged twice: {sorted(twice)}")
        if unsaid := self.taken - self.detectors_told:
            found.append(f"never published: {sorted(unsaid)}")
        if unsaid := {number for number, _ in self.taken} - self.complete:
            found.append(f"exposures never published whole: {sorted(unsaid)}")
        if torn := [key for key, values in self.published.items() if len(values) > 1]:
            found.append(f"one key, two values: {torn}")
        if self.left_in_outbox:
            found.append(f"{self.left_in_outbox} rows left in the outbox")
        return found


class Storm:
    """One run.

    Parameters
    ----------
    kafka, registry
        Running servers.
    ledger_url
        Of an empty ledger.
    folder
        For what the daemon reads and writes.
    seed
        Decides everything that is decided by chance.
    """

    def __init__(self, kafka: Any, registry: Any, ledger_url: str, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.kafka, self.registry, self.folder = kafka, registry, folder
        word = uuid.uuid4().hex[:8]
        self.subname, self.prefix = f"sal{word}", f"lsst.cp.t{word}"
        self.sal = Sal(kafka.options, registry.url, self.subname)
        self.topic = self.sal.topic(COMPONENT, "logevent_imageInOODS")
        kafka.create_topics(self.topic)
        self.ingested = folder / "ingested"
        self.ingested.touch()
        self.settings = folder / "storm.json"
        told = {
            "ledger": ledger_url,
            "subname": self.subname,
            "prefix": self.prefix,
            "ingested": str(self.ingested),
        }
        self.settings.write_text(json.dumps(told))
        self.ledger = Ledger.open(ledger_url)
        self.outcome = Outcome()
        self.number = 0
        self.daemon: subprocess.Popen[bytes] | None = None

    def run(self, rounds: int, tell: Any = lambda _text: None) -> Outcome:
        """Have so many rounds, then wait until all is quiet, and look."""
        try:
            for done in range(rounds):
                self._round()
                if (done + 1) % 10 == 0:
                    tell(f"{done + 1} rounds, {dict(self.outcome.done)}")
            self._start()
            self._settle()
        finally:
            if self.daemon is not None:
                self.daemon.kill()
                self.daemon.wait()
        self._look()
        self.ledger.close()
        return self.outcome

    def _round(self) -> None:
        if self.daemon is None or self.daemon.poll() is not None:
            self._start()
        files = self._take()
        events = [key for key in files for _ in range(self.chance.choice((0, 1, 1, 1, 2, 3)))]
        self.chance.shuffle(events)
        steps = [("ingest", key) for key in files] + [("event", key) for key in events]
        self.chance.shuffle(steps)
        kind = self.chance.choices(KINDS, WEIGHTS)[0]
        strike_at = self.chance.randrange(len(steps) + 1)
        for place, (what, key) in enumerate(steps):
            if place == strike_at:
                self._strike(kind)
            if what == "ingest":
                with self.ingested.open("a") as file:
                    file.write(f"{key[0]} {key[1]}\n")
            else:
                self._announce(*key)
            time.sleep(self.chance.uniform(0.0, 0.05))
        if strike_at == len(steps):
            time.sleep(self.chance.uniform(0.0, 1.5))
            self._strike(kind)
        time.sleep(self.chance.uniform(0.0, 0.8))

    def _take(self) -> list[tuple[int, int]]:
        files = []
        for _exposure in range(self.chance.randint(1, 2)):
            self.number += 1
            count = self.chance.randint(1, 4)
            files += [(self.number, d) for d in self.chance.sample(range(DETECTORS), count)]
        self.outcome.taken |= set(files)
        self.chance.shuffle(files)
        return files

    def _announce(self, number: int, detector: int) -> None:
        raft, sensor = "R22", f"S{detector // 3}{detector % 3}"
        obs_id = f"CC_O_20261120_{number:06d}"
        self.sal.ingested(INSTRUMENT, obs_id, raft, sensor, component=COMPONENT)

    def _strike(self, kind: str) -> None:
        self.outcome.done[kind] += 1
        assert self.daemon is not None
        if kind in ("worker", "both") and (living := workers(self.daemon.pid)):
            os.kill(self.chance.choice(living), signal.SIGKILL)
        if kind in ("daemon", "both"):
            self.daemon.kill()
            self.daemon.wait()
            self._start()
        if kind == "broker":
            self.kafka.kill()
            time.sleep(self.chance.uniform(0.0, 2.0))
            self.kafka.start()
        if kind == "registry":
            self.registry.kill()
            time.sleep(self.chance.uniform(0.0, 2.0))
            self.registry.start()

    def _start(self) -> None:
        known = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "SCHEMA_MANAGER_REGISTRY_URL": self.registry.url,
        }
        program = [sys.executable, str(HERE / "killable_live.py"), str(HERE.parent / "service")]
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [*program, str(self.settings)], env={**os.environ, **known}, stdout=log, stderr=log
            )

    def _settle(self, seconds: float = 180.0) -> None:
        """Wait until the daemon has done everything, or for long enough to say that it will not."""
        self.sal.flush()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.daemon is not None
            assert self.daemon.poll() is None, (self.folder / "log").read_text()[-4000:]
            if len(self._judged()) == len(self.outcome.taken) and self._outbox() == 0:
                time.sleep(2.0)  # a merge may follow the last judgement
                if self._outbox() == 0:
                    return
            time.sleep(0.2)

    def _judged(self) -> Counter[tuple[int, int]]:
        statement = select(judgement.c.exposure_id, judgement.c.detector)
        rows = self.ledger.read(lambda c: c.execute(statement).all())
        return Counter((row.exposure_id % 100000, row.detector) for row in rows)

    def _outbox(self) -> int:
        statement = select(func.count()).select_from(outbox)
        return self.ledger.read(lambda c: c.execute(statement).scalar_one())

    def _look(self) -> None:
        """Read everything that was published."""
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.avro import AvroDeserializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        outcome = self.outcome
        outcome.judged, outcome.left_in_outbox = self._judged(), self._outbox()
        read = AvroDeserializer(SchemaRegistryClient({"url": self.registry.url}))
        of_exposure = Counter(number for number, _ in outcome.taken)
        for record in ("bias", "exposure"):
            topic = f"{self.prefix}.{record}"
            for message in everything(self.kafka.options, topic):
                value = read(message.value(), SerializationContext(topic, MessageField.VALUE))
                outcome.messages += 1
                event_id = dict(message.headers())["event_id"].decode()
                outcome.published[f"{record} {event_id}"].add(message.value())
                number = int(value["exposure_id"]) % 100000
                if record == "bias":
                    outcome.detectors_told.add((number, int(value["detector"])))
                elif sum(value[f"n_{v}"] for v in VERDICTS) == of_exposure[number]:
                    outcome.complete.add(number)


def workers(daemon: int) -> list[int]:
    """Return the worker processes of a daemon."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            command = (stat.parent / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == daemon and b"spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


def everything(options: dict[str, Any], topic: str) -> list[Any]:
    """Return every message of a topic of one partition."""
    consumer = Consumer({**options, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    place = TopicPartition(topic, 0, 0)
    found = []
    try:
        _low, high = consumer.get_watermark_offsets(place, timeout=30)
        consumer.assign([place])
        while len(found) < high:
            message = consumer.poll(30)
            assert message is not None, f"{topic} ends at {len(found)} of {high}"
            assert message.error() is None, message.error()
            found.append(message)
    finally:
        consumer.close()
    return found
