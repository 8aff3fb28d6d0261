"""A short storm; `tests/benchmarks/storm.py` has the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from storm import Storm

pytestmark = pytest.mark.services
ROUNDS = 8


def test_nothing_is_lost_and_nothing_is_there_twice(
    kafka_server, schema_registry, ledger_url: str, tmp_path: Path
) -> None:
    storm = Storm(kafka_server, schema_registry, ledger_url, tmp_path, seed=7)
    outcome = storm.run(ROUNDS)
    assert outcome.problems() == [], (tmp_path / "log").read_text()[-8000:]
    assert outcome.done["daemon"] + outcome.done["both"] > 0
    log = (tmp_path / "log").read_text()  # a process killed as it starts may well end in a trace
    for words in ("companion failed", "cannot be recorded", "cannot be merged", "job failed"):
        assert words not in log
