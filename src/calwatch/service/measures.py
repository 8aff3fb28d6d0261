"""What Prometheus is told of the work: verdicts, times, failures, queues, progress.

No label names an exposure, a day, a detector or an amplifier: the number of series is bounded by
the instruments and the definitions in the code, however long the daemon runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram

from calwatch.ledger.store import Ledger
from calwatch.ledger.vitals import newest_ends
from calwatch.service.lifecycle import Clock
from calwatch.service.progress import (
    Event,
    ExposureJudged,
    JobDelayed,
    JobDone,
    Load,
    Looked,
    Waiting,
)
from calwatch.settings import Settings
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.metrics import Level
from calwatch.verify.model import ALGORITHM, TestResult, Verdict

LOOK, MERGE = "look", "merge"
"""Steps of the daemon itself: asking Butler and ledger what is missing, and merging an exposure."""
_STEP_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_LAG_BUCKETS = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 4 * 3600.0, 86400.0)
_OF_TYPE = ("instrument", "calib_type")

DETECTORS = Counter(
    "calwatch_detectors_judged", "Detectors judged, by verdict.", (*_OF_TYPE, "verdict")
)
EXPOSURES = Counter(
    "calwatch_exposures_judged", "Exposures merged, by verdict.", (*_OF_TYPE, "verdict")
)
TESTS_FAILED = Counter(
    "calwatch_tests_failed",
    "Failed tests that count, at each level: amp, detector or exposure.",
    (*_OF_TYPE, "level", "test"),
)
STEP_SECONDS = Histogram(
    "calwatch_step_seconds",
    "Wall time of one step: read, certified, isr and measure of a detector in a worker; record, "
    "merge and look in the daemon.",
    ("step",),
    buckets=_STEP_BUCKETS,
)
LAG = Histogram(
    "calwatch_exposure_lag_seconds",
    "From the end of an exposure to its merged verdict.",
    _OF_TYPE,
    buckets=_LAG_BUCKETS,
)
LAST_JUDGED = Gauge(
    "calwatch_last_judged_timestamp_seconds",
    "End of the newest exposure with the verdict PASS or FAIL.",
    _OF_TYPE,
)
LAST_PASSED = Gauge(
    "calwatch_last_passed_timestamp_seconds",
    "End of the newest exposure with the verdict PASS.",
    _OF_TYPE,
)
FAILURES = Counter(
    "calwatch_failures",
    "What went wrong, by class of error: files, calibrations, raws, ledger, Butler, workers.",
    ("class",),
)
DELAYED = Counter("calwatch_jobs_delayed", "Attempts at a detector that are to be repeated.")
WORKER_DEATHS = Counter("calwatch_worker_deaths", "Worker processes that died over a detector.")
LAST_LOOK = Gauge(
    "calwatch_last_look_timestamp_seconds", "When Butler and ledger were last compared."
)
LOOK_INTERVAL = Gauge("calwatch_look_interval_seconds", "They are to be compared so often.")
JOBS_WAITING = Gauge("calwatch_jobs_waiting", "Detectors in the daemon's own queue.")
JOBS_RUNNING = Gauge("calwatch_jobs_running", "Detectors handed out and not recorded yet.")
EXPOSURES_IN_HAND = Gauge(
    "calwatch_exposures_in_hand", "Exposures of which something is being done."
)
WORKERS = Gauge("calwatch_workers", "Worker processes that live.")
WORKERS_WANTED = Gauge("calwatch_workers_wanted", "Worker processes there should be.")
BUILD = Gauge(
    "calwatch_build_info",
    "1; which code runs with which limits and configuration, and in which role.",
    ("version", "algorithm", "limits", "config", "role"),
)

JUDGED_VERDICTS = (Verdict.PASS, Verdict.FAIL)
"""Verdicts that say something of the camera."""
_NEWEST = ((LAST_JUDGED, JUDGED_VERDICTS), (LAST_PASSED, (Verdict.PASS,)))


class Measures:
    """Turns what the daemon tells into metrics.

    Parameters
    ----------
    clock
        The time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._newest: dict[tuple[Gauge, tuple[str, str]], datetime] = {}

    def remember(self, ledger: Ledger, instruments: Iterable[str]) -> None:
        """Take from the ledger when each type was last judged, so that a restart hides no gap.

        Raises
        ------
        LedgerError
            If it is out of reach.
        """
        for instrument in instruments:
            for gauge, verdicts in _NEWEST:
                for calib_type, end in newest_ends(ledger, instrument, verdicts).items():
                    self._newer(gauge, (instrument, calib_type), end)

    def hear(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Looked():
                STEP_SECONDS.labels(LOOK).observe(event.seconds)
                LAST_LOOK.set(self._clock.now().timestamp())
            case JobDone():
                self._detector(event)
            case JobDelayed():
                DELAYED.inc()
                WORKER_DEATHS.inc(event.deaths)
                FAILURES.labels(event.failure).inc()
            case ExposureJudged():
                self._exposure(event)
            case Waiting():
                FAILURES.labels(event.failure).inc()

    def _detector(self, done: JobDone) -> None:
        result = done.result
        key = (result.instrument, result.calib_type)
        DETECTORS.labels(*key, result.verdict.value).inc()
        WORKER_DEATHS.inc(done.deaths)
        for step, seconds in done.steps.items():
            STEP_SECONDS.labels(step).observe(seconds)
        for name, times in done.failures.items():
            FAILURES.labels(name).inc(times)
        for amp in result.amps.values():
            _count_failed(key, "amp", amp.tests.values())
        _count_failed(key, "detector", result.detector_tests.values())

    def _exposure(self, judged: ExposureJudged) -> None:
        merged, end = judged.merged, judged.exposure.end_utc
        key = (merged.instrument, merged.calib_type)
        EXPOSURES.labels(*key, merged.verdict.value).inc()
        STEP_SECONDS.labels(MERGE).observe(judged.merge_seconds)
        _count_failed(key, "exposure", merged.tests.values())
        if end is None:
            return
        LAG.labels(*key).observe(max(0.0, (self._clock.now() - end).total_seconds()))
        for gauge, verdicts in _NEWEST:
            if merged.verdict in verdicts:
                self._newer(gauge, key, end)

    def _newer(self, gauge: Gauge, key: tuple[str, str], end: datetime) -> None:
        """Show a time, unless a later one is shown: a backfill is no news."""
        known = self._newest.get((gauge, key))
        if known is None or end > known:
            self._newest[gauge, key] = end
            gauge.labels(*key).set(end.timestamp())


def show_load(load: Callable[[], Load]) -> None:
    """Have the queues and the workers asked for whenever somebody looks."""
    JOBS_WAITING.set_function(lambda: load().waiting)
    JOBS_RUNNING.set_function(lambda: load().running)
    EXPOSURES_IN_HAND.set_function(lambda: load().exposures)
    WORKERS.set_function(lambda: load().workers)


def show_build(settings: Settings, role: str, workers: int) -> None:
    """Say which code runs with which limits and configuration.

    Parameters
    ----------
    settings
        What the deployment sets.
    role
        ``all``, ``intake`` or ``worker``.
    workers
        Worker processes there should be.

    Raises
    ------
    LimitsError
        If the limits are wrong.
    """
    show_limits(settings, role, load_limits(settings.limits))
    if role != "worker":  # which looks at no Butler
        LOOK_INTERVAL.set(settings.interval_seconds)
    WORKERS_WANTED.set(workers)


def show_limits(settings: Settings, role: str, limits: Limits) -> None:
    """Say which limits are in force, in place of others that were."""
    BUILD.clear()
    BUILD.labels(version("calwatch"), ALGORITHM, limits.label, config_hash(settings), role).set(1)


def config_hash(settings: Settings) -> str:
    """Return a short hash of the configuration, the same where two daemons are told the same.

    The ledger's address stays out of it: it may hold a password.
    """
    content = settings.model_dump(mode="json", exclude={"ledger"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _count_failed(key: tuple[str, str], level: Level, tests: Iterable[TestResult]) -> None:
    for test in tests:
        if test.counts and test.verdict is Verdict.FAIL:
            TESTS_FAILED.labels(*key, level, test.name).inc()
