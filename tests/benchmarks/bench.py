"""What it costs to verify one full-size CCD, beside readers and the same measurements by others.

Usage: python tests/benchmarks/bench.py [--repo DIR] [--runs 7] [--parts costs,steps,…] [--long]
           [--markdown docs/performance.md] [--json FILE]

DIR keeps the simulated repository for the next time (a few minutes to make). Everything compared
is measured in one run, in turn, each in a process of its own, files in the page cache, kernels
compiled, calibrations in memory; CPU time is user + system of all threads. Ends with 1 if numbers
that ought to agree do not.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import agreement
import butler_lookups
import cold_start
import costs
import judging
import ledger_writes
import machine
import peers
import publishing
import steps
import workers
from frames import CALIB_TYPES, NAMES, Frames, load_frames, make_repository
from tables import Table, write_section

from calwatch.ledger.types import CompressedJson
from calwatch.memory import hold_memory
from calwatch.service.judge import Judge
from calwatch.service.judge_settings import JudgeSettings
from calwatch.verify.codec import to_dict
from calwatch.verify.model import DetectorResult

PARTS = (
    "costs",
    "steps",
    "workers",
    "start",
    "memory",
    "limits",
    "butler",
    "judging",
    "ledger",
    "publish",
)
CONTENDERS = ("fitsio read", "astropy read", "ccdproc + astropy", "calwatch")
SHORT_EXPOSURES, LONG_EXPOSURES = 60, 1000


def contender(root: Path, detector: str, name: str, who: str) -> Callable[[], object]:
    """Return one of `CONTENDERS` at work on one frame, in the process that is to do it."""
    frames = load_frames(root, detector)
    if who == "ccdproc + astropy":
        return peers.CcdprocPipeline(frames, name)
    if who == "calwatch":
        hold_memory()  # as every worker does
        judge = Judge(JudgeSettings())
        judge(frames.jobs[name])
        gc.freeze()  # as well
        return partial(judge, frames.jobs[name])
    read = peers.read_fitsio if who == "fitsio read" else peers.read_astropy
    return partial(read, frames.path(name), frames.detector)


def cost_tables(
    root: Path, frames: Frames, names: Sequence[str], runs: int
) -> Iterator[tuple[Table, bool]]:
    """Measure every frame; yield tables, and whether all that should agree does."""
    theirs, ours = {}, {}
    for name in names:
        apart = {
            who: costs.Apart(contender, root, frames.detector.name, name, who) for who in CONTENDERS
        }
        theirs[name], ours[name] = apart["ccdproc + astropy"].answer(), apart["calwatch"].answer()
        for one in apart.values():
            one.answer()
        for _ in range(runs):
            for who, one in apart.items():
                if who != "ccdproc + astropy":
                    one.answer()  # a worker is at work: its caches are not those of the one before
                one.run()
        yield cost_table(frames, name, apart), True
    checks = agreement.compare(frames)
    yield agreement.table(checks), all(check.agrees for check in checks)
    yield agreement.both_pipelines(theirs, ours), True


def cost_table(frames: Frames, name: str, apart: dict[str, costs.Apart]) -> Table:
    """Return what each contender costs on one frame, and end them."""
    bare, us = apart["fitsio read"].cost.cpu_ms, apart["calwatch"].cost.cpu_ms
    rows = [
        [
            who, f"{one.cost.cpu_ms:.0f}", f"{one.cost.wall_ms:.0f}", f"{one.end():.0f}",
            f"{one.cost.cpu_ms / bare:.2f}", f"{one.cost.cpu_ms / us:.2f}",
        ]
        for who, one in apart.items()
    ]  # fmt: skip
    return Table(
        f"One {name} of one {frames.detector.kind} CCD of {frames.camera.instrument}",
        ["", "CPU ms", "wall ms", "peak MB", "× fitsio read", "× calwatch"],
        rows,
        f"Medians of {len(apart['calwatch'].cost.cpu)} runs in turn, each contender in a process "
        "of its own, and once unmeasured before each (but ccdproc).",
    )


def step_tables(frames: Frames, judge: Judge, names: Sequence[str], runs: int) -> Iterator[Table]:
    """Profile each type from job to what the ledger keeps."""
    for name in names:
        job = frames.jobs[name]

        def work(job: object = job) -> None:
            serialise(judge(job))

        work()
        yield steps.profile(f"Steps of calwatch, {name}", work, runs)


def serialise(result: DetectorResult) -> bytes | None:
    """Return a result as the ledger keeps it, less its arrays."""
    return CompressedJson().process_bind_param(to_dict(replace(result, arrays={})), None)  # type: ignore[arg-type]


def run(given: argparse.Namespace, root: Path) -> tuple[list[Table], bool]:
    """Run the parts asked for; print each table as it is there."""
    make_repository(root)
    frames = load_frames(root, given.detector)
    hold_memory()  # as every worker does
    judge = Judge(JudgeSettings())
    gc.freeze()  # as well
    tables: list[Table] = []
    good = True

    def show(*found: Table) -> None:
        for table in found:
            tables.append(table)
            print(f"\n{table.text()}", flush=True)

    for part in given.parts:
        if part == "costs":
            for table, agrees in cost_tables(root, frames, given.frames, given.runs):
                show(table)
                good &= agrees
        elif part == "steps":
            for table in step_tables(frames, judge, given.frames, given.runs):
                show(table)
        elif part == "workers":
            show(workers.scaling(frames.jobs["bias"], given.workers, max(given.runs // 2, 3)))
        elif part == "start":
            show(cold_start.cold_start(root, frames.camera.instrument, 3))
        elif part == "memory":
            count = LONG_EXPOSURES if given.long else SHORT_EXPOSURES
            jobs = [frames.jobs[name] for name in NAMES]
            show(workers.memory(jobs, count))
            with tempfile.TemporaryDirectory(prefix="calwatch-bench-") as folder:
                show(workers.memory(jobs, count, folder))
        elif part == "limits":
            show(machine.limits(root))
        elif part == "butler":
            show(butler_lookups.measure())
        elif part == "judging":
            show(judging.measure({kind: judge(frames.jobs[kind]) for kind in CALIB_TYPES}))
        elif part == "ledger":
            show(ledger_writes.measure(judge(frames.jobs["bias"]), frames.jobs["bias"].exposure))
        elif part == "publish":
            show(publishing.measure(judge(frames.jobs["bias"]), frames.jobs["bias"].exposure))
    return tables, good


def some_of(known: Sequence[str], words: str) -> list[str]:
    """Read names separated by commas."""
    chosen = [word.strip() for word in words.split(",")]
    if unknown := set(chosen) - set(known):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, help="keep the simulated repository here")
    parser.add_argument("--detector", default="", help="of a repository with several")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="most worker processes")
    parser.add_argument(
        "--parts", type=partial(some_of, PARTS), default=PARTS, help=",".join(PARTS)
    )
    parser.add_argument(
        "--frames", type=partial(some_of, NAMES), default=NAMES, help=",".join(NAMES)
    )
    parser.add_argument("--long", action="store_true", help="memory over 1,000 exposures")
    parser.add_argument("--markdown", type=Path, help="put the tables into this page")
    parser.add_argument("--json", type=Path, help="write the tables here")
    given = parser.parse_args()
    about = machine.description()
    print(about)
    with tempfile.TemporaryDirectory(prefix="calwatch-bench-") as scratch:
        tables, good = run(given, given.repo or Path(scratch) / "repo")
    if given.markdown:
        write_section(given.markdown, "bench", tables, about)
    if given.json:
        content = {"machine": about, "tables": [table.data() for table in tables]}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if not good:
        print("\nNumbers that ought to agree do not.", file=sys.stderr)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
