"""Every page in a real browser: no complaint, readable by a screen reader, fit for a phone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from chromium import PHONE, Console, hold
from night_scene import BEFORE, DAY, EVENING, NOISY, take_nights
from playwright.sync_api import Page, expect
from report_scene import Scene as Camera
from served import Served
from web_scene import HandClock, Scene, make_scene

from calwatch.ledger.store import Ledger

pytestmark = pytest.mark.services

EXPOSURE = DAY * 100000 + 2
DETECTOR = NOISY.partition("/")[0]
PAGES = (
    "/",
    f"/nights/LSSTCam/{BEFORE}",
    f"/nights/LATISS/{DAY}",
    f"/exposures/LSSTCam/{EXPOSURE}",
    f"/exposures/LATISS/{DAY * 100000 + 4}",
    f"/exposures/LSSTCam/{EXPOSURE}/{DETECTOR}",
    f"/exposures/LSSTCam/{EXPOSURE + 1}/R01_S00",
    f"/chain/LSSTCam/{EXPOSURE}/{DETECTOR}",
    "/alarms",
    "/alarms/1",
    f"/focal/LSSTCam/{EXPOSURE}",
    f"/focal/LSSTCam/day/{DAY}/bias",
    f"/amplifiers/LSSTCam/{NOISY}",
)
UNNAMED = """() => {
  const name = (e) => e.getAttribute("aria-label") || e.textContent.trim()
    || [...(e.labels || [])].map((label) => label.textContent.trim()).join("");
  const bad = [];
  for (const e of document.querySelectorAll("main input:not([type=hidden]), main select, button"))
    if (!name(e) || (e.labels && !e.labels.length && e.tagName !== "BUTTON")) bad.push(e.outerHTML);
  for (const e of document.querySelectorAll("a")) if (!name(e)) bad.push(e.outerHTML);
  for (const e of document.querySelectorAll("th:not([scope])")) bad.push(e.outerHTML);
  for (const e of document.querySelectorAll("[role=region], nav, [role=img]"))
    if (!e.hasAttribute("aria-label") && !e.hasAttribute("aria-labelledby")) bad.push(e.outerHTML);
  for (const e of document.querySelectorAll("[aria-labelledby]"))
    if (!document.getElementById(e.getAttribute("aria-labelledby"))) bad.push(e.outerHTML);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push(`twice: ${id}`);
  return bad;
}"""
"""What a screen reader cannot name."""
UNFOLD = """() => document.querySelectorAll("details").forEach((e) => { e.open = true; })"""
LEVELS = (
    """() => [...document.querySelectorAll("h1, h2, h3, h4")].map((e) => Number(e.tagName[1]))"""
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('pages') / 'ledger.db'}")
    take_nights(ledger)
    scene = make_scene(ledger, HandClock(EVENING))
    scene.raise_alarm(NOISY)
    scene.clock.time = EVENING
    scene.beat()
    yield scene
    ledger.close()


@pytest.fixture(scope="module")
def served(scene: Scene) -> Iterator[Served]:
    served = Served(scene.app())
    yield served
    served.stop()


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_whole_and_can_be_read_aloud(
    served: Served, page: Page, console: Console, address: str
) -> None:
    answer = page.goto(served.url + address)
    assert answer is not None
    assert answer.status == 200
    levels = page.evaluate(LEVELS)
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.evaluate(UNNAMED) == []
    assert console.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(
    served: Served, page: Page, console: Console, scheme: str
) -> None:
    hold(page, scheme)
    for address in PAGES:
        page.goto(served.url + address)
        page.evaluate(UNFOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
    assert console.complaints == []


def test_the_keyboard_leads_from_tonight_to_the_bad_amplifier(
    served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.get_by_role("link", name="FAIL 2 3 of 5 detectors").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/exposures/LSSTCam/{EXPOSURE}")
    page.get_by_role("link", name="C05").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/amplifiers/LSSTCam/{NOISY}*")
    assert console.complaints == []


def test_a_table_is_scrolled_by_keyboard(served: Served, page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.goto(f"{served.url}/chain/LSSTCam/{EXPOSURE}/{DETECTOR}")
    table = page.get_by_role("region", name="Certified calibrations")
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("element => element.scrollLeft > 0", arg=table.element_handle())


def test_a_table_is_downloaded(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/exposures/LSSTCam/{EXPOSURE}")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").first.click()
    path = started.value.path()
    assert started.value.suggested_filename == f"calwatch-LSSTCam-{EXPOSURE}-problems.csv"
    assert path.read_text().startswith("detector,amp,test,verdict,value")


def test_a_new_exposure_shows_by_itself(
    scene: Scene, served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url)
    expect(page.get_by_role("link", name="PASS 9")).to_have_count(0)
    Camera(scene.ledger, "LATISS", ()).take(9)
    expect(page.get_by_role("link", name="PASS 9")).to_be_visible()
    assert console.complaints == []
