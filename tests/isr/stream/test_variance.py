"""The variance as a sum of terms is the variance of every pixel, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calwatch.camera.model import Box
from calwatch.isr.chain import run_isr
from calwatch.isr.cosmic_rays import cosmic_ray_noise
from calwatch.isr.remembered import Remembered
from calwatch.isr.stream.engine import StreamedResult
from calwatch.isr.variance_terms import CELL, know_around, plain_terms, sparse_variance
from calwatch.verify.fast_pixels import FastPixels
from calwatch.verify.good_pixels import PlainPixels

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_terms_say_what_the_plane_says(isr_inputs, data):
    given = data.draw(isr_inputs)
    result = run_isr(given)
    if not isinstance(result, StreamedResult):
        return
    terms = result.variance_parts.terms(result.image)
    sparse = sparse_variance(result.image.shape)
    height, width = result.image.shape
    for y, x in [(1, 1), (1, width - 2), (height - 2, width // 2)]:
        know_around(terms, *sparse, y, x)
    with_data = np.repeat(sparse.known, CELL, axis=1)[:, :width].copy()
    with_data.reshape(-1)[result.variance_parts.without_data] = False
    assert np.array_equal(sparse.plane[with_data], result.variance[with_data], equal_nan=True)
    at_least = terms.least[terms.least_of_row] + (result.image if terms.with_noise else 0.0)
    replaced = np.zeros(result.image.shape, bool)
    if result.variance_parts.replaced is not None:
        replaced[tuple(result.variance_parts.replaced.places.T)] = True
    assert not (at_least * 0.9995 > np.maximum(result.variance, 0.0))[~replaced].any()
    pixels = result.image, result.mask, given.detector
    fast = FastPixels(*pixels).mean_variances(result)
    assert fast == pytest.approx(PlainPixels(*pixels).mean_variances(result), rel=1e-9, nan_ok=True)


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data(), st.integers(0, 2**31))
def test_cosmic_rays_are_those_found_with_the_plane(isr_inputs, data, seed):
    given = data.draw(isr_inputs)
    result = run_isr(given)
    if not isinstance(result, StreamedResult) or result.variance_parts.flat is not None:
        return
    rng = np.random.default_rng(seed)
    y, x = (rng.integers(0, size, 20) for size in result.image.shape)
    result.image[y, x] += rng.uniform(0.0, 300.0, 20).astype(np.float32)
    terms = result.variance_parts.terms(result.image)
    a = cosmic_ray_noise(result.image, result.mask, terms, seed, 0.0)
    b = cosmic_ray_noise(result.image, result.mask, plain_terms(result.variance), seed, 0.0)
    assert np.array_equal(a[0], b[0])
    assert np.array_equal(a[1], b[1], equal_nan=True)


def test_what_is_remembered_of_an_image_is_forgotten_with_it():
    calls = []
    sums = Remembered(lambda image, box: calls.append(box) or float(image[box.slices].sum()))
    image, box = np.ones((4, 5), np.float32), Box(0, 0, 5, 4)
    assert (sums(image, box), sums(image, box), sums(image, Box(0, 0, 1, 1))) == (
        20,
        20,
        1,
    )
    assert len(calls) == 2
    del image
    assert not sums._known
