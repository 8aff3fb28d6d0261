"""Simulated truth of sets: what is recovered, how well its errors are known, what is found.

    python tests/benchmarks/sets.py [--detectors 14] [--rows 250] [--page docs/sets.md]

Detectors of LSSTCam (E2V and ITL in turn, each with a seed of its own) with fewer imaging rows go
through the simulator and the real ISR. Certified are the true gains, noises, linearizers and
crosstalk, a bias made of simulated biases, and for stacked darks the true current; bad pixels are
left away. ``--only sequence --rows 0`` takes curves of whole amplifiers, which is long.
Stages can be run apart (``--only … --keep a.pickle``) and put together (``--detectors 0
--add a.pickle …``).
"""

from __future__ import annotations

import argparse
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# As the command line does, before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from machine import description
from sets_found import BEYOND, CROSSED, Found
from sets_stages import run
from tables import Table, write_section

DETECTORS = (94, 0)
"""Of LSSTCam: an E2V and an ITL; which of a vendor it is makes no difference."""
MEAN, WIDTH = 0.1, 0.15
"""What the mean of the pulls and the departure of their width from 1 may be."""
POWER, FALSE = 0.95, 0.01


def numbers(found: list[Found]) -> Table:
    """Tell how far recovered numbers are from their truth, in their stated errors."""
    rows = []
    for name in dict.fromkeys(name for one in found for name in one.pulls):
        pairs = np.array([pair for one in found for pair in one.pulls.get(name, [])])
        pulls = pairs[:, 0] / pairs[:, 1]
        # Detectors are independent; amplifiers of one may have an error in common.
        mean, width = float(pulls.mean()), float(pulls.std())
        missed = [f"mean by {abs(mean) - MEAN:.2f}"] if abs(mean) > MEAN else []
        if abs(width - 1) > WIDTH:
            missed.append(f"width by {abs(width - 1) - WIDTH:.2f}")
        rows.append(
            [
                name, str(len(pulls)), f"{np.median(pairs[:, 1]):.2g}", f"{mean:+.2f}",
                f"{width:.2f}", f"{np.abs(pulls).max():.1f}", ", ".join(missed) or "met",
            ]
        )  # fmt: skip
    return Table(
        "Truth recovered",
        ["number", "values", "its error", "pull: mean", "width", "largest", "aim"],
        rows,
        f"Aim: a mean of 0 ± {MEAN}, a width of 1 ± {WIDTH}.",
    )


def faults(found: list[Found]) -> Table:
    """Tell how many faults at a limit are found, and how many amplifiers fail without one."""
    rows = []
    for name in dict.fromkeys(name for one in found for name in one.verdicts):
        seen = [pair for one in found for pair in one.verdicts.get(name, [])]
        faulty = [verdict == CROSSED for there, verdict in seen if there]
        clean = [verdict == CROSSED for there, verdict in seen if not there]
        power = f"{100 * np.mean(faulty):.1f} %" if faulty else "–"
        missed = ["power"] if faulty and np.mean(faulty) < POWER else []
        missed += ["false"] if clean and np.mean(clean) > FALSE else []
        rows.append(
            [
                name, str(len(faulty)), power, str(len(clean)),
                f"{100 * np.mean(clean):.2f} %" if clean else "–", ", ".join(missed) or "met",
            ]
        )  # fmt: skip
    return Table(
        "Faults found",
        ["test", "faults", "found", "without a fault", "FAIL all the same", "aim"],
        rows,
        f"A fault exceeds its hard limit, widened by the n_sigma of the test, by {BEYOND:g} "
        "errors; a full well is 88 ke-, one of QUADRATIC and POLYNOMIAL_2 1.05e-6. A limit on a "
        "count is exceeded by few: 305 pixels of 300, 5 columns of 3, 4 bias shifts of 3. "
        "PAIR_BALANCE and BIAS_SHIFT_TOTAL are found when they warn, which is all they do. Aim: "
        f"{100 * POWER:g} % found, {100 * FALSE:g} % false. Counted are amplifiers, each with "
        "faults of one kind only.",
    )


def notes(found: list[Found]) -> Table:
    """Tell what has no statistical error."""
    rows = []
    for name in dict.fromkeys(name for one in found for name in one.noted):
        values = np.array([value for one in found for value in one.noted.get(name, [])])
        low, middle, high = values.min(), values.mean(), values.max()
        rows.append([name, str(len(values)), f"{middle:.4g}", f"{low:.4g}", f"{high:.4g}"])
    return Table("What has no statistical error", ["", "values", "mean", "least", "most"], rows)


def main() -> None:
    """Run, print, and put the tables into a page if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detectors", type=int, default=14)
    parser.add_argument("--first-seed", type=int, default=301)
    parser.add_argument("--rows", type=int, default=250, help="imaging rows; 0 for all there are")
    parser.add_argument("--only", default="", help="stages, by comma")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep what was found here")
    parser.add_argument("--add", type=Path, nargs="*", default=[], help="what was kept before")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--section", default="sets")
    given = parser.parse_args()
    found = [one for path in given.add for one in _kept(path)]
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as pool:
        futures = [
            pool.submit(run, DETECTORS[k % 2], given.first_seed + k, given.rows, given.only)
            for k in range(given.detectors)
        ]
        for k, future in enumerate(futures):
            found.append(future.result())
            print(f"detector {k + 1} of {given.detectors}", flush=True)
            if given.keep:
                kept = [(f.pulls, f.verdicts, f.noted) for f in found]
                given.keep.write_bytes(pickle.dumps(kept))
    tables = [
        table for table in (numbers(found), faults(found), notes(found)) if len(table.rows) > 0
    ]
    about = f"`{_command(given)}`; {description()}"
    print("\n\n".join([about, *(table.text() for table in tables)]))
    if given.page:
        write_section(given.page, given.section, tables, about)


def _kept(path: Path) -> list[Found]:
    """Return what an earlier run kept: stages can be run apart, and their tables be one."""
    return [Found(*one) for one in pickle.loads(path.read_bytes())]


def _command(given: argparse.Namespace) -> str:
    only = f" --only {given.only}" if given.only else ""
    return f"sets.py --detectors {given.detectors} --rows {given.rows}{only}"


if __name__ == "__main__":
    main()
