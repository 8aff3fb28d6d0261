"""A real ledger with alarms in it, and a client of the application over it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calwatch.ledger.store import Ledger

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "alarms")]

from web_scene import Client, Scene, make_scene  # noqa: E402  (found only now)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield make_scene(ledger)
    ledger.close()


@pytest.fixture
def client(scene: Scene) -> Client:
    return Client(scene.app())
