"""A season of LSSTCam in numbers, with known problems: which alarms come of it.

Usage: python tests/benchmarks/season.py [--days 64] [--rafts R22 R34] [--seed 1] [--processes 2]
       [--known] [--markdown FILE] [--json FILE]

Every number is drawn from the model that `season_model` states and is judged by the code that
judges pixels (`calwatch.verify.judge.judge_numbers`), with the shipped limits; nothing is screened
out before. The book of alarms is fed with all exposures as they arrive (`season_book`), and its
alarms are laid beside the problems that were put in (`season_plan`, `season_score`).
Ends with 1 if a problem was missed or found late, an alarm was false, or a restart or a repeated
exposure changed anything.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from season_book import Keeper
from season_run import PROGRAM, Judge, Setup, judge_all
from season_score import Case, Score, score

HEAD = (
    "Problem", "put in", "beyond a limit", "found", "late", "missed", "alarms", "more than one",
    "taken in", "delay: median", "most",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=Setup().days)
    parser.add_argument("--rafts", nargs="*", default=[], help="only these, for a short try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--known", action="store_true", help="the limits file names the unstable amplifiers"
    )
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--json", type=Path, help="write the totals here")
    given = parser.parse_args()
    setup = Setup(tuple(given.rafts), given.days, given.seed, known=given.known)
    began = time.monotonic()
    keeper, found, judge = season(setup, given.processes)
    wall = time.monotonic() - began
    total = {**totals(keeper, found, judge), "minutes": round(wall / 60, 1), "CPU minutes": _cpu()}
    text = "\n".join([*_listed(total), "", *_table(found.cases), "", *_remarks(found), ""])
    print(text)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")
    if given.json:
        given.json.write_text(json.dumps(total, indent=1) + "\n", encoding="utf-8")
    bad = ("missed", "found late", "false alarms", "changed by restarts and repeats")
    sys.exit(any(total[name] for name in bad))


def season(setup: Setup, processes: int) -> tuple[Keeper, Score, Judge]:
    """Let a season go by, and lay its alarms beside its problems."""
    judge = Judge(setup)
    keeper = Keeper(judge.layout, setup.seed)
    keeper.keep(judge_all(setup, processes))
    found = score(
        judge.faults, keeper.order, keeper.told, judge.layout, judge.unstable, judge.rules
    )
    return keeper, found, judge


def totals(keeper: Keeper, found: Score, judge: Judge) -> dict[str, Any]:
    """Return what is to be said of the whole season."""
    beyond = [case for case in found.cases if case.expected]
    on_limit = [case for case in found.cases if case.fault.either]
    delays = [case.delay for case in beyond if case.delay is not None]
    groups = [c for c in beyond if _is_raft(c, judge) and c.fault.rule == "at once"]
    trouble = keeper.trouble
    return {
        "exposures": len(keeper.order),
        "a day": ", ".join(f"{n} {kind}" for kind, n in PROGRAM.items()),
        "detectors": len(judge.layout.detectors),
        "amplifiers": len(judge.layout.amps),
        "amplifier tests judged": keeper.amp_tests,
        "of them failed": keeper.failed,
        "of them with a warning": keeper.warned,
        "amplifier tests that could not be judged": keeper.unknown,
        "detector tests": keeper.detector_tests,
        "problems put in": len(found.cases),
        "beyond a limit often enough": len(beyond),
        "found": sum(case.found is not None for case in beyond),
        "found late": sum(case.late for case in beyond),
        "missed": sum(case.missed for case in beyond),
        "alarms for them": sum(len(case.episodes) for case in beyond),
        "alarms beyond the first": sum(case.duplicates for case in beyond),
        "taken in by the alarm of a larger part": sum(
            episode.absorbed for case in beyond for episode in case.episodes
        ),
        "false alarms": len(found.all_false),
        "values that stand on a limit": len(on_limit),
        "alarms for them (on a limit)": sum(len(case.episodes) for case in on_limit),
        "unstable amplifiers": len(judge.unstable),
        "unstable amplifiers with an alarm": len({e.key.part for e in found.unstable}),
        "alarms of unstable amplifiers": len(found.unstable),
        "raft-wide problems": len(groups),
        "alarms for them (raft-wide)": sum(len(case.episodes) for case in groups),
        "delay in exposures: median": statistics.median(delays) if delays else None,
        "delay in exposures: most": max(delays, default=None),
        "alarms still open at the end": len(keeper.open),
        "out of order, doubled, replayed, restarted": (
            f"{trouble.swapped}, {trouble.doubled}, {trouble.replayed}, {trouble.restarted}"
        ),
        "changed by restarts and repeats": len(trouble.unequal) + len(trouble.told_by_repeats),
        "notices": ", ".join(f"{n} {what.value}" for what, n in found.notices.most_common()),
    }


def _is_raft(case: Case, judge: Judge) -> bool:
    return judge.layout.parts.level(case.fault.part) == "raft"


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(u.ru_utime + u.ru_stime for u in used) / 60, 1)


def _listed(total: dict[str, Any]) -> list[str]:
    rows = [f"| {name} | {_number(value)} |" for name, value in total.items()]
    return ["| Season | |", "|---|---|", *rows]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def _table(cases: list[Case]) -> list[str]:
    sorts: dict[str, list[Case]] = {}
    for case in cases:
        sorts.setdefault(case.fault.sort, []).append(case)
    lines = [f"| {' | '.join(HEAD)} |", f"|---|{'---:|' * (len(HEAD) - 1)}"]
    for sort, mine in sorts.items():
        delays = [c.delay for c in mine if c.expected and c.delay is not None]
        row = (
            len(mine),
            sum(c.expected for c in mine),
            sum(c.expected and c.found is not None for c in mine),
            sum(c.late for c in mine),
            sum(c.missed for c in mine),
            sum(len(c.episodes) for c in mine),
            sum(c.duplicates for c in mine),
            sum(e.absorbed for c in mine for e in c.episodes),
            f"{statistics.median(delays):g}" if delays else "",
            max(delays, default=""),
        )
        lines.append(f"| {sort} | {' | '.join(map(str, row))} |")
    return lines


def _remarks(found: Score) -> list[str]:
    """Name everything that is not one problem, one alarm, in time."""
    lines = []
    for case in found.cases:
        fault = case.fault
        words = [
            *(["missed"] if case.missed else []),
            *([f"late (exposure {case.found}, due {case.due})"] if case.late else []),
            *([f"{len(case.standing)} alarms"] if case.duplicates else []),
            *(["false"] if case.episodes and not case.may_be_told else []),
            *([f"told by {case.told_by}"] if case.found and not case.episodes else []),
        ]
        if words:
            names = ", ".join(e.raised.name for e in case.episodes[:4])
            where = f"{fault.sort}, {fault.part}, day {fault.day}"
            lines.append(f"* {where}: {'; '.join(words)}{f' ({names})' if names else ''}")
    lines += [f"* false: {e.raised.name}: {e.raised.reason}" for e in found.false]
    return lines


if __name__ == "__main__":
    main()
