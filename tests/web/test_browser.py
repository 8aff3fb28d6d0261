"""The page in a real browser: Debian's Chromium."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from chromium import PHONE, Console, hold, opened
from playwright.sync_api import Browser, Page, expect
from scenes import amps, at
from served import Served
from web_scene import AMP, TOKEN, Scene, make_scene

from calwatch.ledger.store import Ledger

pytestmark = pytest.mark.services


class RunningClock:
    """A clock that runs, from the time of the scene on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.time = at(0)

    def now(self) -> datetime:
        return self.time + timedelta(seconds=time.monotonic() - self._began)

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    scene = make_scene(ledger, RunningClock())
    scene.raise_alarm(AMP, more={"OVERSCAN_LEVEL": amps("R10")})
    scene.beat()
    yield scene
    ledger.close()


@pytest.fixture
def served(scene: Scene) -> Iterator[Served]:
    served = Served(scene.app())
    yield served
    served.stop()


def fill(page: Page, reason: str, token: str = TOKEN) -> None:
    """Fill in the form that is open."""
    page.get_by_label("Your name").filter(visible=True).fill("Ada")
    page.get_by_label("Reason, for those").filter(visible=True).fill(reason)
    page.get_by_label("Token").filter(visible=True).fill(token)


def test_an_alarm_is_acknowledged_through_the_form(
    scene: Scene, served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url)
    card = page.locator("article", has_text="raft R10")
    card.get_by_text("Acknowledge or mute").click()
    fill(page, "REB <exchanged>")
    card.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(card).to_contain_text("Acknowledged by Ada: REB <exchanged>")
    (alarm,) = [one.alarm for one in scene.store.open_alarms() if one.alarm.acknowledged]
    assert alarm.key.part == "R10"
    card.get_by_text("Acknowledge or mute").click()
    assert page.get_by_label("Your name").filter(visible=True).input_value() == "Ada"
    assert console.complaints == []


def test_a_wrong_token_is_told_and_the_reason_kept(
    served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url)
    page.locator("article", has_text="raft R10").get_by_text("Acknowledge or mute").click()
    fill(page, "my reason", token="guessed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the token is not the right one")
    assert page.get_by_label("Reason, for those").input_value() == "my reason"
    assert all("401" in complaint for complaint in console.complaints)


def test_the_age_turns_red_when_nobody_answers(
    served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url)
    pulse = page.locator("#pulse")
    expect(pulse).to_have_class("pulse alive")
    expect(page.get_by_role("status")).to_have_text("The daemon lives.")
    assert console.complaints == []
    served.stop()
    expect(pulse).to_have_class("pulse silent")
    expect(pulse).to_contain_text("nobody answers")
    expect(page.get_by_role("status")).to_contain_text("The daemon is silent")
    red = pulse.evaluate("element => getComputedStyle(element).backgroundColor")
    assert red == "rgb(163, 24, 13)"


def test_the_age_turns_red_by_itself_when_the_daemon_says_nothing(
    browser: Browser, served: Served, console: Console
) -> None:
    with opened(browser, console) as page:  # A clock is one for a whole context.
        page.clock.install()
        page.goto(served.url)
        expect(page.locator("#pulse")).to_have_class("pulse alive")
        page.route("**/api/heartbeat", lambda route: None)
        page.clock.run_for(61_000)
        expect(page.locator("#pulse")).to_have_class("pulse silent")
        expect(page.locator("#pulse-text")).to_contain_text("daemon: 6")
    assert console.complaints == []


def test_a_new_alarm_shows_by_itself_but_not_under_somebodys_hands(
    scene: Scene, served: Served, page: Page, console: Console
) -> None:
    page.goto(served.url)
    page.locator("article", has_text="raft R10").get_by_text("Acknowledge or mute").click()
    page.get_by_label("Your name").filter(visible=True).fill("Ada")
    scene.raise_alarm(AMP, "R30_S00/C00", more={"OVERSCAN_LEVEL": amps("R10")}, first=3)
    expect(page.locator("#changed")).to_be_visible()
    assert page.get_by_label("Your name").filter(visible=True).input_value() == "Ada"
    page.get_by_role("link", name="Show it").click()
    expect(page.locator("article", has_text="R30_S00/C00")).to_be_visible()
    scene.raise_alarm(
        AMP, "R30_S00/C00", "R42_S00/C00", more={"OVERSCAN_LEVEL": amps("R10")}, first=5
    )
    expect(page.locator("article", has_text="R42_S00/C00")).to_be_visible()
    assert console.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(
    served: Served, page: Page, scheme: str, console: Console
) -> None:
    hold(page, scheme)
    for path in ("/", "/alarms/1", "/alarms/2", "/nothing"):
        page.goto(f"{served.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
    assert all("404" in complaint for complaint in console.complaints)


def test_the_keyboard_is_enough(scene: Scene, served: Served, page: Page) -> None:
    page.goto(served.url)
    summary = page.locator("article", has_text="raft R10").locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    for text in ("Ada", "by keyboard", TOKEN):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator("article", has_text="raft R10")).to_contain_text("by keyboard")
