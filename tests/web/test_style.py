from __future__ import annotations

import re

import pytest

from calwatch.web.render import STATIC

ENOUGH = 4.5
"""Contrast that WCAG 2 (AA) asks of text."""
PAIRS = [
    *((ink, ground) for ink in ("ink", "dim", "link", "late") for ground in ("ground", "paper")),
    *(
        (f"{name}-ink", name)
        for name in ("critical", "serious", "warning", "recovered", "over", "silent")
    ),
]


def schemes() -> dict[str, dict[str, str]]:
    """Return the colours of the style sheet by name, in light and in dark."""
    text = (STATIC / "style.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))
        for block in re.findall(r":root\s*\{(.*?)\}", text, re.DOTALL)
    )
    return {"light": light, "dark": {**light, **dark}}


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_wcag_has_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_can_be_read(scheme: str, ink: str, ground: str) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[ink], colours[ground]) >= ENOUGH


def test_every_colour_of_a_background_has_its_ink_checked() -> None:
    text = (STATIC / "style.css").read_text()
    used = set(re.findall(r"background:\s*var\(--([\w-]+)\)", text))
    checked = {ground for _, ground in PAIRS}
    # The heartbeat's mark has no text; the main button has paper on the colour of links.
    assert used - checked == {"alive", "link"}
