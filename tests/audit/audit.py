"""Asks whether anything that is locked is known to be vulnerable, with pip-audit.

Exit codes: 0 nothing is known, 1 something is, 3 nobody could be asked. A database that cannot be
reached, or does not know the packages, says the same as one that knows of nothing; so first it is
asked for a version that has been known to be vulnerable for years, and has to say so.

Example: python tests/audit/audit.py requirements.txt requirements-dev.txt
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FINE, VULNERABLE, UNREACHABLE = 0, 1, 3
CANARY = "jinja2==2.10"
"""CVE-2019-10906 and more recent ones."""
SERVICES = ("osv", "pypi")
SECONDS = 900


@dataclass(frozen=True)
class Answer:
    """What a database said of one list."""

    vulnerable: tuple[str, ...] = ()
    asked: int = 0
    skipped: tuple[str, ...] = ()
    problem: str = ""
    """Why there is no answer; empty if there is one."""


def ask(service: str, file: Path) -> Answer:
    """Have pip-audit ask a database for every line of a locked file."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "-f", "json"]
    command += ["--progress-spinner", "off", "--timeout", "20", "-s", service, "-r", str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Answer(problem=f"no answer within {SECONDS} s")
    return understand(done.stdout, done.stderr)


def understand(said: str, complaint: str) -> Answer:
    """Return what pip-audit's JSON says."""
    try:
        found: Sequence[dict[str, Any]] = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        lines = [line.strip() for line in complaint.splitlines() if line.strip()]
        return Answer(problem=lines[-1][:300] if lines else "pip-audit said nothing")
    skipped = tuple(one["name"] for one in found if "skip_reason" in one)
    vulnerable = tuple(
        f"{one['name']} {one['version']}: {bug['id']}"
        + (f", mended in {', '.join(bug['fix_versions'])}" if bug.get("fix_versions") else "")
        for one in found
        for bug in one.get("vulns", ())
    )
    return Answer(vulnerable, len(found), skipped)


def service_that_knows() -> tuple[str, list[str]]:
    """Return the first database that knows of the canary, if any, and what the others said."""
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "canary.txt"
        file.write_text(CANARY + "\n")
        for service in SERVICES:
            answer = ask(service, file)
            if answer.vulnerable:
                return service, problems
            problems.append(f"{service}: {answer.problem or f'knows nothing of {CANARY}'}")
    return "", problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("files", nargs="+", type=Path)
    files: list[Path] = words.parse_args(arguments).files
    service, problems = service_that_knows()
    if not service:
        print("AUDIT: NOT DONE. No database of vulnerabilities could be asked:")
        print("\n".join(f"  {problem}" for problem in problems))
        return UNREACHABLE
    worst = FINE
    for file in files:
        answer = ask(service, file)
        if answer.problem:
            print(f"AUDIT: NOT DONE for {file}: {answer.problem}")
            worst = worst or UNREACHABLE
            continue
        for line in answer.vulnerable:
            print(f"AUDIT: {file}: {line}")
        if answer.skipped:
            print(f"AUDIT: {file}: not known to {service}: {', '.join(answer.skipped)}")
        print(f"AUDIT: {file}: {answer.asked} asked of {service}, {len(answer.vulnerable)} found")
        worst = VULNERABLE if answer.vulnerable else worst
    return worst


if __name__ == "__main__":
    sys.exit(main())
