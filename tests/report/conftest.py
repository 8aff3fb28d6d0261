"""A ledger with a night in it, and a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calwatch.ledger.store import Ledger

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("report", "services"))

import chromium
from playwright.sync_api import Browser
from report_scene import Scene, take_nights


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield made
    made.close()


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    """An empty ledger."""
    return Scene(ledger)


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two nights, which no test may change."""
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('nights') / 'ledger.db'}")
    scene = Scene(ledger)
    take_nights(scene)
    yield scene
    ledger.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.running() as found:
        yield found
