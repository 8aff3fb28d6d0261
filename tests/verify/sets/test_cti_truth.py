"""Charge transfer of the simulator's own frames: each geometry of the LSSTCam, in small."""

from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.loader import load_camera
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import make_maps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.small import small_camera
from calwatch.simulate.truth import detector_truth
from calwatch.verify.sets.cti import measure
from calwatch.verify.sets.model import RawFrame

LOST = 2e-5
"""Share per serial transfer, besides what the simulator always loses."""


def _flat(seq_num):
    return SimulatedExposure(
        2026112200000 + seq_num, f"MC_O_20261122_{seq_num:06d}", 20261122, seq_num, "flat",
        "daily_flat", "BLOCK-T399", "", "i_39", "i", 10.0, 10.0, 61366.5, 40_000.0, "night 1", 1,
        seq_num, 4,
    )  # fmt: skip


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    path, numbers = small_camera("LSSTCam", tmp_path_factory.mktemp("small"))
    return load_camera(path), numbers


def test_what_the_simulator_loses_comes_back(camera):
    camera, numbers = camera
    pulls, amps = [], []
    for number in numbers:
        detector = camera.detector(number)
        for seed in range(1, 9):
            truth = detector_truth(detector, seed)
            # Raw counts are not linear: the signal falls short by 0.2 %, and so the CTI is too high
            # by as much. That is in no error. Bad columns are left out as they are few.
            plain = {
                name: replace(amp, hot_columns=(), dark_columns=(), nonlinearity=0.0)
                for name, amp in truth.amps.items()
            }
            truth = replace(truth, amps=plain)
            maps = make_maps(detector, truth)
            lost = FrameEffects(lost_charge=dict.fromkeys(detector.amp_names, LOST))
            first, second = (
                RawFrame(
                    seq,
                    10.0,
                    make_frame(detector, truth, maps, _flat(seq), lost),
                    ("",) * len(detector.amplifiers),
                )
                for seq in (2, 3)
            )
            found = measure(detector, first, second, CalibrationSet())
            assert not found.faults
            amps.append(len(found.amps))
            for name, numbers_of in found.amps.items():
                wanted = truth.amps[name].cti + LOST
                error = numbers_of["SERIAL_CTI_ERROR"]
                pulls.append((numbers_of["SERIAL_CTI"] - wanted) / error)
                assert abs(numbers_of["PARALLEL_CTI"]) < 5 * numbers_of["PARALLEL_CTI_ERROR"]
    assert {8, 16} <= set(amps)
    values = np.array(pulls)
    assert values.size >= 200
    assert abs(values.mean()) < 0.1
    assert abs(values.std(ddof=1) - 1) < 0.15


def test_no_edge_of_the_simulator_is_torn(camera):
    camera, numbers = camera
    detectors = [camera.detector(number) for number in numbers]
    detector = next(d for d in detectors if d.vendor == "E2V")
    truth = detector_truth(detector, 1)
    maps = make_maps(detector, truth)
    frames = [
        RawFrame(
            seq, 10.0, make_frame(detector, truth, maps, _flat(seq), FrameEffects()), ("",) * 16
        )
        for seq in (2, 3)
    ]
    found = measure(detector, *frames, CalibrationSet())
    values = np.array([numbers["DIVISADERO"] for numbers in found.amps.values()])
    assert values.max() < 0.01
