"""The report on one screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from golden_report import GOLDEN, written
from hypothesis import given
from hypothesis import strategies as st
from report_scene import Scene

from calwatch.report.model import Report
from calwatch.report.text import MOST_LINES, to_text

TIMES = st.integers(0, 30)


def test_it_is_the_golden_one(tmp_path: Path) -> None:
    text, _ = written(tmp_path)
    assert text == GOLDEN.with_suffix(".txt").read_text(encoding="utf-8")


@given(TIMES, TIMES, TIMES, TIMES, TIMES, TIMES)
@pytest.mark.usefixtures("nights")
def test_it_fits_on_a_screen_failures_first(
    nights: Scene, failed: int, unknown: int, missing: int, damaged: int, runs: int, changes: int
) -> None:
    found = _nights(nights)
    report = replace(
        found,
        failures=found.failures[:1] * failed,
        warnings=found.warnings * changes,
        unknown=found.unknown[:1] * unknown,
        missing=found.missing * missing,
        damaged=("one\nand another line\x1b[31m",) * damaged,
        runs=found.runs * max(1, runs),
        changes=found.changes[:1] * changes,
    )
    lines = to_text(report).splitlines()
    assert len(lines) <= MOST_LINES
    assert all(len(line) <= 160 and line.isprintable() for line in lines)
    assert ("FAILED" in lines) is bool(failed)
    if failed:
        assert lines.index("FAILED") == 2


def test_a_good_night_is_three_lines(scene: Scene) -> None:
    scene.take(1)
    text = to_text(scene.report())
    assert "1 exposure (1 PASS)" in text
    assert len(text.splitlines()) == 3


_KNOWN: dict[int, Report] = {}


def _nights(nights: Scene) -> Report:
    """Return the report of the nights, which is gathered once."""
    if not _KNOWN:
        _KNOWN[0] = nights.report()
    return _KNOWN[0]
