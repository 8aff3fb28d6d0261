"""Sets in a real browser: night, set, detector with its picture; light, dark, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from chromium import PHONE, Console, hold
from night_scene import DAY, DETECTORS, EVENING, take_nights
from playwright.sync_api import Page, expect
from served import Served
from set_scene import DETECTOR, FIRST, LAST, PAIRS, SEQUENCE, WRONG_GAIN, take_sets
from test_browser_pages import LEVELS, UNFOLD, UNNAMED
from web_scene import HandClock, make_scene

from calwatch.ledger.store import Ledger

pytestmark = pytest.mark.services

NIGHT = f"/nights/LSSTCam/{DAY}"
SET = f"/exposures/LSSTCam/{SEQUENCE}"
PTC = f"{SET}/{DETECTOR}?of=ptc"
PAGES = {
    NIGHT: 0,
    f"{SET}?of=ptc": 0,
    SET: 0,
    PTC: 1,
    f"{PTC}&amp={WRONG_GAIN}": 1,
    f"{SET}/{DETECTOR}?of=linearity": 1,
    f"/exposures/LSSTCam/{DAY}00016/{DETECTOR}?of=defects": 1,
    f"/exposures/LSSTCam/{DAY}00016/R22_S12?of=defects": 0,
    f"/exposures/LSSTCam/{DAY}00012/{DETECTOR}?of=crosstalk": 1,
    f"/focal/LSSTCam/{SEQUENCE}?of=ptc": 1,
    f"/chain/LSSTCam/{SEQUENCE}/{DETECTOR}?of=ptc": 0,
    f"/amplifiers/LSSTCam/{DETECTOR}/{WRONG_GAIN}?type=gain": 1,
}
"""Pictures on each page."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('sets') / 'ledger.db'}")
    take_nights(ledger, DETECTORS)
    take_sets(ledger)
    scene = make_scene(ledger, HandClock(EVENING))
    scene.beat()
    served = Served(scene.app())
    yield served
    served.stop()
    ledger.close()


def see(page: Page, address: str, pictures: int) -> None:
    """Open a page and wait until its pictures are drawn."""
    page.goto(address)
    expect(page.locator('[data-picture][data-state="drawn"]')).to_have_count(pictures)
    expect(page.locator('[data-picture][data-state="failed"]')).to_have_count(0)


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_whole_and_can_be_read_aloud(
    served: Served, page: Page, console: Console, address: str
) -> None:
    see(page, served.url + address, PAGES[address])
    levels = page.evaluate(LEVELS)
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.evaluate(UNNAMED) == []
    assert console.complaints == []


def test_a_phone_in_the_dark_scrolls_down_only(
    served: Served, page: Page, console: Console
) -> None:
    hold(page, "dark")
    for address, pictures in PAGES.items():
        see(page, served.url + address, pictures)
        page.evaluate(UNFOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
    assert console.complaints == []


def test_the_keyboard_leads_from_the_night_to_the_curve_of_the_bad_amplifier(
    served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url + NIGHT)
    page.get_by_role("link", name=f"FAIL ptc {FIRST}–{LAST} ({2 * PAIRS})").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{SET}?of=ptc")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"LSSTCam ptc {SEQUENCE}")
    page.get_by_role("link", name=DETECTOR).first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PTC}")
    expect(page.locator('[data-picture][data-state="drawn"]')).to_have_count(1)
    page.get_by_label("Amplifier").select_option(WRONG_GAIN)
    page.wait_for_url(f"**{PTC}&amp={WRONG_GAIN}")
    expect(page.locator('[data-picture][data-state="drawn"]')).to_have_count(1)
    assert console.complaints == []


def test_the_curve_is_drawn_again_in_the_dark(served: Served, page: Page) -> None:
    see(page, served.url + PTC, 1)
    with page.expect_response("**/picture?of=ptc&scheme=dark"):
        page.emulate_media(color_scheme="dark")
    expect(page.locator('[data-picture][data-state="drawn"]')).to_have_count(1)


def test_the_points_of_the_curve_are_downloaded(served: Served, page: Page) -> None:
    see(page, served.url + PTC, 1)
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").first.click()
    name = f"calwatch-LSSTCam-{SEQUENCE}-ptc-{DETECTOR}-points.csv"
    assert started.value.suggested_filename == name
    assert started.value.path().read_text().startswith("amp,exposure,mean,variance,used")


def test_a_set_leads_to_its_members_and_back(served: Served, page: Page, console: Console) -> None:
    page.goto(f"{served.url}{SET}?of=ptc")
    page.get_by_role("link", name=f"PASS flat {FIRST}").first.click()
    page.wait_for_url(f"**/exposures/LSSTCam/{DAY * 100000 + FIRST}")
    page.get_by_role("link", name=f"FAIL ptc to {SEQUENCE}").click()
    page.wait_for_url(f"**{SET}?of=ptc")
    assert console.complaints == []
