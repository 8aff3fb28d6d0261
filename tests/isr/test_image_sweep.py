"""Projections and correlation together against each alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.model import Box
from calwatch.isr.correlations import image_correlation
from calwatch.isr.image_sweep import project_and_correlate
from calwatch.isr.projections import project_reference


def assert_both_agree(image, detector, skip):
    *projections, correlation = project_and_correlate(image, detector, skip)
    for fast, plain in zip(projections, project_reference(image, detector), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-12, atol=1e-9)
    alone = image_correlation(image, detector, skip)
    np.testing.assert_allclose(correlation, alone, rtol=0, atol=1e-6)


@given(
    seed=st.integers(0, 2**32 - 1),
    gradient=st.sampled_from([0.0, 10.0]),
    skip=st.lists(st.booleans(), min_size=4, max_size=4),
    missing=st.booleans(),
    rows=st.sampled_from([64, 63, 61, 3]),
)
def test_the_sweep_does_what_both_do(detector, seed, gradient, skip, missing, rows):
    """Also for rows that are no multiple of those that are taken together."""
    boxes = [Box(a.bbox.x0, rows if a.bbox.y0 else 0, 30, rows) for a in detector.amplifiers]
    amplifiers = zip(detector.amplifiers, boxes, strict=True)
    amplifiers = tuple(replace(amp, bbox=box) for amp, box in amplifiers)
    image = np.random.default_rng(seed).normal(10.0, 5.0, (2 * rows, 60))
    image += gradient * np.arange(2 * rows)[:, None]
    image = image.astype(np.float32)
    if missing:
        image[1, 2] = np.nan
    assert_both_agree(image, replace(detector, amplifiers=amplifiers), np.array(skip))


@pytest.mark.parametrize("faulty", [True, False])
def test_amplifiers_of_unlike_size(detector, faulty):
    image = np.random.default_rng(4).normal(0, 5, detector.shape).astype(np.float32)
    first = replace(detector.amplifiers[0], bbox=Box(0, 64, 25, 60))
    uneven = replace(detector, amplifiers=(first, *detector.amplifiers[1:]))
    assert_both_agree(image, uneven, np.array([False, faulty, False, False]))
