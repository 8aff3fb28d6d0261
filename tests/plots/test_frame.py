"""The frame and its profiles as pictures."""

from __future__ import annotations

import json

import numpy as np
from bokeh.embed import json_item
from bokeh.models import Image, Line, Quad

from calwatch.camera.loader import load_camera
from calwatch.plots.frame import frame_image, profile, spread

DETECTOR = load_camera("LSSTCam").detector("R01_S00")


def test_each_amplifier_is_drawn_where_it_is_and_one_is_outlined() -> None:
    image = np.zeros((16, 63, 16), np.float32)
    image[3] = np.arange(16)
    plot = frame_image(image, DETECTOR, DETECTOR.amplifiers[3])
    drawn = [r for r in plot.renderers if isinstance(r.glyph, Image)]
    assert len(drawn) == 16
    box = DETECTOR.amplifiers[3].bbox
    assert (drawn[3].glyph.x, drawn[3].glyph.y) == (box.x0, box.y0)
    assert (drawn[3].glyph.dw, drawn[3].glyph.dh) == (box.width, box.height)
    np.testing.assert_array_equal(drawn[3].data_source.data["image"][0], image[3])
    outlined = [r for r in plot.renderers if isinstance(r.glyph, Quad)]
    assert len(outlined) == 17
    assert outlined[-1].glyph.line_width == 3.0


def test_what_is_masked_leaves_a_hole_and_no_broken_json() -> None:
    image = np.full((16, 63, 16), np.nan, np.float32)
    assert spread(image) == 1.0
    json.dumps(json_item(frame_image(image, DETECTOR)), allow_nan=False)


def test_one_hot_block_does_not_hide_the_rest() -> None:
    image = np.random.default_rng(1).normal(0.0, 1.0, (16, 63, 16)).astype(np.float32)
    image[0, 0, 0] = 1e6
    assert 2.8 < spread(image) < 3.2


def test_a_profile_stands_in_the_middle_of_its_blocks() -> None:
    plot = profile([1.0, np.nan, 3.0], "row", step=32)
    (line,) = (r for r in plot.renderers if isinstance(r.glyph, Line))
    assert list(line.data_source.data["x"]) == [15.5, 47.5, 79.5]
    assert plot.title.text == "mean of each row, e-"
