"""Make the pictures of the page for the README: ``python tests/web/screenshots.py [FOLDER]``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("alarms", "services"))]

from night_scene import DAY, EVENING, NOISY, take_nights  # noqa: E402  (found only now)
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402
from served import Served  # noqa: E402
from web_scene import HandClock, make_scene  # noqa: E402

from calwatch.ledger.store import Ledger  # noqa: E402

IMAGES = HERE.parents[1] / "docs" / "images"
EXPOSURE = DAY * 100000 + 2
DETECTOR = NOISY.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture."""

    name: str
    address: str
    scheme: str = "light"
    size: tuple[int, int] | None = None
    """Width and height; None for a laptop."""


SHOTS = (
    Shot("tonight", "/"),
    Shot("tonight-dark", "/", "dark"),
    Shot("tonight-phone", "/", "dark", (360, 740)),
    Shot("exposure", f"/exposures/LSSTCam/{EXPOSURE}"),
    Shot("detector", f"/exposures/LSSTCam/{EXPOSURE}/{DETECTOR}"),
    Shot("chain", f"/chain/LSSTCam/{EXPOSURE}/{DETECTOR}"),
    Shot("alarm", "/alarms/1"),
    Shot("focal-plane", f"/focal/LSSTCam/{EXPOSURE}", size=(1100, 1100)),
    Shot("amplifier", f"/amplifiers/LSSTCam/{NOISY}?type=bias&show=NOISE", size=(1100, 1100)),
)


def take(browser: Browser, url: str, shot: Shot, folder: Path, *, whole: bool = False) -> None:
    """Take one picture; ``whole`` takes what is below the edge of the window too."""
    width, height = shot.size or (1100, 800)
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=shot.scheme
    )
    page = context.new_page()
    page.goto(url + shot.address)
    drawn = page.locator('[data-picture][data-state="drawn"]')
    expect(drawn).to_have_count(page.locator("[data-picture]").count(), timeout=60_000)
    page.screenshot(path=folder / f"{shot.name}.png", full_page=whole)
    context.close()


def main(folder: Path) -> None:
    """Take all pictures of a whole LSSTCam night."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        ledger = Ledger.open(f"sqlite:///{place}/ledger.db")
        take_nights(ledger, ())
        scene = make_scene(ledger, HandClock(EVENING))
        scene.raise_alarm(NOISY)
        scene.clock.time = EVENING
        scene.beat()
        served = Served(scene.app())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        try:
            for shot in SHOTS:
                take(browser, served.url, shot, folder)
        finally:
            browser.close()
            served.stop()
            ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
