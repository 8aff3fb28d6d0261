"""What a frame of a stack costs at full size, and what a whole set does.

``python tests/benchmarks/stacks.py`` prints it; frames are made before the clock runs.
"""

from __future__ import annotations

import resource
from collections.abc import Callable

import numpy as np
from costs import Cost
from tables import Table

from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.verify.sets import dark_stack, defects
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.stack import Stack
from calwatch.verify.sets.stack_kernels import boxes_of, plain_add_frame

FRAMES = 8
DETECTOR = 94


def measure() -> Table:
    """Add frames of an LSSTCam detector up, and measure whole sets of them."""
    detector = load_camera("LSSTCam").detector(DETECTOR)
    frames = [_dark(detector, n) for n in range(FRAMES)]
    sets: dict[str, tuple[Callable[[], Stack], Callable[[], object]]] = {
        "defects": (
            lambda: Stack(detector, "dark", threshold=5.0, scatter=True),
            lambda: defects.measure(detector, frames, "dark", CalibrationSet()),
        ),
        "dark_stack": (
            lambda: Stack(detector, "dark", parts=2),
            lambda: dark_stack.measure(detector, frames, CalibrationSet()),
        ),
    }
    rows = []
    for name, (make, whole) in sets.items():
        whole()  # compiled
        each, all_of_it, plain = Cost(), Cost(), Cost()
        stack = make()
        for frame in frames:
            each.add(stack.add, frame)
        all_of_it.add(whole)
        plain.add(_add_plainly, make(), frames[0])
        rows.append(
            [name, f"{each.cpu_ms:.0f}", f"{plain.cpu_ms:.0f}", f"{all_of_it.cpu_ms / 1000:.2f}"]
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    height, width = detector.shape
    return Table(
        f"Stacks of {width} x {height} pixels",
        ["", "a frame, CPU ms", "in plain numpy, CPU ms", f"a set of {FRAMES}, CPU s"],
        rows,
        f"Medians of {FRAMES} frames. Aim: 150 ms a frame. Peak of the process, which holds all "
        f"frames: {peak:.0f} MB, of which {FRAMES * 6 * height * width / 1e6:.0f} MB are frames.",
    )


def _dark(detector: Detector, number: int) -> CorrectedFrame:
    n_amp = len(detector.amplifiers)
    rng = np.random.default_rng(number)
    image = rng.standard_normal(detector.shape, dtype=np.float32)
    image *= np.float32(6.0)
    return CorrectedFrame(
        exposure_id=number,
        exposure_time=30.0,
        dark_time=30.0,
        image=image,
        mask=np.zeros(detector.shape, np.uint16),
        gain=np.full(n_amp, 1.5),
        overscan_noise=np.full(n_amp, 4.0),
        faults=("",) * n_amp,
    )


def _add_plainly(stack: Stack, frame: CorrectedFrame) -> None:
    boxes = boxes_of([amp.bbox for amp in stack.detector.amplifiers])
    high = stack.threshold * 5 if stack.scatter else np.inf
    terms = np.array([(0, 1 / 6, 5, -np.inf, high)] * len(boxes), np.float32)
    plain_add_frame(stack.planes, frame.image, boxes, terms, 0, 0)


if __name__ == "__main__":
    print(measure().text())
