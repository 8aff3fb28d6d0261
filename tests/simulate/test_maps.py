from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.model import Detector
from calwatch.simulate.maps import illumination, make_maps
from calwatch.simulate.truth import DetectorTruth


def test_response_is_prnu_on_a_smooth_vignette(detector: Detector, truth: DetectorTruth) -> None:
    maps = make_maps(detector, truth)
    for amp, response in zip(detector.amplifiers, maps.response, strict=True):
        light = illumination(detector, amp, truth.vignetting)
        assert (response / light).std() == pytest.approx(truth.prnu, rel=0.03)
        assert response.dtype == np.float32


def test_vignetting_is_continuous_across_the_assembled_detector(detector: Detector) -> None:
    field = np.full(detector.shape, np.nan)
    for amp in detector.amplifiers:
        light = illumination(detector, amp, 0.04)
        light = light[:: -1 if amp.flip_y else 1, :: -1 if amp.flip_x else 1]
        field[amp.bbox.slices] = light
    assert np.isfinite(field).all()
    assert np.abs(np.diff(field, axis=1)).max() < 0.04 * 4 / detector.width * 1.1
    np.testing.assert_allclose(field, field[::-1, ::-1], atol=1e-12)
    assert field[0, 0] == pytest.approx(0.96, abs=0.001)


def test_defects_stand_where_the_truth_says(detector: Detector, truth: DetectorTruth) -> None:
    marked = replace(
        truth.amps["C10"],
        hot_pixels=((4, 9, 50.0),),
        hot_columns=((30, 3.0),),
        dark_columns=((31, 0.5),),
    )
    plain = make_maps(detector, truth)
    maps = make_maps(detector, replace(truth, amps={**truth.amps, "C10": marked}))
    extra = maps.dark_rate[0] - plain.dark_rate[0]
    assert extra[4, 9] == pytest.approx(50.0)
    np.testing.assert_allclose(extra[:, 30], 3.0, rtol=1e-5)
    assert np.count_nonzero(extra) == 1 + 100
    np.testing.assert_allclose(maps.response[0][:, 31], 0.5 * plain.response[0][:, 31])
    assert np.array_equal(maps.response[1], plain.response[1])
