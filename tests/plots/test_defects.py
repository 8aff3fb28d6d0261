"""The map of new defects."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bokeh.embed import json_item
from bokeh.models import Scatter, Segment

from calwatch.camera.loader import load_camera
from calwatch.plots.defects import COLUMN, KINDS, amp_at, defect_map
from calwatch.plots.look import DARK, LIGHT
from calwatch.verify.sets import defects

DETECTOR = load_camera("LSSTCam").detector("R22_S11")
BOXES = {amp.name: amp.bbox for amp in DETECTOR.amplifiers}
AMP = DETECTOR.amplifiers[3]
INSIDE = (AMP.bbox.x0 + 10, AMP.bbox.y0 + 20)


def test_the_kinds_are_those_that_are_measured() -> None:
    numbers = {defects.BRIGHT: "bright", defects.DARK: "dark", defects.UNSTABLE: "unstable"}
    assert {n: look.name for n, look in KINDS.items()} == {**numbers, defects.COLUMN: "column"}
    assert defects.COLUMN == COLUMN


def test_each_kind_has_its_own_mark_where_it_is() -> None:
    places = np.array([[*INSIDE, kind] for kind in KINDS])
    plot = defect_map(DETECTOR, places)
    drawn = [one for one in plot.renderers if isinstance(one.glyph, Scatter)]
    assert len({one.glyph.marker for one in drawn}) == 3
    for one in drawn:
        data = one.data_source.data
        assert (data["x"][0], data["y"][0], data["amp"][0]) == (*INSIDE, AMP.name)


def test_a_column_goes_through_its_amplifier() -> None:
    plot = defect_map(DETECTOR, np.array([[*INSIDE, COLUMN]]))
    (column,) = (one for one in plot.renderers if isinstance(one.glyph, Segment))
    data = column.data_source.data
    assert (data["y0"], data["y1"]) == ([AMP.bbox.y0], [AMP.bbox.y1])


def test_the_legend_counts_each_kind() -> None:
    plot = defect_map(DETECTOR, np.array([[*INSIDE, 1], [5.0, 5.0, 1], [5.0, 9.0, 3]]))
    assert [i.label.value for i in plot.legend[0].items] == ["bright: 2", "unstable: 1"]


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_no_defect_and_one_outside_are_pictures_too(scheme) -> None:
    for places in (np.empty((0, 3)), np.array([[1e6, 1e6, COLUMN], [3.0, 3.0, 9.0]])):
        json.dumps(json_item(defect_map(DETECTOR, places, scheme=scheme)), allow_nan=False)


def test_an_amplifier_is_found_by_its_pixel() -> None:
    assert amp_at(BOXES, *INSIDE) == AMP.name
    assert amp_at(BOXES, -1, 5) == ""
