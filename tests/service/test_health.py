"""``/healthz`` and ``/readyz``, asked over HTTP, speak of progress."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import fakes
import httpx
import pytest
from evening import Clock
from fakes import NOON, make_job, make_result
from prometheus_client import CollectorRegistry

from calwatch.arrivals.kafka import SourceState
from calwatch.errors import LedgerError, StopError
from calwatch.service.endpoint import answers, serve_answers
from calwatch.service.health import LOOK_SECONDS, LOOP_SECONDS, Health, Probe
from calwatch.service.progress import JobDone, Load, Looked, Waiting
from calwatch.settings import Settings

DONE = JobDone(make_job(), make_result(make_job()), 0.1)
INTERVAL = 60.0


class Subject:
    """A health whose daemon, ledger and time are set by hand, behind a real server."""

    def __init__(self, role: str = "all", **changes: object) -> None:
        settings = Settings(repo="/repo", instruments=("LATISS",), workers=2, **changes)
        self.clock = Clock()
        self.clock.at = NOON
        self.load = Load(0, 0, 0, 2)
        self.ledger_problem: Exception | None = None
        self.health = Health(settings, role, self.clock, self._ask)
        self.health.watch(lambda: self.load)
        app = answers(self.health.report, CollectorRegistry())
        self.server = serve_answers(app, 0, "127.0.0.1")

    def _ask(self) -> None:
        if self.ledger_problem is not None:
            raise self.ledger_problem

    def pass_time(self, seconds: float) -> None:
        """Let the daemon run on, its event loop turning."""
        self.clock.at += fakes.timedelta(seconds=seconds)
        self.health.turn()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.server.server_port}{path}", timeout=10)

    def status(self) -> tuple[int, int]:
        return self.get("/healthz").status_code, self.get("/readyz").status_code

    def says(self, name: str) -> str:
        checks = self.get("/readyz").json()["checks"]
        (found,) = [check["says"] for check in checks if check["name"] == name]
        return found


@pytest.fixture
def subject() -> Iterator[Subject]:
    made = Subject()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_it_is_ready_after_the_first_look(subject: Subject) -> None:
    assert subject.status() == (200, 503)
    assert "not been compared yet" in subject.says("last look")
    subject.health.hear(Looked(0, 0))
    assert subject.status() == (200, 200)
    body = subject.get("/healthz").json()
    assert (body["healthy"], body["ready"], body["role"]) == (True, True, "all")


def test_a_look_that_never_ends_is_not_healthy(subject: Subject) -> None:
    subject.health.hear(Looked(0, 0))
    subject.pass_time(INTERVAL + LOOK_SECONDS)
    assert subject.status() == (200, 200)
    subject.pass_time(1)
    assert subject.status() == (503, 503)
    assert "361 s ago" in subject.says("last look")


def test_a_butler_out_of_reach_is_not_ready_but_no_reason_to_restart(subject: Subject) -> None:
    subject.health.hear(Looked(0, 0))
    for _ in range(10):
        subject.pass_time(100)
        subject.health.hear(Waiting("the Butler is away", 100.0))
    assert subject.status() == (200, 503)
    assert "out of reach since: the Butler is away" in subject.says("last look")
    subject.health.hear(Looked(0, 0))
    assert subject.status() == (200, 200)


def test_jobs_that_do_not_move_are_not_healthy(subject: Subject) -> None:
    subject.load = Load(3, 2, 1, 2)
    subject.pass_time(719)
    subject.health.hear(Looked(1, 5))
    assert subject.status() == (200, 200)
    subject.pass_time(2)
    subject.health.hear(Looked(0, 0))
    assert subject.status() == (503, 503)
    assert subject.says("jobs") == "3 waiting, 2 running, the last one moved 721 s ago"
    subject.health.hear(DONE)
    assert subject.status() == (200, 200)


def test_an_idle_daemon_may_be_idle_for_ever(subject: Subject) -> None:
    for _ in range(100):
        subject.pass_time(60)
        subject.health.hear(Looked(0, 0))
    assert subject.status() == (200, 200)
    assert subject.says("jobs") == "0 waiting, 0 running"


def test_an_event_loop_that_stands_still_is_told_by_another_thread(subject: Subject) -> None:
    subject.health.hear(Looked(0, 0))
    subject.clock.at += fakes.timedelta(seconds=LOOP_SECONDS + 1)
    assert subject.status() == (503, 503)
    subject.health.turn()
    assert subject.status() == (200, 200)


def test_without_workers_or_ledger_it_is_not_ready(subject: Subject) -> None:
    subject.health.hear(Looked(0, 0))
    subject.load = Load(0, 0, 0, 1)
    assert subject.status() == (200, 200)
    assert subject.says("workers") == "1 of 2 live"
    subject.load = Load(0, 0, 0, 0)
    assert subject.status() == (200, 503)
    subject.load = Load(0, 0, 0, 2)
    subject.ledger_problem = LedgerError("ledger: the disk is full")
    assert subject.status() == (200, 503)
    assert subject.says("ledger") == "ledger: the disk is full"


def test_a_ledger_that_hangs_does_not_hang_the_answer() -> None:
    end = threading.Event()
    asked = []

    def hang() -> None:
        asked.append(1)
        end.wait(60)

    probe = Probe(hang, seconds=0.05)
    assert probe.problem() == "no answer for 0.05 s"
    assert probe.problem() == "no answer for 0.05 s"
    assert len(asked) == 1  # one question hangs, not one for each asker
    end.set()
    probe._running.join(10)
    assert Probe(lambda: None).problem() == ""


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (SourceState(), "not connected"),
        (SourceState(problem="nobody listens"), "not connected: nobody listens"),
        (
            SourceState(True, ("a[0]", "b[0]"), ("c",), positions={"a[0]": (41, 2)}),
            "a[0] at 41, 2 behind; 1 partitions without a message since they were assigned; "
            "missing topics: c",
        ),
        (SourceState(True, ("a[0]",), waiting_for="the registry"), "waiting for: the registry"),
    ],
)
def test_where_kafka_is_read_is_told_and_changes_nothing(
    subject: Subject, state: SourceState, words: str
) -> None:
    subject.health.hear(Looked(0, 0))
    subject.health.watch(lambda: subject.load, lambda: state, lambda: "Kafka a:1: away")
    assert words in subject.says("kafka")
    assert "held up" in subject.says("publishing")
    assert "Kafka a:1: away" in subject.says("publishing")
    assert subject.status() == (200, 200)


def test_roles_are_asked_for_what_they_do() -> None:
    worker = Subject("worker")
    assert worker.status() == (200, 200)  # it looks at no Butler
    worker.health.watch(lambda: worker.load, SourceState)
    assert worker.status() == (200, 503)  # its jobs come from Kafka
    intake = Subject("intake")
    intake.load = Load(0, 7, 1, 0)
    intake.health.hear(Looked(0, 0))
    assert intake.status() == (200, 200)
    intake.pass_time(721)
    intake.health.hear(Looked(0, 0))
    assert intake.status() == (200, 503)  # other hosts do not do their jobs
    intake.load = Load(0, 0, 0, 0)
    intake.health.turn()
    problem = ["Kafka a:1: user 'calwatch' is not let in"]
    intake.health.watch(lambda: intake.load, unsent=lambda: problem[0])
    assert intake.says("handing out") == problem[0]
    assert intake.status() == (200, 503)
    problem[0] = ""
    assert intake.status() == (200, 200)
    for one in (worker, intake):
        one.server.shutdown()
        one.server.server_close()


def test_other_addresses_and_a_port_in_use(subject: Subject) -> None:
    assert subject.get("/").status_code == 404
    assert subject.get("/metrics").status_code == 200
    with pytest.raises(StopError, match="metrics_port"):
        serve_answers(answers(subject.health.report), subject.server.server_port, "127.0.0.1")
