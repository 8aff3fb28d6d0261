"""Measuring a photon-transfer curve, a linearizer or a defect list from frames."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import cast

import numpy as np

from calwatch.arrays import AnyArray, DoubleArray
from calwatch.butler.files import local_copy
from calwatch.calibrations.model import (
    Defects,
    ImageCalibration,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    Units,
)
from calwatch.calibrations.read import read_calibration
from calwatch.camera.model import Detector
from calwatch.errors import StopError
from calwatch.offline.combine_defects import find_defects
from calwatch.offline.combine_frames import (
    Frame,
    FrameSetup,
    FrameTask,
    Pair,
    PairTask,
    measure_pair,
    run_tasks,
    store_frame,
)
from calwatch.offline.combine_images import Tick, common_sequencer
from calwatch.offline.combine_inputs import DetectorInputs
from calwatch.offline.combine_linearizer import double_spline, fit_nodes
from calwatch.offline.combine_ptc import PtcFit, fit_ptc
from calwatch.verify.sets.ptc_models import curve

SAME_TIME = 5e-3
"""Seconds: two flats of a pair have exposure times equal within this (cp_pipe, TIME mode)."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredPtc:
    """A photon-transfer curve with the columns that were measured on the way."""

    ptc: PhotonTransferCurve
    columns: Mapping[str, AnyArray]


def pairs_of(inputs: DetectorInputs, observation_type: str) -> list[tuple[int, int]]:
    """Return the indices of pairs: consecutive exposures of one type and of equal exposure time.

    Each exposure is used once.
    """
    chosen = [
        index
        for index, exposure in enumerate(inputs.exposures)
        if exposure.observation_type == observation_type
    ]
    pairs = []
    position = 0
    while position + 1 < len(chosen):
        first, second = chosen[position], chosen[position + 1]
        times = [inputs.exposures[index].exposure_time for index in (first, second)]
        if abs(times[0] - times[1]) < SAME_TIME:
            pairs.append((first, second))
            position += 2
        else:
            position += 1
    return pairs


def measure_ptc(
    setup: FrameSetup, inputs: DetectorInputs, pool: Executor | None, tick: Tick
) -> MeasuredPtc:
    """Measure gain, noise and turnoff of every amplifier from pairs of flats and from biases.

    Raises
    ------
    StopError
        If there are no pairs of flats, or fewer than two biases.
    RawError, CalibrationError
        If a file cannot be used.
    """
    flats, biases = pairs_of(inputs, "flat"), pairs_of(inputs, "bias")
    if not flats or not biases:
        raise StopError(
            f"a ptc needs pairs of flats of equal exposure time ({len(flats)} found) and two "
            f"biases at least ({len(biases)} pairs found)"
        )
    tasks = [
        PairTask(setup, (inputs.raws[one], inputs.raws[two])) for one, two in (*flats, *biases)
    ]
    measured: list[Pair] = []
    for pair in run_tasks(measure_pair, tasks, pool):
        measured.append(pair)
        tick()
    flat_pairs, bias_pairs = measured[: len(flats)], measured[len(flats) :]
    noises = np.array([pair.noise for pair in bias_pairs])
    noise = np.median(noises, axis=0)
    fits = [
        fit_ptc([pair.points[amp] for pair in flat_pairs], float(noise[amp]))
        for amp in range(len(noise))
    ]
    overscans = np.array([pair.overscan for pair in measured])
    names = setup.detector.amp_names
    ptc = PhotonTransferCurve(
        amp_names=names,
        gain=np.array([fit.gain for fit in fits]),
        noise=np.array([fit.noise for fit in fits]),
        turnoff=np.array([fit.turnoff for fit in fits]),
        overscan_median=np.median(overscans, axis=0),
        overscan_median_sigma=np.std(overscans, axis=0, ddof=1),
        a00=np.array([fit.a00 for fit in fits]),
        bad_amps=tuple(
            name for name, fit in zip(names, fits, strict=True) if not np.isfinite(fit.gain)
        ),
        metadata=common_sequencer(setup.camera, [pair.header for pair in measured]),
    )
    exposures = [[inputs.exposures[index].exposure_id for index in pair] for pair in flats]
    times = [inputs.exposures[one].exposure_time for one, _ in flats]
    columns = _columns(flat_pairs, fits, noises, overscans[: len(flats)])
    columns["INPUT_EXP_ID_PAIRS"] = np.tile(np.array(exposures), (len(names), 1, 1))
    columns["RAW_EXP_TIMES"] = np.tile(np.array(times), (len(names), 1))
    return MeasuredPtc(ptc, columns)


def _columns(
    pairs: list[Pair], fits: list[PtcFit], noises: DoubleArray, overscans: DoubleArray
) -> dict[str, AnyArray]:
    means = np.array([[point.mean for point in pair.points] for pair in pairs]).T
    variances = np.array([[point.variance for point in pair.points] for pair in pairs]).T
    used = np.array([fit.used for fit in fits])
    models = [
        curve(mean, fit.gain, np.nan_to_num(fit.a00), fit.noise)
        for mean, fit in zip(means, fits, strict=True)
    ]
    return {
        "EXP_ID_MASK": used,
        "RAW_MEANS": means,
        "RAW_VARS": variances,
        "FINAL_MEANS": np.where(used, means, np.nan),
        "FINAL_VARS": np.where(used, variances, np.nan),
        "FINAL_MODEL_VARS": np.where(used, models, np.nan),
        "GAIN_ERR": np.array([fit.gain_error for fit in fits]),
        "NOISE_LIST": noises.T.copy(),
        "NOISE_ERR": np.array([fit.gain for fit in fits]) * _error(noises),
        "OVERSCAN_MEDIAN_LIST": overscans.T.copy(),
    }


def _error(values: DoubleArray) -> DoubleArray:
    """Return the standard error of the mean over the first axis; NaN for a single value."""
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    return np.asarray(np.std(values, axis=0, ddof=1) / np.sqrt(len(values)))


def measure_linearizer(
    setup: FrameSetup, inputs: DetectorInputs, pool: Executor | None, tick: Tick
) -> Linearizer:
    """Measure the departure from a straight line of every amplifier from a ramp of flats.

    Raises
    ------
    StopError
        If there are fewer than three flats.
    RawError, CalibrationError
        If a file cannot be used.
    """
    chosen = [
        (exposure.exposure_time, uri)
        for exposure, uri in zip(inputs.exposures, inputs.raws, strict=True)
        if exposure.observation_type == "flat"
    ]
    if len(chosen) < 3:
        raise StopError(f"a linearizer needs flats of three exposure times, got {len(chosen)}")
    tasks = [FrameTask(setup, uri, 0, "", "") for _, uri in chosen]
    frames: list[Frame] = []
    for frame in run_tasks(store_frame, tasks, pool):
        frames.append(frame)
        tick()
    times = np.array([time for time, _ in chosen])
    levels = np.array([frame.amp_levels for frame in frames])
    names = setup.detector.amp_names
    return Linearizer(
        amp_names=names,
        types=(LinearizerType.DOUBLE_SPLINE,) * len(names),
        coefficients=tuple(
            double_spline(*fit_nodes(times, levels[:, amp])) for amp in range(len(names))
        ),
        table=None,
        units=Units.ADU,
        metadata=common_sequencer(setup.camera, [frame.header for frame in frames]),
    )


def measure_defects(detector: Detector, inputs: DetectorInputs) -> Defects:
    """Find the defects of one detector in its combined dark and flat.

    Raises
    ------
    StopError
        If there is neither.
    CalibrationError
        If one cannot be used.
    """
    images: dict[str, ImageCalibration] = {}
    for calib_type, uri in inputs.calibrations:
        with local_copy(uri) as path:
            images[calib_type] = cast(
                ImageCalibration, read_calibration(calib_type, path, detector)
            )
    if not images:
        raise StopError(f"defects of detector {detector.number} need a combined dark or flat")
    boxes = find_defects(detector, images.get("dark"), images.get("flat"))
    return Defects(boxes, {})
