"""Debian's Chromium, driven by playwright, and what it complains of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from absence import absent
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

PATIENCE_MS = 60_000
PHONE: ViewportSize = {"width": 360, "height": 740}
expect.set_options(timeout=PATIENCE_MS)  # The page looks again every few seconds.


@contextmanager
def running() -> Iterator[Browser]:
    """Start the browser; no other event loop runs in this thread until it is closed."""
    path = shutil.which("chromium")
    if path is None:
        absent("chromium", "is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Console:
    """What the browser complains of."""

    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on(
            "console",
            lambda said: (
                self.complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@contextmanager
def opened(place: Browser | BrowserContext, console: Console, **options) -> Iterator[Page]:
    """Open an empty page, in a context of its own if `place` is a browser."""
    page = place.new_page(**options)
    page.set_default_timeout(PATIENCE_MS)
    console.watch(page)
    try:
        yield page
    finally:
        page.close()


def hold(page: Page, scheme: str = "light") -> None:
    """Let a page be on a phone."""
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme)
