from __future__ import annotations

import json

import numpy as np
import pytest

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.simulate.truth import Truth, detector_truth


def test_the_same_seed_draws_the_same_detector(detector: Detector) -> None:
    assert detector_truth(detector, 3) == detector_truth(detector, 3)
    assert detector_truth(detector, 3) != detector_truth(detector, 4)


@pytest.mark.parametrize(("number", "a00", "gain"), [(94, -3.09e-6, 1.48), (0, -1.71e-6, 1.68)])
def test_amplifiers_scatter_about_published_medians(number: int, a00: float, gain: float) -> None:
    detector = load_camera("LSSTCam").detector(number)
    vendors = {-3.09e-6: "E2V", -1.71e-6: "ITL"}
    if detector.vendor != vendors[a00]:
        detector = next(d for d in load_camera("LSSTCam").detectors if d.vendor == vendors[a00])
    amps = detector_truth(detector, 1).amps.values()
    assert np.mean([amp.a00 for amp in amps]) == pytest.approx(a00, rel=0.03)
    assert np.mean([amp.gain for amp in amps]) == pytest.approx(gain, rel=0.03)
    assert all(4.0 < amp.read_noise < 9.0 for amp in amps)


def test_crosstalk_is_small_and_never_with_oneself(detector: Detector) -> None:
    matrix = detector_truth(detector, 2).crosstalk_array
    assert matrix.shape == (16, 16)
    assert not matrix.diagonal().any()
    assert 5e-5 < np.abs(matrix).max() < 5e-4


def test_truth_survives_json(detector: Detector) -> None:
    truth = Truth(
        instrument="MiniCam",
        camera="mini.yaml",
        seed=1,
        flat_rates={"r_57": 5000.0},
        detectors={detector.name: detector_truth(detector, 1).to_dict()},
    )
    text = json.dumps(truth.to_dict(), allow_nan=False)
    again = Truth.from_dict(json.loads(text))
    assert json.dumps(again.to_dict()) == text
    amps = again.detectors["R00_S00"]["amps"]
    assert set(amps) == set(detector.amp_names)
    assert amps["C00"]["hot_pixels"]
