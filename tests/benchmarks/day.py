"""A day of LSSTCam in minutes: is anything lost, does anything grow?

Usage: python tests/benchmarks/day.py [--minutes 40] [--calibrations 60] [--science 1000]
           [--repo DIR] [--out DIR] [--set field=value …] [--markdown docs/load.md]

Everything is real: `calwatch run` as a process of its own with its workers, alarms and page;
Kafka, schema registry, Butler (SQLite registry), ledger in PostgreSQL. What a day is and what
happens to its events stands in `day_plan`; frames are small (`day_camera`), so that two cores can
judge them in the time. Fewer minutes than 20 play as much less of a day, unless told otherwise.

DIR of ``--repo`` keeps the simulated detectors for the next time. Into DIR of ``--out`` go the
samples (CSV), the summary (JSON) and the daemon's log. Ends with 1 and says why if something was
lost, published twice or judged otherwise than it should be, or if something grows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import machine
import yaml
from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, make_url, text
from tables import Table, write_section

SERVICES = Path(__file__).parents[1] / "services"
sys.path[:0] = [str(SERVICES)]

import kafka_server  # noqa: E402  (these are found only now)
import postgresql  # noqa: E402
import registry_server  # noqa: E402
from day_camera import Observatory, build  # noqa: E402
from day_feed import SUBNAME, Fed, Order, feed  # noqa: E402
from day_outcome import Outcome, left_over, look  # noqa: E402
from day_plan import (  # noqa: E402
    CALIBRATIONS,
    SCIENCE,
    Counts,
    Exposure,
    expected_verdicts,
    make_plan,
)
from day_samples import Samples, growth  # noqa: E402
from focal_plane import INSTRUMENT, _setting  # noqa: E402
from running import free_port  # noqa: E402

from calwatch.ledger.inbox import LedgerInbox  # noqa: E402
from calwatch.ledger.store import Ledger  # noqa: E402

PREFIX = "lsst.cp.day"
TOPICS = (
    *(f"lsst.{SUBNAME}.{c}.logevent_imageInOODS" for c in ("MTOODS", "WFOODS", "CCOODS")),
    f"lsst.{SUBNAME}.MTCamera.logevent_endReadout",
)
CACHE_BYTES = 150_000_000
"""Of each worker: less than its detectors need, so that the bound is reached at once. With more, a
worker that helps another out goes on filling its cache for the whole day."""
WHOLE_FROM_MINUTES = 20.0
SAMPLE_SECONDS = 1.0
SCRAPE_SECONDS, PAGE_SECONDS = 5.0, 20.0
START_SECONDS, STOP_SECONDS = 180.0, 60.0

_TOLD = (
    "seconds", "judged", "lag", "inbox", "outbox", "daemon USS", "worker 0 USS", "worker 1 USS",
)  # fmt: skip

ROWS = """
select (select count(*) from outbox) as "outbox", (select count(*) from notice) as "inbox",
 (select count(*) from alarm_queue) as "alarm queue", (select count(*) from judgement) as "judged",
 (select count(*) from pg_stat_activity where datname = current_database()
  and pid <> pg_backend_pid()) as "PostgreSQL connections"
"""


class Around:
    """What is asked beside the processes themselves: broker and database."""

    def __init__(self, kafka: Mapping[str, Any], url: str) -> None:
        options = {**kafka, "group.id": SUBNAME, "enable.auto.commit": False}
        self._consumer = Consumer(options)
        self._places = [TopicPartition(topic, 0) for topic in TOPICS]
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        self._database = engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def __call__(self) -> Mapping[str, float]:
        rows = self._database.execute(text(ROWS)).mappings().one()
        return {name: float(count) for name, count in rows.items()} | {"lag": self.lag()}

    def lag(self) -> float:
        """Return how many events the daemon has not committed yet."""
        behind = 0
        for place in self._consumer.committed(self._places, timeout=10):
            low, high = self._consumer.get_watermark_offsets(place, timeout=10)
            behind += high - max(place.offset, low)
        return float(behind)

    def close(self) -> None:
        self._consumer.close()
        self._database.close()


@dataclass
class Visits:
    """Prometheus and somebody with the page open."""

    metrics_port: int
    page_port: int
    answers: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    """Seconds for one answer."""

    def run(self, ended: threading.Event) -> None:
        page_at = 0.0
        while not ended.wait(SCRAPE_SECONDS):
            self.ask(f"http://127.0.0.1:{self.metrics_port}/metrics")
            if time.monotonic() >= page_at:
                self.ask(f"http://127.0.0.1:{self.page_port}/")
                page_at = time.monotonic() + PAGE_SECONDS

    def ask(self, url: str) -> str:
        """Return an answer; empty if there was none."""
        began = time.monotonic()
        try:
            answer = httpx.get(url, timeout=30, follow_redirects=True)
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return ""
        self.longest = max(self.longest, time.monotonic() - began)
        self.answers[str(answer.status_code)] += 1
        return answer.text

    def counters(self) -> Counter[str]:
        """Return what the daemon has counted of events."""
        found: Counter[str] = Counter()
        shown = self.ask(f"http://127.0.0.1:{self.metrics_port}/metrics")
        for family in text_string_to_metric_families(shown):
            for sample in family.samples:
                if sample.name == "calwatch_events_received_total":
                    found[f"received {sample.labels['topic']}"] += int(sample.value)
                elif sample.name == "calwatch_events_noted_total":
                    found[f"noted {sample.labels['kind']}"] += int(sample.value)
                elif sample.name in ("calwatch_events_ignored_total",
                                     "calwatch_events_undecodable_total"):  # fmt: skip
                    found[f"ignored: {sample.labels['reason']}"] += int(sample.value)
                elif sample.name == "calwatch_jobs_delayed_total":
                    found["jobs delayed"] += int(sample.value)
        return found


@contextmanager
def daemon(folder: Path, settings: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[int]:
    """Run the daemon as a process of its own; give its process id."""
    config = folder / "calwatch.yaml"
    config.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("calwatch")), "run", "--config", str(config)]
    with (folder / "daemon.log").open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **known}, stdout=out, stderr=out)
        try:
            yield process.pid
            process.send_signal(signal.SIGTERM)
            ended = process.wait(timeout=STOP_SECONDS)
            if ended != 0:
                raise RuntimeError(f"the daemon ended with {ended}")
        finally:
            process.kill()
            process.wait()


def wait_until_ready(port: int) -> None:
    """Wait until the daemon says that it is ready."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise TimeoutError(f"the daemon was not ready within {START_SECONDS:.0f} s")


class Watcher:
    """Takes a sample every second until all is done."""

    def __init__(self, samples: Samples, expected: int, settle_seconds: float) -> None:
        self._samples = samples
        self._expected = expected
        self._settle_seconds = settle_seconds
        self._say_at = 0.0

    def until_done(self, fed: Future[Fed], ledger: Ledger, complete: Any) -> bool:
        """Return whether everything was done in time.

        Parameters
        ----------
        fed
            What is being sent.
        ledger
            Where it comes out.
        complete
            Called once when all is sent and judged and the inbox is not empty.
        """
        end, completed = float("inf"), False
        while time.monotonic() < end:
            began = time.monotonic()
            row = self._samples.take()
            self._say(row)
            if fed.done():
                fed.result()
                end = min(end, began + self._settle_seconds)
                rest = sum(row[name] for name in ("outbox", "inbox", "alarm queue", "lag"))
                all_judged = row["judged"] >= self._expected
                if all_judged and rest == 0 and self._quiet(ledger):
                    return True
                if all_judged and row["lag"] == 0 and row["inbox"] and not completed:
                    completed = True
                    complete()
            time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began)))
        return False

    def _quiet(self, ledger: Ledger) -> bool:
        """Whether nothing more comes: a merge may follow the last judgement."""
        time.sleep(5.0)
        return not any(left_over(ledger).values())

    def _say(self, row: Mapping[str, float]) -> None:
        if row["seconds"] >= self._say_at:
            self._say_at = row["seconds"] + 30.0
            print(", ".join(f"{name} {row.get(name, 0):.0f}" for name in _TOLD), flush=True)


@dataclass(frozen=True)
class Result:
    """All that came of a run."""

    tables: list[Table]
    problems: list[str]


def measure(given: argparse.Namespace, folder: Path) -> Result:
    """Play the day and look at what came of it."""
    observatory, camera_file = build(folder, given.repo or folder / "simulated")
    numbers = [d.number for d in observatory.camera.detectors]
    plan = make_plan(given.calibrations, given.science, observatory.imaging)
    expected = dict(expected_verdicts(plan, observatory.imaging, observatory.noisy))
    with ExitStack() as stack:
        kafka = stack.enter_context(kafka_server.server())
        registry = stack.enter_context(registry_server.server())
        url = stack.enter_context(postgresql.database(stack.enter_context(postgresql.server())))
        kafka.create_topics(*TOPICS)
        visits = Visits(free_port(), free_port())
        settings = {
            "repo": str(observatory.root), "instruments": [INSTRUMENT], "camera": str(camera_file),
            "ledger": url, "workers": 2, "metrics_port": visits.metrics_port,
            "web": {"port": visits.page_port}, "calibration_cache_bytes": CACHE_BYTES,
            "kafka": {"sal_subname": SUBNAME, "prefix": PREFIX, "group": SUBNAME},
            "sets": {"kinds": []},  # the plan and what is expected of it are of single exposures
            **given.settings,
        }  # fmt: skip
        known = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "SCHEMA_MANAGER_REGISTRY_URL": registry.url
        }  # fmt: skip
        order = Order(observatory, plan, kafka.bootstrap, registry.url, 60.0 * given.minutes)
        with daemon(given.out, settings, known) as pid:
            wait_until_ready(visits.metrics_port)
            ledger = Ledger.open(url)
            stack.callback(ledger.close)
            samples = Samples(pid, _around(stack, kafka, url))
            fed, done = _played(order, samples, ledger, visits, len(expected), given.settle)
            samples.write(given.out / "samples.csv")
            counted = visits.counters()
        outcome = look(expected, ledger, kafka.options, registry.url, PREFIX)
    days = given.calibrations / CALIBRATIONS
    flat, growing = growth(samples, days)
    problems = [*([] if done else ["not all was done in time"]), *outcome.problems(), *growing]
    problems += _counted(fed, counted) + _processes(samples, visits) + _log(given.out)
    counts = Counts.of(plan, numbers)
    tables = [
        day_table(counts, fed, counted, outcome, samples, visits), flat, load_table(samples)
    ]  # fmt: skip
    return Result(tables, problems)


def _around(stack: ExitStack, kafka: Any, url: str) -> Around:
    around = Around(kafka.options, url)
    stack.callback(around.close)
    return around


def _played(
    order: Order, samples: Samples, ledger: Ledger, visits: Visits, expected: int, settle: float
) -> tuple[Fed, bool]:
    """Have the day played, and watch until all is done."""
    ended = threading.Event()
    visitor = threading.Thread(target=visits.run, args=(ended,))
    visitor.start()
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            fed = pool.submit(feed, order)
            watcher = Watcher(samples, expected, 60.0 * settle)
            done = watcher.until_done(
                fed, ledger, lambda: complete(order.observatory, order.plan, ledger)
            )
            return fed.result(), done
    finally:
        ended.set()
        visitor.join()


def complete(observatory: Observatory, plan: Sequence[Exposure], ledger: Ledger) -> None:
    """Give the Butler the other files of science exposures that the daemon still waits for.

    Where the readout of one was read after its files, the inbox keeps these until the Butler has
    them; here it has only the first file of most science exposures.
    """
    waiting = {number % 100_000 for number in LedgerInbox(ledger).waiting(INSTRUMENT)}
    for exposure in plan:
        if exposure.number in waiting and not exposure.is_calibration:
            observatory.take_rest(exposure)


def _counted(fed: Fed, counted: Counter[str]) -> list[str]:
    return [
        f"{topic}: {sent} events sent, {counted[f'received {topic}']} received"
        for topic, sent in sorted(fed.events.items())
        if counted[f"received {topic}"] != sent
    ]


def _processes(samples: Samples, visits: Visits) -> list[str]:
    workers = samples.workers
    found = []
    if len(samples.pids) > workers:
        found.append(f"{len(samples.pids)} worker processes were seen, {workers} at a time")
    if wrong := {k: n for k, n in visits.answers.items() if k != "200"}:
        found.append(f"the daemon's pages answered {wrong}")
    return found


def _log(out: Path) -> list[str]:
    said = (out / "daemon.log").read_text(encoding="utf-8", errors="replace")
    count = said.count("Traceback")
    return [f"{count} tracebacks in the log"] if count else []


def day_table(
    counts: Counts,
    fed: Fed,
    counted: Counter[str],
    outcome: Outcome,
    samples: Samples,
    visits: Visits,
) -> Table:
    """Say what was played and what came of it."""
    verdicts = Counter(found[0] for found in outcome.judged.values())
    answers = f"{_words(visits.answers)}; {visits.longest:.2f} s at most"
    left = ", ".join(map(str, outcome.left.values()))
    rows = {
        "exposures taken": _words(counts.exposures),
        "events sent": f"{sum(fed.events.values())}",
        "events received": f"{sum(n for k, n in counted.items() if k.startswith('received '))}",
        **{k: f"{n}" for k, n in sorted(counted.items()) if not k.startswith("received ")},
        "what happened to files of calibrations": _words(counts.fates),
        "detectors to be judged": f"{len(outcome.expected)}",
        "judged": f"{len(outcome.judged)} ({_words(verdicts)})",
        "published, each once": f"{sum(len(ids) == 1 for ids in outcome.told.values())}",
        "exposures merged and published": f"{len(outcome.exposures_told)}",
        "transitions of alarms": _words(outcome.alarms) or "none",
        "alarm records published": f"{outcome.alarms_told}",
        "left in outbox, inbox, queue of the alarms": left,
        "answers of /metrics and the page": answers,
        "seconds until all was sent": f"{fed.seconds:.0f} ({fed.behind:.0f} behind the plan)",
        "seconds until all was done": f"{samples.rows[-1]['seconds']:.0f}",
    }  # fmt: skip
    return Table("A day of LSSTCam", ["", "count"], [[k, v] for k, v in rows.items()])


def load_table(samples: Samples) -> Table:
    """Say how much waited, and how busy the processes were."""
    rows = []
    for name in ("lag", "inbox", "outbox", "alarm queue", "PostgreSQL connections"):
        _at, values = samples.column(name)
        ordered = sorted(values)
        middle, high = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
        rows.append([name, f"{middle:.0f}", f"{high:.0f}", f"{ordered[-1]:.0f}"])
    for name in ("daemon", *(f"worker {n}" for n in range(samples.workers))):
        at, values = samples.column(f"{name} CPU")
        rows.append(
            [f"{name}, cores", f"{(values[-1] - values[0]) / (at[-1] - at[0]):.2f}", "", ""]
        )
    return Table("What waited, and the work", ["", "median", "p99", "highest"], rows)


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=40.0, help="in which the day is played")
    parser.add_argument("--calibrations", type=int)
    parser.add_argument("--science", type=int)
    parser.add_argument("--settle", type=float, default=15.0, help="minutes for the rest, at most")
    parser.add_argument("--repo", type=Path, help="keep the simulated detectors here")
    parser.add_argument("--dir", type=Path, help="work here, such as on another disk")
    parser.add_argument("--out", type=Path, default=Path("day"))
    parser.add_argument("--set", type=_setting, action="append", default=[], dest="pairs")
    parser.add_argument("--markdown", type=Path, help="put the tables into this page")
    given = parser.parse_args()
    share = min(1.0, given.minutes / WHOLE_FROM_MINUTES)
    given.calibrations = given.calibrations or max(round(share * CALIBRATIONS), 3)
    given.science = given.science or max(round(share * SCIENCE), 1)
    given.settings = dict(given.pairs)
    given.out.mkdir(parents=True, exist_ok=True)
    about = machine.description()
    with tempfile.TemporaryDirectory(prefix="calwatch-day-", dir=given.dir) as scratch:
        result = measure(given, Path(scratch))
    for table in result.tables:
        print(table.text(), end="\n\n")
    for problem in result.problems:
        print(f"PROBLEM: {problem}")
    content = {
        "machine": about, "tables": [t.data() for t in result.tables], "problems": result.problems
    }  # fmt: skip
    (given.out / "summary.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if given.markdown:
        write_section(given.markdown, "day", result.tables, about)
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
