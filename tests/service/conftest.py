"""The fakes, importable here and in worker processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fakes import FakeRepository

from calwatch.ledger.store import Ledger


@pytest.fixture
def repository() -> FakeRepository:
    return FakeRepository()


@pytest.fixture
def ledger(tmp_path: Path):
    ledger = Ledger.open(str(tmp_path / "ledger.db"))
    yield ledger
    ledger.close()
