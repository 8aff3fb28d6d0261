"""The photodiode follows the lamp, whatever is wrong with it, and no single detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.loader import load_camera
from calwatch.simulate.faults import parse_fault
from calwatch.simulate.frames import lamp_level
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.photodiode import CHARGE, readings
from calwatch.simulate.plan import SimulationPlan, night_exposures, set_up
from calwatch.verify.sets.photodiode import Integration, charge_of

CAMERA = load_camera("LSSTCam")
DETECTORS = (CAMERA.detector("R22_S11"),)


@pytest.fixture(scope="module")
def night() -> list[SimulatedExposure]:
    plan = SimulationPlan(root="repo", instrument="LSSTCam", detectors=("R22_S11",), pairs=8)
    return [e for e in night_exposures(set_up(plan), 1) if e.reason == "daily_ptc"]


def _charge(exposure, *faults, seed=1):
    found = readings(exposure, [parse_fault(one, CAMERA, DETECTORS) for one in faults], seed)
    return charge_of(found, exposure.exposure_time, Integration())


def test_its_charge_is_that_of_the_light_within_its_noise(night):
    pulls, last = [], []
    for seed in range(20):
        for exposure in night:
            true = CHARGE * exposure.electrons * lamp_level(seed, exposure)
            charge = _charge(exposure, seed=seed)
            assert not charge.fault
            error = np.hypot(charge.error, 2e-4 * true)
            pulls.append((charge.value - true) / error)
        last.append(charge.error / charge.value)
    assert abs(np.mean(pulls)) < 0.2
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)
    assert max(last) < 5e-4
    assert _charge(night[0]).error < 0.005 * _charge(night[0]).value


@pytest.mark.parametrize(
    ("fault", "factor"),
    [
        ("lamp_drift:factor=1.1", 1.1),
        ("lamp_drift:factor=1.1,number=2", 1.0),
        ("lamp_drift:factor=1.1,detector=R22_S11", 1.0),
        ("gain_step:factor=1.1", 1.0),
        ("saturated_flat:factor=3", 3.0),
        ("lamp_fading:factor=0.99", 0.99 ** (10 - 1)),
    ],
)
def test_it_sees_what_is_wrong_with_the_lamp(night, fault, factor):
    assert (night[0].current, night[0].seq_num) == (1, 10)
    assert _charge(night[0], fault).value == pytest.approx(
        factor * _charge(night[0]).value, rel=0.02
    )


def test_a_lamp_that_is_off_gives_no_charge_worth_its_name(night):
    bright = replace(night[-1])
    dark = _charge(bright, "lamp_off")
    assert dark.fault or dark.value < 1e-2 * _charge(bright).value


def test_the_same_again_is_the_same(night):
    assert np.array_equal(readings(night[0], (), 1).current, readings(night[0], (), 1).current)
    assert not np.array_equal(readings(night[0], (), 1).current, readings(night[0], (), 2).current)
