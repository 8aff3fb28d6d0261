"""The focal plane as a picture: every amplifier once, in its place and colour."""

from __future__ import annotations

import json

import pytest
from bokeh.embed import json_item
from bokeh.models import ColorBar, OpenURL, Patches, TapTool
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.loader import load_camera
from calwatch.camera.placing import corners
from calwatch.plots.focal_plane import WAYS, By, focal_plane, legend, scale
from calwatch.plots.look import COLOURS, DARK, DISTANCES, HATCHES, VALUES
from calwatch.plots.readings import Reading

LSSTCAM, LATISS = load_camera("LSSTCam"), load_camera("LATISS")


def make_reading(detector: str, amp: str, value: float | None, outcome: str = "P") -> Reading:
    return Reading(42, detector, amp, "NOISE", value, None, 2.0, "e-", outcome)


READINGS = [
    make_reading("R22_S11", "C05", 4.0, "F"),
    make_reading("R22_S11", "C06", 1.0),
    make_reading("R22_S12", "C00", None, "U"),
]


def cells(plot) -> dict[tuple[str, str], dict]:
    """Return what is drawn of each amplifier."""
    data = _patches(plot)[0].data_source.data
    rows = (dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True))
    return {(row["detector"], row["amp"]): row for row in rows}


def test_every_amplifier_stands_once_in_its_place() -> None:
    found = cells(focal_plane(LSSTCAM, READINGS, "verdict"))
    assert len(found) == sum(len(d.amplifiers) for d in LSSTCAM.detectors) == 3216
    detector = LSSTCAM.detector("R04_SG0")
    points = corners(detector, detector.amplifier("C17").bbox)
    drawn = found["R04_SG0", "C17"]
    assert list(zip(drawn["xs"], drawn["ys"], strict=True)) == [
        (round(x, 2), round(y, 2)) for x, y in points
    ]


def test_only_what_has_a_hatching_asks_for_one() -> None:
    """A glyph that asks for hatchings takes many times as long, those that are empty included."""
    plain, hatched = _patches(focal_plane(LSSTCAM, READINGS, "verdict"))
    assert plain.glyph.hatch_pattern is None
    assert sorted(hatched.data_source.data["hatch"]) == sorted([HATCHES["F"], HATCHES["U"]])
    assert len(_patches(focal_plane(LSSTCAM, READINGS[1:2], "verdict"))) == 1


def _patches(plot) -> list:
    return [r for r in plot.renderers if isinstance(r.glyph, Patches)]


def test_colour_and_hatching_say_the_verdict() -> None:
    found = cells(focal_plane(LSSTCAM, READINGS, "verdict"))
    for place, letter in ((("R22_S11", "C05"), "F"), (("R22_S12", "C00"), "U")):
        assert (found[place]["fill"], found[place]["hatch"]) == (COLOURS[letter], HATCHES[letter])
    assert found["R00_SW0", "C10"]["fill"] == COLOURS["-"]
    assert found["R22_S11", "C05"]["shown"] == "4 e-"
    assert found["R22_S11", "C05"]["allowed"] == "−∞ … 2"
    assert found["R00_SW0", "C10"]["words"] == "not judged"


def test_distance_and_value_have_a_scale() -> None:
    near = cells(focal_plane(LSSTCAM, READINGS, "distance"))
    assert near["R22_S11", "C05"]["fill"] == DISTANCES[-1]
    assert near["R22_S11", "C06"]["fill"] == DISTANCES[len(DISTANCES) // 4]
    assert near["R22_S12", "C00"]["fill"] == COLOURS["-"]
    on_limit = [make_reading("R22_S11", "C05", 2.0, "W")]
    drawn = cells(focal_plane(LSSTCAM, on_limit, "distance"))
    assert drawn["R22_S11", "C05"]["fill"] == DISTANCES[len(DISTANCES) // 2 - 1]
    by_value = focal_plane(LSSTCAM, READINGS, "value")
    assert cells(by_value)["R22_S11", "C06"]["fill"] == VALUES[0]
    assert any(isinstance(one, ColorBar) for one in by_value.right)


def test_a_tap_leads_to_the_amplifier_and_nothing_runs_scripts() -> None:
    plot = focal_plane(LATISS, [], "verdict", address=lambda r: f"/a/{r.amp}")
    (tap,) = (tool for tool in plot.tools if isinstance(tool, TapTool))
    assert isinstance(tap.callback, OpenURL)
    assert "CustomJS" not in json.dumps(json_item(plot))
    found = cells(
        focal_plane(
            LATISS, [make_reading("RXX_S00", "C03", 1.0)], "verdict",
            address=lambda r: f"/a/{r.amp}",
        )
    )  # fmt: skip
    assert found["RXX_S00", "C03"]["address"] == "/a/C03"
    assert found["RXX_S00", "C04"]["address"] == ""


@pytest.mark.parametrize("by", WAYS)
def test_it_is_json_in_either_scheme(by: By) -> None:
    assert "NaN" not in json.dumps(json_item(focal_plane(LATISS, READINGS, by, scheme=DARK)))


def test_the_legend_counts_what_is_there() -> None:
    assert {word: count for word, (_, count) in legend(READINGS).items()} == {
        "PASS": 1, "FAIL": 1, "UNKNOWN": 1,
    }  # fmt: skip


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_the_scale_lies_within_the_values_and_has_a_width(values: list[float]) -> None:
    low, high = scale([make_reading("R22_S11", "C00", v) for v in values], "value")
    assert low < high
    if high - low != 1.0:
        assert min(values) <= low < high <= max(values)


def test_one_outlier_does_not_stretch_the_scale() -> None:
    values = [float(i % 10) for i in range(200)] + [1e6]
    assert scale([make_reading("R22_S11", "C00", v) for v in values], "value") == (0.0, 9.0)
