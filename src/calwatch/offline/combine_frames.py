"""Correcting single raw frames for a combination, in this process or in workers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from calwatch.arrays import AnyArray, BoolArray, DoubleArray, FloatArray
from calwatch.butler.files import local_copy
from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet
from calwatch.calibrations.read import read_calibration
from calwatch.camera.header import HeaderFacts, detector_exposure_id, translate
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import read_raw
from calwatch.errors import StopError
from calwatch.isr.chain import run_isr
from calwatch.isr.clipped import clipped_statistics
from calwatch.isr.cosmic_rays import replace_cosmic_rays
from calwatch.isr.model import IsrInput, IsrResult, IsrSwitches
from calwatch.isr.switches import switches_for
from calwatch.memory import hold_memory
from calwatch.offline.combine_ptc import difference_noise
from calwatch.offline.combine_stack import ByteArray, flag_frame, prepare_stack
from calwatch.verify.sets.pair import PairPoint, inner_box, pair_point

CR_GROW = 2
"""Pixels by which cosmic rays in darks are grown (cp_pipe ``cpDark.py``)."""

_WITH_LEVEL = ("flat", "linearizer")
"""Types that use the level of each frame."""

_UNUSABLE = int(Mask.BAD | Mask.NO_DATA | Mask.SAT | Mask.UNMASKEDNAN)

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FrameSetup:
    """What all frames of one detector have in common. Plain data: it crosses a process border."""

    camera: Camera
    detector: Detector
    calib_type: str
    calibrations: tuple[tuple[str, str], ...]
    """(type, URI) of what is used to correct the frames."""
    in_electrons: bool
    """Whether gains are wanted."""


@dataclass(frozen=True, slots=True)
class FrameTask:
    """One frame to correct and store at its place in the stack on disk."""

    setup: FrameSetup
    uri: str
    index: int
    pixels: str
    masks: str
    """Paths of the arrays, made by `make_store`; empty if only numbers are wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What is kept of one corrected frame."""

    facts: HeaderFacts
    header: Mapping[str, Any]
    units: str
    """``electron`` or ``adu``."""
    level: float
    """Clipped mean of the detector's good pixels, in ``units``; NaN where nothing needs it."""
    amp_levels: DoubleArray
    """The same of each amplifier."""


@dataclass(frozen=True, slots=True)
class PairTask:
    """Two frames to compare: flats of equal exposure, or two biases."""

    setup: FrameSetup
    uris: tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What two frames say together, one entry per amplifier."""

    facts: tuple[HeaderFacts, HeaderFacts]
    header: Mapping[str, Any]
    points: tuple[PairPoint, ...]
    """Empty for biases."""
    noise: DoubleArray
    """ADU: from the difference; empty for flats."""
    overscan: DoubleArray
    """ADU."""


def make_store(directory: Path, n_frames: int, detector: Detector) -> tuple[str, str]:
    """Make the arrays on disk that hold a stack of frames and of masks; return their paths."""
    names = directory / "pixels", directory / "masks"
    for name, kind in zip(names, (np.float32, np.uint8), strict=True):
        with name.open("wb") as file:
            file.truncate(
                n_frames * detector.shape[0] * detector.shape[1] * np.dtype(kind).itemsize
            )
    return str(names[0]), str(names[1])


@contextmanager
def worker_pool(processes: int) -> Iterator[Executor | None]:
    """Give so many worker processes, or None where the work is to be done in this one."""
    if processes <= 1:
        yield None
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker() -> None:
    """Set up a worker process: Ctrl-C reaches the whole group, and only the parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hold_memory()


def run_tasks(
    work: Callable[[Task], Result], tasks: Sequence[Task], pool: Executor | None
) -> Iterator[Result]:
    """Yield the result of each task in order, in the workers of a pool if there is one."""
    return map(work, tasks) if pool is None else pool.map(work, tasks)


def store_frame(task: FrameTask) -> Frame:
    """Correct one frame, put it in its place on disk, and return its numbers."""
    setup = task.setup
    facts, header, result = _correct(setup, task.uri)
    units = "electron" if "gain" in result.applied else "adu"
    if task.pixels:
        flags = _flags(result, setup, facts)
        if setup.calib_type == "dark":
            result.image[...] /= np.float32(_positive_time(facts, task.uri))
        _store(task.pixels, task.index, result.image)
        _store(task.masks, task.index, flags)
    amp_levels = np.full(len(setup.detector.amplifiers), np.nan)
    if setup.calib_type in _WITH_LEVEL:
        amp_levels = _levels(result, setup.detector)
    areas = np.array([amp.bbox.area for amp in setup.detector.amplifiers], float)
    finite = np.isfinite(amp_levels)
    level = float(np.average(amp_levels[finite], weights=areas[finite])) if finite.any() else np.nan
    return Frame(facts, header, units, level, amp_levels)


def _store(path: str, index: int, frame: FloatArray | ByteArray) -> None:
    with Path(path).open("r+b") as file:
        file.seek(index * frame.nbytes)
        np.ascontiguousarray(frame).tofile(file)


def _levels(result: IsrResult, detector: Detector) -> DoubleArray:
    """Return the clipped mean of the good pixels of each amplifier; NaN where there are none."""
    good = ~_unusable(result)
    boxes = [amp.bbox.slices for amp in detector.amplifiers]
    return np.array(
        [
            clipped_statistics(result.image[box][good[box]], 5.0, 3).mean
            if good[box].any()
            else np.nan
            for box in boxes
        ]
    )


def measure_pair(task: PairTask) -> Pair:
    """Correct two frames; measure noise if they are biases, means and variance if flats."""
    detector = task.setup.detector
    facts_1, header, first = _correct(task.setup, task.uris[0])
    facts_2, _, second = _correct(task.setup, task.uris[1])
    bad = _unusable(first) | _unusable(second)
    points, noise = [], []
    biases = facts_1.observation_type == "bias"
    for amp in detector.amplifiers:
        box = inner_box(amp.bbox).slices
        good = ~bad[box]
        pixels = first.image[box][good], second.image[box][good]
        if biases:
            noise.append(difference_noise(*pixels))
        else:
            points.append(pair_point(*pixels))
    overscan = np.mean([_overscan(first, detector), _overscan(second, detector)], axis=0)
    return Pair((facts_1, facts_2), header, tuple(points), np.array(noise), overscan)


def combination_switches(camera: Camera, calib_type: str, *, in_electrons: bool) -> IsrSwitches:
    """Return the ISR steps of a combination (cp_pipe ``_ingredients/cp*LSST.yaml``).

    Bias: overscan, gains, crosstalk, linearity; dark: bias as well; flat: bias and dark as well.
    PTC: everything in ADU, linearised; linearizer: everything in ADU.
    """
    return replace(
        switches_for(camera, "bias"),
        gain=in_electrons,
        linearity=calib_type != "linearizer",
        cti=False,
        bias=calib_type in ("dark", "flat"),
        dark=calib_type == "flat",
        defects=False,
        flat=False,
        interpolation=False,
        bias_shifts=False,
        amp_correlations=False,
        projections=False,
    )


@lru_cache(maxsize=1)
def _calibrations(detector: Detector, files: tuple[tuple[str, str], ...]) -> CalibrationSet:
    found: dict[str, Any] = {}
    for calib_type, uri in files:
        with local_copy(uri) as path:
            found[calib_type] = read_calibration(calib_type, path, detector)
    return CalibrationSet(**found)


def forget_calibrations() -> None:
    """Let go of the calibrations of the detector worked on last in this process."""
    _calibrations.cache_clear()


def _correct(setup: FrameSetup, uri: str) -> tuple[HeaderFacts, dict[str, Any], IsrResult]:
    with local_copy(uri) as path:
        frame = read_raw(path, setup.camera, setup.detector)
    facts = translate(frame.header, setup.camera)
    result = run_isr(
        IsrInput(
            detector=setup.detector,
            raw=frame.pixels,
            calibrations=_calibrations(setup.detector, setup.calibrations),
            switches=combination_switches(
                setup.camera, setup.calib_type, in_electrons=setup.in_electrons
            ),
            dither_seed=_seed(facts, setup.detector),
            dark_time=facts.dark_time,
        )
    )
    for step in ("bias", "dark"):
        if step in result.not_applied and dict(setup.calibrations).get(step):
            raise StopError(f"{uri}: the {step} cannot be used: {result.not_applied[step]}")
    return facts, frame.header, result


def _unusable(result: IsrResult) -> BoolArray:
    return np.asarray((result.mask & _UNUSABLE != 0) | ~np.isfinite(result.image))


def _flags(result: IsrResult, setup: FrameSetup, facts: HeaderFacts) -> ByteArray:
    """Return the flags of a frame: bad pixels, and in darks cosmic rays."""
    mask, hit = result.mask, 0
    if setup.calib_type == "dark" and "variance" in result.applied:
        seed = _seed(facts, setup.detector)
        _, mask = replace_cosmic_rays(result.image, result.mask, result.variance, seed)
        hit = int(Mask.CR)
    flags = np.empty(mask.shape, np.uint8)
    flag_frame(result.image, mask, _UNUSABLE, hit, CR_GROW, flags)
    return flags


def _overscan(result: IsrResult, detector: Detector) -> DoubleArray:
    overscan = result.statistics.overscan
    if overscan is None:
        return np.full(len(detector.amplifiers), np.nan)
    return overscan.serial_median


def _positive_time(facts: HeaderFacts, uri: str) -> float:
    if not facts.dark_time > 0:
        raise StopError(f"{uri}: dark time is {facts.dark_time} s, a dark needs a positive time")
    return facts.dark_time


def _seed(facts: HeaderFacts, detector: Detector) -> int:
    if facts.day_obs is None or facts.seq_num is None:
        return 12345
    packed = detector_exposure_id(
        facts.day_obs, facts.seq_num, facts.controller or "O", detector.number
    )
    return packed & 0xFFFFFFFF


def read_bands(
    pixels: str, masks: str, shape: tuple[int, int], scale: DoubleArray, rows: int
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield bands of rows of the stack, each frame divided by its scale, NaN where not to be used.

    Parameters
    ----------
    pixels, masks
        Paths from `make_store`.
    shape
        Rows and columns of the detector.
    scale
        One number for each frame.
    rows
        Height of a band; the last may be lower.
    """
    divisors = scale.astype(np.float32)
    for first in range(0, shape[0], rows):
        band = slice(first, min(first + rows, shape[0]))
        values = _load(pixels, len(scale), shape, band, np.float32)
        marks = _load(masks, len(scale), shape, band, np.uint8)
        prepare_stack(values, marks, divisors)
        yield band, values


def _load(
    path: str, n_frames: int, shape: tuple[int, int], band: slice, kind: type[np.generic]
) -> AnyArray:
    """Read the same rows of every frame."""
    values = np.empty((n_frames, band.stop - band.start, shape[1]), kind)
    with Path(path).open("rb") as file:
        for index, frame in enumerate(values):
            file.seek((index * shape[0] + band.start) * shape[1] * frame.itemsize)
            file.readinto(frame.data)
    return values
