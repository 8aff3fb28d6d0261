"""A real ledger with alarms in it, and a client of the application over it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calwatch.ledger.store import Ledger

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "alarms")]

from night_scene import EVENING, take_nights  # noqa: E402  (found only now)
from web_scene import Client, HandClock, Scene, make_scene  # noqa: E402


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield make_scene(ledger)
    ledger.close()


@pytest.fixture
def client(scene: Scene) -> Client:
    return Client(scene.app())


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of two LSSTCam nights and a LATISS night, which no test may change."""
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('nights') / 'ledger.db'}")
    take_nights(ledger)
    scene = make_scene(ledger, HandClock(EVENING))
    yield Client(scene.app())
    ledger.close()
