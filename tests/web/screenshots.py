"""Make the pictures of the page for the README: ``python tests/web/screenshots.py [FOLDER]``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("alarms", "services"))]

from night_scene import BEFORE, DAY, EVENING, NOISY, take_nights  # noqa: E402  (found only now)
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402
from report_scene import Scene as Camera  # noqa: E402
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
    width: int = 1100
    height: int = 800
    scheme: str = "light"


SHOTS = (
    Shot("tonight", "/"),
    Shot("tonight-phone", "/", 360, 740, "dark"),
    Shot("exposure", f"/exposures/LSSTCam/{EXPOSURE}"),
    Shot("detector", f"/exposures/LSSTCam/{EXPOSURE}/{DETECTOR}"),
    Shot("focal-plane", f"/focal/LSSTCam/{EXPOSURE}", height=1320),
    Shot("amplifier", f"/amplifiers/LSSTCam/{NOISY}?type=bias&show=NOISE", height=1320),
)


def take(browser: Browser, url: str, shot: Shot, folder: Path) -> None:
    """Take one picture, when all in it is drawn."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme
    )
    page = context.new_page()
    page.goto(url + shot.address)
    drawn = page.locator('[data-picture][data-state="drawn"]')
    expect(drawn).to_have_count(page.locator("[data-picture]").count(), timeout=60_000)
    page.screenshot(path=folder / f"{shot.name}.png")
    context.close()


def take_weeks(ledger: Ledger) -> None:
    """Take a bias a day of one detector, the noise of one amplifier of it growing."""
    camera = Camera(ledger, "LSSTCam", (DETECTOR,))
    last = datetime.strptime(str(BEFORE), "%Y%m%d")
    for ago in range(45, 0, -1):
        factor = 1 + 0.045 * (1 - ago / 45)
        day = int((last - timedelta(days=ago)).strftime("%Y%m%d"))
        bad = {NOISY: {"NOISE": factor, "CR_NOISE": factor}}
        camera.take(1, day=day, bad=bad, chain="0" if ago > 20 else "a")


def main(folder: Path) -> None:
    """Take all pictures of a whole LSSTCam night."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        ledger = Ledger.open(f"sqlite:///{place}/ledger.db")
        take_weeks(ledger)
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
