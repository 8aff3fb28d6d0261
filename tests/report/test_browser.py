"""The report in a real browser: Debian's Chromium, with the file as it is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import PHONE, Console
from chromium import opened as open_page
from playwright.sync_api import Browser, Page, expect
from report_scene import Scene

from calwatch.camera.loader import load_camera
from calwatch.report.html import to_html
from calwatch.report.pictures import draw

pytestmark = pytest.mark.services

DESK = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def address(nights: Scene, tmp_path_factory: pytest.TempPathFactory) -> str:
    report = nights.report()
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(to_html(report, draw(report, load_camera("LSSTCam"))), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(params=[("light", DESK), ("dark", PHONE)], ids=["desk", "phone"])
def opened(
    browser: Browser, address: str, request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str], list[str]]]:
    """The report, what the browser complains of, and what it asks for."""
    scheme, size = request.param
    console = Console()
    asked: list[str] = []
    with open_page(browser, console, viewport=size, color_scheme=scheme) as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page, console.complaints, asked


def test_it_opens_without_a_complaint_and_asks_nobody(opened, address: str) -> None:
    page, complaints, asked = opened
    expect(page.get_by_role("heading", level=1)).to_contain_text("LSSTCam, night 20261122")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for place in page.locator(".plot").all():
        place.scroll_into_view_if_needed()
        expect(place.locator(".bk-Figure")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:", address))] == []


def test_a_focal_plane_is_really_drawn(opened) -> None:
    page, _, _ = opened
    place = page.locator(".plot").first
    place.scroll_into_view_if_needed()
    expect(place.locator(".bk-Figure")).to_be_attached()
    page.wait_for_function(PAINTED, arg="plot-1")


PAINTED = """name => {
  const all = (root) => [...root.querySelectorAll("*")].flatMap(
    (one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
  const canvases = all(document.getElementById(name)).filter((one) => one.tagName === "CANVAS");
  return canvases.some((one) => {
    const context = one.getContext("2d");
    if (!context || !one.width || !one.height) { return false; }
    const data = context.getImageData(0, 0, one.width, one.height).data;
    const seen = new Set();
    for (let i = 0; i < data.length; i += 40) {
      seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
    }
    return seen.size > 5;
  });
}"""
"""Whether a canvas of a figure, however deep, holds more than a few colours."""


def test_links_lead_to_their_sections(opened) -> None:
    page, _, _ = opened
    page.get_by_role("navigation").get_by_role("link", name="Calibrations").click()
    expect(page.locator("#calibrations")).to_be_in_viewport()


def test_printing_opens_what_is_folded_and_draws_all(opened) -> None:
    page, complaints, _ = opened
    folded = page.locator("details:not([open])")
    before = folded.count()
    assert before > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(folded).to_have_count(0)
    expect(page.locator(".plot .bk-Figure")).to_have_count(page.locator(".plot").count())
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(folded).to_have_count(before)
    assert complaints == []
