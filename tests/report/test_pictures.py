"""The plots of a report, as what goes into the document."""

from __future__ import annotations

import json
import re

import pytest
from report_scene import Scene

from calwatch.camera.loader import load_camera
from calwatch.report.html import to_html
from calwatch.report.pictures import Pictures, draw


@pytest.fixture(scope="module")
def drawn(nights: Scene) -> Pictures:
    return draw(nights.report(), load_camera("LSSTCam"))


def test_each_kind_has_its_focal_plane_by_verdict_and_by_distance(drawn: Pictures) -> None:
    assert list(drawn.focal) == ["bias", "dark", "flat i_39"]
    by_verdict, by_distance = drawn.focal["bias"]
    assert by_verdict.caption == "By verdict: 30 PASS, 1 WARNING, 1 FAIL (amplifiers)."
    assert "R22_S11/C05 NOISE, 9.1" in by_distance.caption
    assert "7.8× as far as the limit" in by_distance.caption


def test_what_failed_has_a_trend_that_says_what_happened(drawn: Pictures) -> None:
    (trend,) = [one for one in drawn.trends if "NOISE of R22_S11/C05" in one.caption]
    assert "6 exposures from 2026-11-21 18:01 to 2026-11-22 18:04 UTC, of which 4 failed" in (
        trend.caption
    )
    assert "2026-11-22 18:02 calibration: another bias, defects, ptc" in trend.caption


def test_every_place_has_its_figure(nights: Scene, drawn: Pictures) -> None:
    html = to_html(nights.report(), drawn)
    places = re.findall(r'class="plot" id="([^"]+)"', html)
    shown = [name for script in drawn.scripts for name in re.findall(r'^show\("([^"]+)"', script)]
    assert sorted(places) == sorted(shown)
    assert len(places) == 6 + len(drawn.trends)


def test_the_library_is_there_once(drawn: Pictures) -> None:
    assert sum("Bokeh = " in script or "Bokeh=" in script for script in drawn.scripts) == 1


def test_no_script_ends_its_element(drawn: Pictures) -> None:
    assert not any("</" in script or "<!--" in script for script in drawn.scripts)
    figures = [script for script in drawn.scripts if script.startswith("show(")]
    for script in figures:
        json.loads(script.partition(", ")[2].removesuffix(");"))


def test_nothing_drawn_needs_no_library(scene: Scene) -> None:
    scene.take(1, unknown={"R22_S11": "truncated", "R22_S12": "truncated"})
    assert draw(scene.report(), load_camera("LSSTCam")) == Pictures()
