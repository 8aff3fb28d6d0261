"""Pairs, sequences and sets of a night over real services, with daemons that are killed.

The files come in any order, their events doubled, shuffled or never; two flats have no partner, and
one of them gets it late. Every set is judged once and told once all the same.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from live import Live, until
from running import free_port
from sqlalchemy import func, select
from storm import everything

from calwatch.camera.loader import load_camera
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import judgement, outbox
from calwatch.offline.ingest import ingest_raws
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.plan import SimulationPlan, night_exposures, set_up
from calwatch.simulate.production import make_raws
from calwatch.simulate.repository import simulate
from calwatch.verify.metrics import SET_TYPES

pytestmark = pytest.mark.services
MINI = Path(__file__).parents[1] / "data" / "mini.yaml"
MJD_OF_EPOCH, TAI_MINUS_UTC = 40_587.0, 37.0
WAIT_SECONDS = 45.0
"""Longer than the night's files take to come."""
PAIRS = 6
Files = dict[SimulatedExposure, Path]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> SimulationPlan:
    """A repository with certified calibrations and no night; one daily flat stays alone."""
    plan = SimulationPlan(
        root=str(tmp_path_factory.mktemp("sets") / "repo"), instrument="MiniCam", camera=str(MINI),
        detectors=(0,), nights=0, biases=6, darks=4, flats=1, pairs=PAIRS, calib_biases=6,
        calib_darks=4, calib_flats=6, ramp_pairs=6, second_generation=("bias",), processes=1,
    )  # fmt: skip
    simulate(plan)
    return plan


@pytest.fixture
def night(plan: SimulationPlan, tmp_path: Path) -> tuple[Path, Files]:
    """A copy of the repository, and the files of a night that ends just now, not yet ingested."""
    root = tmp_path / "repo"
    shutil.copytree(plan.root, root)
    setup = set_up(replace(plan, root=str(root)))
    taken = night_exposures(setup, 1)
    now = datetime.now(UTC).timestamp() / 86_400 + MJD_OF_EPOCH + TAI_MINUS_UTC / 86_400
    later = now - taken[-1].end_mjd
    taken = [replace(exposure, begin_mjd=exposure.begin_mjd + later) for exposure in taken]
    return root, dict(zip(taken, make_raws(setup, taken), strict=True))


class Night:
    """One deployment, whose processes are killed, and the files that it is given."""

    def __init__(self, live: Live, url: str, roles: tuple[str, ...], seed: int) -> None:
        self.live, self.roles = live, roles
        self.chance = random.Random(seed)
        self.ledger = Ledger.open(url)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = 0

    def start(self, role: str) -> None:
        port = {} if role != "worker" else {"CALWATCH_METRICS_PORT": str(free_port())}
        self.processes[role] = self.live.spawn("--role", role, **port)

    def kill(self, role: str) -> None:
        """Kill a process, wherever it just is, and start it again."""
        self.processes[role].kill()
        self.processes[role].wait()
        self.kills += 1
        self.start(role)

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.ledger.close()

    def ingest(self, files: Files) -> None:
        """Have files come in any order, their events doubled, shuffled, or lost."""
        exposures = list(files)
        self.chance.shuffle(exposures)
        events = [e for e in exposures for _ in range(self.chance.choice((0, 1, 1, 2)))]
        self.chance.shuffle(events)
        camera = load_camera(MINI)
        while exposures or events:
            if exposures:
                some = [exposures.pop() for _ in range(min(len(exposures), 4))]
                ingest_raws(self.live.root, camera, [files[e] for e in some])
            for event in [events.pop() for _ in range(min(len(events), 4))]:
                self.live.sal.ingested("MiniCam", event.obs_id, "R00", "S00", component="MNOODS")
        self.live.sal.flush()

    def judged(self) -> Counter[tuple[int, str]]:
        """Return how often each exposure, and each set by its last exposure, was judged."""
        statement = select(judgement.c.seq_num, judgement.c.calib_type)
        return Counter(tuple(r) for r in self.ledger.read(lambda c: c.execute(statement).all()))

    def kill_until(self, wanted: Counter[tuple[int, str]], times: int) -> None:
        """Kill a process at random several times while work is done; then wait for all of it."""
        for _time in range(times):
            before = self.judged()
            goal = before.total() + self.chance.randint(1, 4)
            end = time.monotonic() + 60.0
            while time.monotonic() < end and self.judged().total() < goal:
                if not wanted - self.judged():
                    break
                time.sleep(0.05)
            time.sleep(self.chance.uniform(0.0, 0.3))
            self.kill(self.chance.choice(self.roles))
        until(lambda: not wanted - self.judged(), f"judging {+(wanted - self.judged())}")
        until(lambda: self.left() == 0, "telling of it all")

    def left(self) -> int:
        statement = select(func.count()).select_from(outbox)
        return self.ledger.read(lambda c: c.execute(statement).scalar_one())

    def told(self, record: str) -> dict[bytes, set[bytes]]:
        """Return all that was told on a topic: every different value under one ``event_id``."""
        found: dict[bytes, set[bytes]] = {}
        for message in everything(self.live.kafka.options, f"{self.live.prefix}.{record}"):
            found.setdefault(dict(message.headers())["event_id"], set()).add(message.value())
        return found

    def read(self, record: str) -> list[dict]:
        """Return the values of `told`, insisting that there is one under each ``event_id``."""
        topic = f"{self.live.prefix}.{record}"
        told = self.told(record)
        assert [key for key, values in told.items() if len(values) > 1] == []
        read = AvroDeserializer(SchemaRegistryClient({"url": self.live.registry.url}))
        context = SerializationContext(topic, MessageField.VALUE)
        return [read(value, context) for values in told.values() for value in values]


@pytest.fixture(params=[("all",), ("intake", "worker")], ids=["daemon", "fleet"])
def deployed(
    request, night, tmp_path: Path, kafka_server, schema_registry, postgresql_url: str
) -> Iterator[Night]:
    root, _files = night
    live = Live(
        root, tmp_path, str(MINI), kafka_server, schema_registry,
        ledger=postgresql_url, where="exposure.science_program = 'BLOCK-T664'",
        interval_seconds=2.0, alarms={"enabled": False}, sets={"wait_seconds": WAIT_SECONDS},
    )  # fmt: skip
    live.root = root
    deployment = Night(live, postgresql_url, request.param, seed=4)
    for role in deployment.roles:
        deployment.start(role)
    yield deployment
    deployment.end()
    print(live.log.read_text()[-20_000:])


def sets_of(files: Files) -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
    """Return what is to be judged before the last flat comes, and all after it."""
    numbers = {kind: [] for kind in ("daily_bias", "daily_dark", "daily_flat", "daily_ptc")}
    for exposure in files:
        numbers[exposure.reason].append(exposure.seq_num)
    (alone,), ramp = numbers["daily_flat"], numbers["daily_ptc"]
    early = [(numbers["daily_bias"][-1], "bias_stability")]
    early += [(numbers["daily_dark"][-1], kind) for kind in ("defects", "dark_stack")]
    # The flat that stays alone; all pairs but the last; what is left of that one.
    pairs = (alone, *ramp[1:-1:2], ramp[-2])
    early += [(number, kind) for number in pairs for kind in ("gain", "cti")]
    early += [(ramp[-3], kind) for kind in ("ptc", "linearity")]
    late = [(ramp[-1], kind) for kind in ("gain", "cti", "ptc", "linearity")]
    early += [(e.seq_num, e.observation_type) for e in files if e.seq_num != ramp[-1]]
    return Counter(early), Counter([*early, *late, (ramp[-1], "flat")])


def test_every_set_is_judged_once_and_told_once(deployed: Night, night) -> None:
    files = dict(night[1])
    early, every = sets_of(files)
    last = max(files, key=lambda exposure: exposure.seq_num)
    deployed.ingest({e: path for e, path in files.items() if e is not last})
    deployed.kill_until(early, times=4)
    assert deployed.judged() == early

    deployed.ingest({last: files[last]})
    deployed.kill_until(every, times=1)
    time.sleep(5.0)  # two looks more: there is nothing left to do
    assert deployed.judged() == every
    assert deployed.kills == 5

    for kind in SET_TYPES:
        expected = sorted(number for number, of in every if of == kind)
        told = [int(record["exposure_id"]) % 100_000 for record in deployed.read(kind)]
        assert sorted(told) == expected, kind
    told = [(int(r["exposure_id"]) % 100_000, r["pipeline"]) for r in deployed.read("set")]
    assert sorted(told) == sorted(key for key in every if key[1] in SET_TYPES)
    alone = [number for number, kind in every if kind == "gain"]
    odd = {alone[0], last.seq_num - 1}
    verdicts = {int(r["exposure_id"]) % 100_000: r["verdict"] for r in deployed.read("gain")}
    assert {number for number, verdict in verdicts.items() if verdict == "UNKNOWN"} == odd
    assert "Traceback" not in deployed.live.log.read_text()
