"""An audit that could not be made is never taken for one that found nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import audit

KNOWN = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "X-1", "fix_versions": ["3.1"]}]}
GOOD = {"name": "numpy", "version": "2.3", "vulns": []}
SKIPPED = {"name": "numpy", "skip_reason": "not found"}


def says(*dependencies: dict) -> audit.Answer:
    return audit.understand(json.dumps({"dependencies": dependencies, "fixes": []}), "")


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch):
    """Have databases answer: of the canary, and of all else."""

    def put(canary: dict[str, audit.Answer], rest: audit.Answer) -> None:
        monkeypatch.setattr(
            audit, "ask", lambda s, f: canary[s] if f.name == "canary.txt" else rest
        )

    return put


AWAY = audit.understand("", "Traceback …\nConnectionError: cannot resolve the host\n")
BLIND = says(SKIPPED)
SEES = says(KNOWN)


@pytest.mark.parametrize("silent", [AWAY, BLIND, says(GOOD), audit.Answer(problem="late")])
def test_a_database_that_does_not_know_the_canary_is_not_believed(
    databases, silent: audit.Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    databases({"osv": silent, "pypi": silent}, says(GOOD))
    assert audit.main(["requirements.txt"]) == audit.UNREACHABLE
    assert "NOT DONE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (says(GOOD), audit.FINE),
        (says(GOOD, KNOWN), audit.VULNERABLE),
        (AWAY, audit.UNREACHABLE),
    ],
)
def test_the_second_database_serves_where_the_first_is_away(databases, rest, code) -> None:
    databases({"osv": AWAY, "pypi": SEES}, rest)
    assert audit.main(["requirements.txt"]) == code


def test_what_is_found_is_named(databases, capsys: pytest.CaptureFixture[str]) -> None:
    databases({"osv": SEES}, says(KNOWN, SKIPPED))
    audit.main(["requirements.txt"])
    said = capsys.readouterr().out
    assert "jinja2 2.10: X-1, mended in 3.1" in said
    assert "not known to osv: numpy" in said


@pytest.mark.parametrize("said", ["", "{}", "[]", "null", "no JSON"])
def test_words_that_are_no_answer_are_a_problem(said: str) -> None:
    assert audit.understand(said, "a complaint").problem == "a complaint"
    assert audit.understand(said, "").problem
