"""A real ledger with alarms in it, a client of the application over it, and a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calwatch.ledger.store import Ledger

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "alarms"), str(HERE.parent / "services")]

import chromium  # noqa: E402  (found only now)
from night_scene import EVENING, take_nights  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, Page  # noqa: E402
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one file: as long as it lives, no other event loop can run beside it."""
    with chromium.running() as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What pages share: above all the cache, so that bokeh is fetched and compiled once."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def console() -> chromium.Console:
    return chromium.Console()


@pytest.fixture
def page(context: BrowserContext, console: chromium.Console) -> Iterator[Page]:
    with chromium.opened(context, console) as found:
        yield found
