"""The pictures in a real browser: drawn, coloured, leading on, without a complaint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import PHONE, Console, hold
from night_scene import DAY, DETECTORS, EVENING, NOISY, take_nights
from playwright.sync_api import Page, expect
from served import Served
from web_scene import HandClock, make_scene

from calwatch.ledger.store import Ledger

pytestmark = pytest.mark.services

DETECTOR, AMP = NOISY.split("/")
VIEWS = {
    f"/focal/LSSTCam/{DAY}00002": 1,
    f"/focal/LSSTCam/{DAY}00002?show=NOISE&by=value": 1,
    f"/focal/LSSTCam/day/{DAY}/bias?by=distance": 1,
    f"/focal/LATISS/{DAY}00004": 1,
    f"/amplifiers/LSSTCam/{DETECTOR}/{AMP}?type=bias&show=NOISE&exposure={DAY}00002": 4,
    "/amplifiers/LATISS/0/C03?type=dark": 1,
}
"""Pictures on each page."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('served') / 'ledger.db'}")
    take_nights(ledger, DETECTORS)
    scene = make_scene(ledger, HandClock(EVENING))
    scene.beat()
    served = Served(scene.app())
    yield served
    served.stop()
    ledger.close()


def see(page: Page, address: str, pictures: int) -> None:
    """Open a page and wait until its pictures are drawn."""
    page.goto(address)
    drawn = page.locator('[data-picture][data-state="drawn"]')
    expect(drawn).to_have_count(pictures)
    expect(page.locator('[data-picture][data-state="failed"]')).to_have_count(0)


COLOURS = """element => {
  const canvas = element.querySelector("*").shadowRoot
    ? [...walk(element)].find(one => one.tagName === "CANVAS") : element.querySelector("canvas");
  function* walk(node) {
    for (const child of node.children || []) {
      yield child; yield* walk(child);
      if (child.shadowRoot) yield* walk(child.shadowRoot);
    }
  }
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const seen = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const key = `${data[i]},${data[i + 1]},${data[i + 2]}`;
    seen.set(key, (seen.get(key) || 0) + 1);
  }
  return [...seen];
}"""


def colours(page: Page) -> dict[str, int]:
    """Return how many points of the first picture have each colour."""
    return dict(page.locator("[data-picture]").first.evaluate(COLOURS))


@pytest.mark.parametrize("address", VIEWS)
def test_every_view_is_drawn_without_a_complaint(
    served: Served, page: Page, console: Console, address: str
) -> None:
    see(page, served.url + address, VIEWS[address])
    assert len(colours(page)) > 5
    assert console.complaints == []


def test_what_failed_is_red_and_what_passed_is_blue(
    served: Served, page: Page, console: Console
) -> None:
    see(page, f"{served.url}/focal/LSSTCam/{DAY}00002", 1)
    found = colours(page)
    assert found.get("43,123,186", 0) > 1000
    assert found.get("163,24,13", 0) > 200


def test_dark_is_dark(served: Served, page: Page, console: Console) -> None:
    page.emulate_media(color_scheme="dark")
    see(page, f"{served.url}/focal/LATISS/{DAY}00004", 1)
    found = colours(page)
    assert found.get("29,35,42", 0) > 1000
    assert "255,255,255" not in found
    assert console.complaints == []


def test_a_tap_leads_to_the_amplifier(served: Served, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1600})
    see(page, f"{served.url}/focal/LATISS/{DAY}00004", 1)
    box = page.locator("[data-picture]").bounding_box()
    assert box is not None
    # Somewhere right of the middle in the lower half is an amplifier, whichever.
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + 0.6 * box["height"])
    page.wait_for_url("**/amplifiers/LATISS/RXX_S00/C0*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("LATISS RXX_S00 C0")


def test_a_choice_shows_at_once_and_is_in_the_address(
    served: Served, page: Page, console: Console
) -> None:
    see(page, f"{served.url}/focal/LSSTCam/{DAY}00002", 1)
    page.get_by_label("Show").select_option("NOISE")
    page.wait_for_url("**show=NOISE*")
    page.get_by_label("Coloured by").select_option("distance")
    page.wait_for_url("**by=distance*")
    expect(page.get_by_label("Show")).to_have_value("NOISE")
    expect(page.locator('[data-state="drawn"]')).to_have_count(1)
    assert console.complaints == []


def test_the_keyboard_gets_from_the_table_to_the_amplifier(
    served: Served, page: Page, console: Console
) -> None:
    see(page, f"{served.url}/focal/LSSTCam/{DAY}00002", 1)
    page.get_by_role("link", name=AMP).first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/amplifiers/LSSTCam/{DETECTOR}/{AMP}*")
    expect(page.locator('[data-state="drawn"]')).to_have_count(4)
    assert console.complaints == []


@pytest.mark.parametrize("address", VIEWS)
def test_a_phone_scrolls_down_only(served: Served, page: Page, address: str) -> None:
    hold(page)
    see(page, served.url + address, VIEWS[address])
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_picture_that_cannot_be_fetched_says_so(
    served: Served, page: Page, console: Console
) -> None:
    page.route("**/picture?*", lambda route: route.fulfill(status=503))
    page.goto(f"{served.url}/focal/LSSTCam/{DAY}00002")
    expect(page.locator("[data-picture] .problem")).to_contain_text("503")
    expect(page.locator("[data-picture] .problem")).to_contain_text("Reload the page")
    expect(page.get_by_role("heading", name="The worst amplifiers")).to_be_visible()
