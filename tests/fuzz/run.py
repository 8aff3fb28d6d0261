"""Fuzzes each target with atheris and prints executions, coverage and findings.

Example: python tests/fuzz/run.py --seconds 60 [TARGET …]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
TRACED = [
    "calwatch.arrivals", "calwatch.calibrations", "calwatch.camera.hdus", "calwatch.camera.header",
    "calwatch.camera.raw", "calwatch.camera.raw_checks", "calwatch.camera.raw_images",
    "calwatch.camera.raw_tiles", "calwatch.camera.checksum", "calwatch.kafka.registry",
    "calwatch.kafka.wire",
]  # fmt: skip
"""Modules whose branches are counted: those without kernels, which numba must see as written."""
KERNELS = ["calwatch.camera.rice"]


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=TRACED, exclude=KERNELS):
        from targets import TARGETS
    for number, content in enumerate(TARGETS[name].begin()):
        (corpus / f"seed-{number}").write_bytes(content)
    words = [sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20"]
    words += [
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={corpus}/",
        str(corpus),
    ]
    atheris.Setup(words, TARGETS[name].call)
    atheris.Fuzz()


def report(name: str, seconds: int, keep: Path) -> bool:
    """Fuzz one target in a process of its own, print a line, and tell whether nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--only", name, "--corpus", folder]
        began = time.monotonic()
        done = subprocess.run(
            [*command, "--seconds", str(seconds)], capture_output=True, text=True, cwd=HERE
        )
        took = time.monotonic() - began
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        covered = re.findall(r"cov: (\d+)", done.stderr)
        found = [p for p in Path(folder).iterdir() if not p.name.startswith("seed-")]
        crashes = [p for p in found if p.name.startswith(("crash-", "timeout-", "oom-", "slow-"))]
        good = done.returncode == 0 and not [p for p in crashes if not p.name.startswith("slow-")]
        print(
            f"{name:12s} {runs[1] if runs else '?':>9s} executions  {took:6.1f} s  "
            f"coverage {covered[-1] if covered else '?':>5s}  findings {0 if good else 1}",
            flush=True,
        )
        if not good:
            for path in crashes:
                keep.mkdir(exist_ok=True)
                (keep / f"{name}-{path.name}").write_bytes(path.read_bytes())
                print(f"  kept as {keep / f'{name}-{path.name}'}")
            print("\n".join(f"  {line}" for line in done.stderr.splitlines()[-30:]))
        return good


def main() -> int:
    """Return 0 if nothing was found."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("targets", nargs="*", help="All if none is named.")
    words.add_argument("--seconds", type=int, default=60, help="For each target.")
    words.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    words.add_argument("--only", help=argparse.SUPPRESS)
    words.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    given = words.parse_args()
    sys.path.insert(0, str(HERE))
    if given.only:
        fuzz(given.only, given.seconds, given.corpus)
        return 0
    from targets import TARGETS

    results = [report(name, given.seconds, given.keep) for name in given.targets or TARGETS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
