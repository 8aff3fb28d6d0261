from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Defects
from calwatch.camera.model import Box
from calwatch.isr.corrections import mask_defects
from calwatch.isr.stream.masks import _edges, _mark_boxes

SHAPE = (12, 17)

boxes = st.builds(
    Box, st.integers(-9, 20), st.integers(-9, 20), st.integers(0, 15), st.integers(0, 15)
)


@given(st.lists(boxes, max_size=6))
def test_defects_are_marked_as_in_the_plain_chain(found):
    before = np.where(np.indices(SHAPE).sum(axis=0) % 3 == 0, int(Mask.SAT), 0).astype(np.uint16)
    mask, rows, defects = before.copy(), np.zeros(SHAPE[0], np.bool_), Defects(tuple(found), {})
    _mark_boxes(_edges(defects), int(Mask.BAD), mask, rows)
    assert np.array_equal(mask, mask_defects(before, defects))
    assert rows[(mask & int(Mask.BAD)).any(axis=1)].all()
