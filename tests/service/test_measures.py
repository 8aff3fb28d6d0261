"""What Prometheus is told, read from ``/metrics`` of a daemon that worked."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import fakes
import httpx
import pytest
from fakes import NOON, FakeRepository
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from calwatch.errors import RepositoryError
from calwatch.ledger.store import Ledger
from calwatch.service.daemon import Daemon
from calwatch.service.judging import JudgeFactory
from calwatch.service.lifecycle import SystemClock
from calwatch.service.measures import BUILD, LAST_JUDGED, LAST_PASSED, config_hash, show_limits
from calwatch.service.observing import Observing
from calwatch.settings import Settings
from calwatch.verify.limits import load_limits

JUDGING = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
BOUNDED = {
    "algorithm", "calib_type", "cause", "channel", "class", "config", "instrument", "kind", "le",
    "level", "limits", "outcome", "partition", "reason", "role", "severity", "step", "test",
    "topic", "verdict", "version",
}  # fmt: skip
"""Labels whose values are bounded by the code and the configuration."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def forget_others() -> None:
    forget()


def forget() -> None:
    """Have the gauges with labels show nothing, as in a new process."""
    for gauge in (LAST_JUDGED, LAST_PASSED, BUILD):
        gauge.clear()


class Night:
    """A daemon with its metrics on a port, on a Butler that lives in memory."""

    def __init__(self, repository: FakeRepository, ledger: Ledger, **changes: object) -> None:
        retry = {"attempts": 2, "first_seconds": 0.01, "most_seconds": 0.02}
        fields = {"repo": "/repo", "instruments": ("LATISS",), "workers": 1, "retry": retry}
        self.port = free_port()
        self.settings = Settings(
            **fields,
            look_back_days=None,
            sets={"kinds": []},
            metrics_port=self.port,
            ledger=ledger.name,
            **changes,
        )
        self.repository, self.ledger = repository, ledger
        self.observing = Observing(self.settings, "all", ledger, SystemClock())

    def run(self) -> None:
        async def go() -> None:
            hear = self.observing.hear
            parts = (self.settings, self.repository, self.ledger, JUDGING)
            daemon = Daemon(*parts, on_event=hear)
            async with self.observing.over(lambda: daemon.load):
                await daemon.run(once=True)

        asyncio.run(go())

    def samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return every value by name and label values (in order of the labels' names)."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics").text
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(text):
            for name, labels, value, *_ in family.samples:
                key = tuple(labels[label] for label in sorted(labels))
                found.setdefault(name, {})[key] = value
        return found


@pytest.fixture
def samples_since():
    """Return a function that gives what was added to counters since the test began."""
    before = {}
    for family in REGISTRY.collect():
        for name, labels, value, *_ in family.samples:
            before[name, tuple(labels[label] for label in sorted(labels))] = value

    def added(night: Night) -> dict[str, dict[tuple[str, ...], float]]:
        return {
            name: {
                key: difference
                for key, value in values.items()
                if (difference := value - before.get((name, key), 0.0))
            }
            for name, values in night.samples().items()
        }

    return added


def test_a_night_is_counted(repository, ledger: Ledger, samples_since, tmp_path: Path) -> None:
    repository.take(1, (0, 1))
    repository.take(2, observation_reason="fail")
    repository.take(3, observation_reason="raw:it is cut off", kind="dark")
    repository.take(4, observation_reason="bug:seven", kind="flat")
    repository.take(5, observation_reason=f"away_once:{tmp_path / 'there'}")
    repository.errors = [RepositoryError("the Butler is away")]
    night = Night(repository, ledger)
    night.run()
    found = samples_since(night)
    assert found["calwatch_detectors_judged_total"] == {
        ("bias", "LATISS", "PASS"): 3,
        ("bias", "LATISS", "FAIL"): 1,
        ("dark", "LATISS", "UNKNOWN"): 1,
        ("flat", "LATISS", "UNKNOWN"): 1,
    }
    assert found["calwatch_exposures_judged_total"] == {
        ("bias", "LATISS", "PASS"): 2,
        ("bias", "LATISS", "FAIL"): 1,
        ("dark", "LATISS", "UNKNOWN"): 1,
        ("flat", "LATISS", "UNKNOWN"): 1,
    }
    assert found["calwatch_failures_total"] == {
        ("RepositoryError",): 1, ("RawError",): 1, ("Unexpected",): 1, ("UnreachableFileError",): 1,
    }  # fmt: skip
    assert found["calwatch_jobs_delayed_total"] == {(): 1}
    assert found["calwatch_tests_failed_total"] == {("bias", "LATISS", "amp", "NOISE"): 16}
    assert found["calwatch_step_seconds_count"][("record",)] == 6
    assert found["calwatch_step_seconds_count"][("merge",)] == 5
    assert found["calwatch_exposure_lag_seconds_count"] == {
        ("bias", "LATISS"): 3, ("dark", "LATISS"): 1, ("flat", "LATISS"): 1,
    }  # fmt: skip
    now = night.samples()
    end = NOON + timedelta(seconds=150)
    assert now["calwatch_last_judged_timestamp_seconds"]["bias", "LATISS"] == end.timestamp()
    assert ("dark", "LATISS") not in now["calwatch_last_judged_timestamp_seconds"]
    assert now["calwatch_jobs_waiting"] == {(): 0}
    assert now["calwatch_workers_wanted"] == {(): 1}
    assert now["calwatch_look_interval_seconds"] == {(): 60}


def test_a_restart_hides_no_gap(repository, ledger: Ledger) -> None:
    repository.take(10, kind="dark", instrument="LATISS")
    repository.take(11, kind="dark", observation_reason="fail")
    Night(repository, ledger).run()
    forget()
    found = Night(FakeRepository(), ledger).samples()
    judged, passed = (NOON + timedelta(seconds=30 * number) for number in (11, 10))
    assert found["calwatch_last_judged_timestamp_seconds"] == {
        ("dark", "LATISS"): judged.timestamp()
    }
    assert found["calwatch_last_passed_timestamp_seconds"] == {
        ("dark", "LATISS"): passed.timestamp()
    }


def test_a_backfill_does_not_set_the_newest_back(repository, ledger: Ledger) -> None:
    night = Night(repository, ledger)
    repository.take(21, kind="flat")
    night.run()
    newest = night.samples()["calwatch_last_judged_timestamp_seconds"]["flat", "LATISS"]
    repository.take(20, kind="flat")
    night.run()
    after = night.samples()["calwatch_last_judged_timestamp_seconds"]["flat", "LATISS"]
    assert newest == after == (NOON + timedelta(seconds=630)).timestamp()


def test_the_build_says_which_limits_and_configuration(repository, ledger: Ledger) -> None:
    night = Night(repository, ledger, limits="cp_verify")
    build = [key for key in night.samples()["calwatch_build_info"] if key[2].startswith("cp_v")]
    assert [key[1] for key in build] == [config_hash(night.settings)]
    same = night.settings.model_copy(update={"ledger": "postgresql://u:secret@host/db"})
    other = night.settings.model_copy(update={"workers": 7})
    assert config_hash(same) == config_hash(night.settings) != config_hash(other)


def test_new_limits_take_the_place_of_the_old(repository, ledger: Ledger) -> None:
    night = Night(repository, ledger, limits="cp_verify")
    show_limits(night.settings, "all", load_limits("dmtn101"))
    (build,) = night.samples()["calwatch_build_info"]
    assert build[2].startswith("dmtn101 ")


def test_no_label_is_unbounded(repository, ledger: Ledger) -> None:
    repository.take(31)
    night = Night(repository, ledger)
    night.run()
    text = httpx.get(f"http://127.0.0.1:{night.port}/metrics").text
    families = [f for f in text_string_to_metric_families(text) if f.name.startswith("calwatch_")]
    used = {label for f in families for s in f.samples for label in s.labels}
    assert {"instrument", "step"} <= used <= BOUNDED
    assert "2026112000031" not in text
