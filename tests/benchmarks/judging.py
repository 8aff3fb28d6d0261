"""What it takes to judge the numbers of a whole camera and to merge them."""

from __future__ import annotations

import gc
import math
from dataclasses import replace

from costs import Cost
from tables import Table

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.verify.amplifier import Metrics
from calwatch.verify.exposure import Exposure
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult

RUNS = 15


def measure(results: dict[str, DetectorResult]) -> Table:
    """Judge the numbers of one real result of each type as those of all detectors of LSSTCam."""
    camera, limits = load_camera("LSSTCam"), load_limits("dmtn101")
    gc.freeze()  # as a worker does
    rows = []
    for name, result in results.items():
        exposure = Exposure("LSSTCam", result.exposure_id, result.calib_type, None)
        amps = {amp: _numbers(judged.metrics) for amp, judged in result.amps.items()}
        numbers = _numbers(result.detector_metrics)
        judging, merging = Cost(), Cost()
        for _ in range(RUNS):
            judged = judging.add(_judge_all, exposure, camera, amps, numbers, limits)
            merging.add(merge_exposure, judged, limits)
        tests = sum(len(amp.tests) for amp in judged[0].amps.values())
        tests += len(judged[0].detector_tests)
        rows.append(
            [
                name, f"{len(judged)}", f"{len(judged) * tests}", f"{judging.cpu_ms:.0f}",
                f"{merging.cpu_ms:.0f}",
            ]
        )  # fmt: skip
    return Table(
        "Judging the numbers of LSSTCam",
        ["", "detectors", "tests", "judging, CPU ms", "merging, CPU ms"],
        rows,
        f"Medians of {RUNS} runs, limits loaded. Aim: 100 ms for both.",
    )


def _judge_all(
    exposure: Exposure, camera: Camera, amps: dict[str, Metrics], numbers: Metrics, limits: Limits
) -> list[DetectorResult]:
    return [judge_numbers(exposure, d, amps, numbers, limits) for d in camera.detectors]


def _numbers(metrics: dict[str, float | None]) -> dict[str, float]:
    """Return numbers as a measurement gives them: NaN where there is none."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def camera_of_results(result: DetectorResult) -> list[DetectorResult]:
    """Return one result as that of every detector of LSSTCam."""
    return [
        replace(result, detector=detector.number, detector_name=detector.name)
        for detector in load_camera("LSSTCam").detectors
    ]
