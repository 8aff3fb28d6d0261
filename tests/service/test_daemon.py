"""The daemon does all that is missing, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import fakes
import pytest
from fakes import FakeRepository, make_exposure, make_result
from structlog.testing import capture_logs

from calwatch.arrivals.source import Arrival
from calwatch.errors import ChainError, LedgerError, LimitsError, RepositoryError, WaitError
from calwatch.ledger.store import Ledger
from calwatch.service.daemon import Daemon
from calwatch.service.judging import JudgeFactory
from calwatch.service.progress import (
    ExposureJudged,
    JobDelayed,
    JobDone,
    Looked,
    RunSummary,
    Waiting,
)
from calwatch.settings import Settings
from calwatch.verify.model import Verdict

JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
QUICK = {"attempts": 2, "first_seconds": 0.05, "most_seconds": 0.2}


class Runner:
    """Makes daemons on one repository and ledger, and keeps what they tell."""

    def __init__(self, repository: FakeRepository, ledger: Ledger) -> None:
        self.repository = repository
        self.ledger = ledger
        self.events: list[object] = []
        self.on_event: Callable[[object], None] | None = None
        self.daemon: Daemon | None = None

    def make(self, sources=(), companions=(), judging=JUDGING, rejudge=False, **changes) -> Daemon:
        fields = {"repo": "/repo", "instruments": ("LATISS",), "workers": 1, "retry": QUICK}
        settings = Settings(**{**fields, "look_back_days": None, **changes})
        self.daemon = Daemon(
            settings,
            self.repository,
            self.ledger,
            judging,
            sources=sources,
            companions=companions,
            on_event=self._hear,
            rejudge=rejudge,
        )
        return self.daemon

    def _hear(self, event: object) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def once(self, **options) -> RunSummary:
        async def run() -> RunSummary:
            return await asyncio.wait_for(self.make(**options).run(once=True), 60)

        return asyncio.run(run())

    def live(self, **options) -> RunSummary:
        """Run until ``on_event`` has it stopped."""

        async def run() -> RunSummary:
            return await asyncio.wait_for(self.make(**options).run(), 60)

        return asyncio.run(run())

    def heard(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def verdicts(self) -> dict[tuple[int, int], str]:
        keys = self.ledger.judged_keys("LATISS")
        return {(e % 1000, detector): j.verdict.value for (e, detector), j in keys.items()}


@pytest.fixture
def runner(repository: FakeRepository, ledger: Ledger) -> Runner:
    return Runner(repository, ledger)


def test_nothing_to_do_ends_at_once(runner: Runner) -> None:
    summary = runner.once()
    assert sum(summary.detectors.values()) == 0
    assert not summary.stopped


def test_all_exposures_are_done_oldest_first_and_others_left_alone(runner: Runner) -> None:
    for number in (3, 1, 2):
        runner.repository.take(number, (0, 1))
    runner.repository.take(4, kind="science")
    summary = runner.once()
    assert runner.verdicts == {(n, d): "PASS" for n in (1, 2, 3) for d in (0, 1)}
    judged = runner.heard(ExposureJudged)
    assert [event.exposure.seq_num for event in judged] == [1, 2, 3]
    assert [len(event.results) for event in judged] == [2, 2, 2]
    assert summary.exposures[Verdict.PASS] == 3
    assert summary.detectors[Verdict.PASS] == 6
    assert runner.heard(Looked)[0] == Looked(3, 6)
    assert len(runner.heard(JobDone)) == 6


def test_a_restart_does_only_what_is_new(runner: Runner) -> None:
    runner.repository.take(1)
    runner.once()
    runner.events.clear()
    runner.once()
    assert runner.heard(JobDone) == []
    runner.repository.take(2)
    runner.repository.take(3)
    runner.once()
    assert [event.job.exposure.seq_num for event in runner.heard(JobDone)] == [2, 3]


def test_one_bad_exposure_stops_nothing(runner: Runner) -> None:
    words = ["raw:no HDU Segment10", "bug:oops", "die", "odd", "fail", ""]
    for number, word in enumerate(words):
        runner.repository.take(number, observation_reason=word)
    runner.repository.take(6)
    runner.repository.chain_errors[make_exposure(6).exposure_id] = ChainError(
        "two biases certified"
    )
    summary = runner.once()
    assert runner.verdicts == {
        (0, 0): "UNKNOWN",
        (1, 0): "UNKNOWN",
        (2, 0): "UNKNOWN",
        (3, 0): "UNKNOWN",
        (4, 0): "FAIL",
        (5, 0): "PASS",
        (6, 0): "PASS",
    }
    reasons = {event.job.exposure.seq_num: event.result.reason for event in runner.heard(JobDone)}
    assert reasons[0] == "no HDU Segment10"
    assert reasons[1] == "unexpected ZeroDivisionError: oops"
    assert reasons[2] == "worker died 3 times over this job"
    assert "cannot be kept" in reasons[3]
    (chain,) = (e.job.chain for e in runner.heard(JobDone) if e.job.exposure.seq_num == 6)
    assert chain.missing == {"bias": "the certified chain cannot be found: two biases certified"}
    assert summary.worker_deaths == 3
    assert summary.exposures == {Verdict.PASS: 2, Verdict.FAIL: 1, Verdict.UNKNOWN: 4}


def test_one_log_line_an_exposure(runner: Runner) -> None:
    runner.repository.take(1, tuple(range(8)), observation_reason="fail")
    with capture_logs() as logs:
        runner.once()
    (line,) = [entry for entry in logs if entry["event"] == "exposure judged"]
    assert line["verdict"] == "FAIL"
    assert line["type"] == "bias"
    assert line["counts"] == {"PASS": 0, "FAIL": 8, "UNKNOWN": 0}
    assert line["failures"][0] == "R00_S00 C00 NOISE"
    assert (len(line["failures"]), line["more_failures"]) == (5, 3)
    json.dumps(line)


def test_a_file_that_comes_late_is_waited_for(runner: Runner, tmp_path: Path) -> None:
    runner.repository.take(1, (0, 1), observation_reason=f"away_once:{tmp_path / 'here'}")
    summary = runner.once()
    assert runner.verdicts == {(1, 0): "PASS", (1, 1): "PASS"}
    assert summary.delayed == 1
    assert len(runner.heard(JobDelayed)) == 1
    assert len(runner.heard(ExposureJudged)) == 1


def test_a_file_that_never_comes_is_recorded_in_the_end(runner: Runner) -> None:
    runner.repository.take(1, observation_reason="away:s3://raw/1 gives 404")
    runner.once()
    (done,) = runner.heard(JobDone)
    assert done.result.verdict is Verdict.UNKNOWN
    assert done.result.reason == "s3://raw/1 gives 404 (tried 2 times)"


def test_unknown_is_done_again_when_a_calibration_arrives(runner: Runner) -> None:
    runner.repository.take(1, (0, 1), observation_reason="no_chain")
    runner.repository.take(2)
    runner.once()
    assert runner.verdicts == {(1, 0): "UNKNOWN", (1, 1): "UNKNOWN", (2, 0): "PASS"}
    runner.repository.fingerprint = "f1"
    runner.events.clear()
    runner.once()
    assert set(runner.verdicts.values()) == {"PASS"}
    assert {event.job.exposure.seq_num for event in runner.heard(JobDone)} == {1}
    assert [e.verdict for e in runner.ledger.exposures("LATISS")] == [Verdict.PASS] * 2
    runner.once(rejudge=True)
    assert {event.job.exposure.seq_num for event in runner.heard(JobDone)} == {1, 2}


def test_a_detector_that_comes_later_changes_the_exposure(runner: Runner) -> None:
    exposure = runner.repository.take(1, (0,))
    runner.once()
    runner.repository.raw_files.append(fakes.make_raw(exposure, 1))
    runner.once()
    assert [e.counts["PASS"] for e in runner.heard(ExposureJudged) for e in [e.merged]] == [1, 2]
    (summary,) = runner.ledger.exposures("LATISS")
    assert summary.expected == (0, 1)


def test_killed_between_the_last_detector_and_the_merge(runner: Runner) -> None:
    exposure = runner.repository.take(1)
    job = fakes.make_job(1)
    runner.ledger.record(make_result(job), exposure, fakes.NOON)
    runner.once()
    assert runner.heard(JobDone) == []
    assert [event.exposure for event in runner.heard(ExposureJudged)] == [exposure]


def test_an_exposure_that_cannot_be_merged_stops_nothing(runner: Runner) -> None:
    def merge(results, exposure):
        if exposure.seq_num == 1:
            raise ValueError("no such detector")
        return fakes.merge(results, exposure)

    runner.repository.take(1)
    runner.repository.take(2)
    judging = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, merge)
    with capture_logs() as logs:
        runner.once(judging=judging)
    assert [event.exposure.seq_num for event in runner.heard(ExposureJudged)] == [2]
    assert any(entry["event"] == "exposure cannot be merged" for entry in logs)


def test_a_butler_that_is_away_is_waited_for(runner: Runner) -> None:
    runner.repository.take(1)
    runner.repository.errors = [RepositoryError("registry: connection refused")]
    runner.once()
    assert runner.verdicts == {(1, 0): "PASS"}
    assert [event.reason for event in runner.heard(Waiting)] == ["registry: connection refused"]


def test_once_gives_up_a_butler_that_stays_away(runner: Runner) -> None:
    runner.repository.errors = [RepositoryError("registry: connection refused")] * 2
    with pytest.raises(RepositoryError):
        runner.once()


def test_the_daemon_outlasts_a_long_outage(runner: Runner) -> None:
    runner.repository.take(1)
    runner.repository.errors = [RepositoryError("away")] * 4
    runner.on_event = lambda event: (
        runner.daemon.stop() if isinstance(event, ExposureJudged) else None
    )
    summary = runner.live()
    assert summary.stopped
    assert runner.verdicts == {(1, 0): "PASS"}


def test_a_source_that_fails_is_left_alone_longer_each_time(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that refuses is not called in a hot loop, however quickly it answers."""
    waits: list[float] = []
    sleep = asyncio.sleep

    class Refused:
        name = "kafka"
        calls = 0

        async def arrivals(self):
            self.calls += 1
            raise WaitError("Kafka a:1: user 'calwatch' is not let in")
            yield

    async def noted(seconds: float, result: object = None) -> object:
        waits.append(seconds)
        if len(waits) == 8:
            raise asyncio.CancelledError
        return await sleep(0, result)

    async def scene() -> Refused:
        refused = Refused()
        daemon = runner.make(retry={"first_seconds": 2, "most_seconds": 60})
        monkeypatch.setattr(asyncio, "sleep", noted)
        with pytest.raises(asyncio.CancelledError):
            await daemon._pump(refused)
        monkeypatch.undo()
        await daemon._performer.close()
        return refused

    with capture_logs() as logs:
        assert asyncio.run(scene()).calls == 8
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert {line["reason"] for line in logs} == {"Kafka a:1: user 'calwatch' is not let in"}


def test_a_locked_ledger_loses_nothing(runner: Runner, tmp_path: Path) -> None:
    runner.ledger.close()
    path = tmp_path / "ledger.db"
    runner.ledger = Ledger.open(str(path), busy_seconds=0.02, lock_attempts=1)
    for number in (1, 2, 3):
        runner.repository.take(number)
    other = sqlite3.connect(path, isolation_level=None)

    def hear(event: object) -> None:
        if isinstance(event, Looked) and event.jobs:
            other.execute("BEGIN IMMEDIATE")
        if isinstance(event, Waiting) and other.in_transaction and len(runner.heard(Waiting)) > 2:
            other.execute("COMMIT")
        if isinstance(event, ExposureJudged) and event.exposure.seq_num == 3:
            runner.daemon.stop()

    runner.on_event = hear
    runner.live()
    other.close()
    assert set(runner.verdicts) == {(1, 0), (2, 0), (3, 0)}
    assert all("locked" in event.reason for event in runner.heard(Waiting))
    assert len(runner.heard(JobDone)) == 3


def test_once_gives_up_a_ledger_that_stays_locked(runner: Runner, tmp_path: Path) -> None:
    runner.ledger.close()
    path = tmp_path / "ledger.db"
    runner.ledger = Ledger.open(str(path), busy_seconds=0.02, lock_attempts=1)
    runner.repository.take(1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        runner.once()
    other.close()
    runner.once()
    assert runner.verdicts == {(1, 0): "PASS"}


def test_new_exposures_are_found_at_the_interval(runner: Runner) -> None:
    runner.repository.take(1)

    def hear(event: object) -> None:
        if isinstance(event, ExposureJudged):
            if event.exposure.seq_num == 1:
                runner.repository.take(2)
            else:
                runner.daemon.stop()

    runner.on_event = hear
    runner.live(interval_seconds=0.1)
    assert runner.verdicts == {(1, 0): "PASS", (2, 0): "PASS"}


class FlakySource:
    """Says *look now* when rung, after having failed once."""

    name = "bell"

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.starts = 0

    async def arrivals(self):
        self.starts += 1
        if self.starts == 1:
            raise ConnectionError("no broker")
        while True:
            await self.bell.wait()
            self.bell.clear()
            yield Arrival("LATISS")


def test_a_source_wakes_the_daemon_and_may_fail(runner: Runner) -> None:
    source = FlakySource()
    runner.repository.take(1)

    def hear(event: object) -> None:
        if isinstance(event, ExposureJudged):
            if event.exposure.seq_num == 1:
                runner.repository.take(2)
                source.bell.set()
            else:
                runner.daemon.stop()

    runner.on_event = hear
    runner.live(interval_seconds=3600, sources=[source])
    assert source.starts == 2
    assert runner.verdicts == {(1, 0): "PASS", (2, 0): "PASS"}


def test_a_wrong_configuration_of_the_workers_stops_the_daemon(runner: Runner) -> None:
    judging = JudgeFactory(
        fakes.work, fakes.calib_types, fakes.unknown, fakes.merge, fakes.bad_limits
    )
    with pytest.raises(LimitsError, match="no such test"):
        runner.once(judging=judging)


def test_a_listener_that_fails_stops_nothing(runner: Runner) -> None:
    def hear(event: object) -> None:
        raise RuntimeError("the terminal is gone")

    runner.on_event = hear
    runner.repository.take(1)
    runner.once()
    assert runner.verdicts == {(1, 0): "PASS"}


def test_sigterm_lets_the_running_job_finish(runner: Runner) -> None:
    runner.repository.take(1)
    runner.repository.take(2, observation_reason="sleep:0.5")
    for number in range(3, 30):
        runner.repository.take(number)

    def hear(event: object) -> None:
        if isinstance(event, JobDone) and event.job.exposure.seq_num == 1:
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)

    runner.on_event = hear
    summary = runner.live()
    assert summary.stopped
    assert runner.verdicts == {(1, 0): "PASS", (2, 0): "PASS"}
    assert summary.abandoned > 0
    runner.on_event = None
    runner.once()
    assert len(runner.verdicts) == 29


def test_a_job_that_will_not_end_is_abandoned_and_done_again(runner: Runner) -> None:
    runner.repository.take(1, observation_reason="sleep:60")

    def hear(event: object) -> None:
        if isinstance(event, Looked):
            asyncio.get_running_loop().call_later(0.1, runner.daemon.stop)

    runner.on_event = hear
    summary = runner.live(timeouts={"shutdown_seconds": 0.2})
    assert summary.abandoned == 1
    assert summary.seconds < 20
    assert runner.verdicts == {}
    runner.on_event = None
    runner.repository.records[0] = make_exposure(1)
    runner.once()
    assert runner.verdicts == {(1, 0): "PASS"}


def test_stopped_while_the_workers_start(runner: Runner) -> None:
    async def run() -> RunSummary:
        daemon = runner.make()
        asyncio.get_running_loop().call_later(0.01, daemon.stop)
        return await asyncio.wait_for(daemon.run(), 20)

    runner.repository.take(1)
    assert asyncio.run(run()).stopped
    assert runner.verdicts == {}


class Bell:
    """A source that passes on what it is given."""

    name = "bell"

    def __init__(self) -> None:
        self.rung: asyncio.Queue[Arrival] = asyncio.Queue()

    async def arrivals(self):
        while True:
            yield await self.rung.get()


def test_an_event_is_acted_on_while_older_work_runs(runner: Runner) -> None:
    bell = Bell()
    runner.repository.take(1, observation_reason="sleep:1.5")
    order: list[object] = []

    def hear(event: object) -> None:
        order.append(event)
        if isinstance(event, Looked) and event.jobs == 1 and len(runner.repository.records) == 1:
            new = runner.repository.take(2, detectors=(1,))
            bell.rung.put_nowait(Arrival("LATISS", new.exposure_id, 1))
        if len(runner.heard(ExposureJudged)) == 2:
            runner.daemon.stop()

    runner.on_event = hear
    runner.live(interval_seconds=3600, sources=[bell], workers=2)
    judged = [event.exposure.seq_num for event in runner.heard(ExposureJudged)]
    assert judged == [2, 1]


def test_an_event_has_only_its_exposure_looked_at(runner: Runner) -> None:
    bell = Bell()

    def hear(event: object) -> None:
        if isinstance(event, Looked) and not runner.repository.records:
            runner.repository.take(1)
            new = runner.repository.take(2)
            bell.rung.put_nowait(Arrival("LATISS", new.exposure_id, 0))
        if isinstance(event, ExposureJudged):
            runner.daemon.stop()

    runner.on_event = hear
    runner.live(interval_seconds=3600, sources=[bell])
    assert runner.verdicts == {(2, 0): "PASS"}
    runner.on_event = None
    runner.once()
    assert runner.verdicts == {(1, 0): "PASS", (2, 0): "PASS"}


def test_detectors_that_trickle_in_are_each_done_once(runner: Runner) -> None:
    bell = Bell()
    exposure = runner.repository.take(1, detectors=())

    def arrive(detector: int) -> None:
        runner.repository.raw_files.append(fakes.make_raw(exposure, detector))
        for _twice in range(2):
            bell.rung.put_nowait(Arrival("LATISS", exposure.exposure_id, detector))

    def hear(event: object) -> None:
        done = len(runner.heard(JobDone))
        if isinstance(event, Looked) and done == 0 and not runner.repository.raw_files:
            arrive(0)
        if isinstance(event, JobDone) and done < 9:
            arrive(done)
        if isinstance(event, ExposureJudged) and event.merged.counts["PASS"] == 9:
            runner.daemon.stop()

    runner.on_event = hear
    runner.live(interval_seconds=3600, sources=[bell])
    assert sorted(event.job.detector for event in runner.heard(JobDone)) == list(range(9))


def test_a_companion_runs_beside_and_may_fail(runner: Runner) -> None:
    runs: list[int] = []

    async def companion(ending: asyncio.Event) -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise ConnectionError("no broker")
        runner.daemon.stop()
        await ending.wait()
        runs.append(-1)

    runner.live(companions=[companion], interval_seconds=3600)
    assert runs == [0, 1, -1]
