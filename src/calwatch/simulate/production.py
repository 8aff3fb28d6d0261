"""Making the raw files of many exposures, on several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.simulate.faults import Fault, file_effects, frame_effects
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import PixelMaps, make_maps
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.plan import Setup
from calwatch.simulate.raw_file import raw_file_name, write_raw
from calwatch.simulate.truth import DetectorTruth, detector_truth

_CHUNK = 2
"""Frames of one detector that one process makes in a row."""


@dataclass(frozen=True, slots=True)
class _Batch:
    camera: str
    detector: int
    seed: int
    exposures: tuple[SimulatedExposure, ...]
    faults: tuple[Fault, ...]
    root: str


def raw_path(root: Path, camera: Camera, detector: Detector, exposure: SimulatedExposure) -> Path:
    """Where the raw file of one exposure and detector stands."""
    name = raw_file_name(camera, detector, exposure)
    return root / "raws" / str(exposure.day_obs) / exposure.obs_id / name


def make_raws(
    setup: Setup,
    exposures: Sequence[SimulatedExposure],
    progress: Callable[[int], None] | None = None,
    pool: Executor | None = None,
) -> list[Path]:
    """Make and write the raw files of these exposures for all detectors of a setup.

    Parameters
    ----------
    setup
        Camera, detectors, seed, faults and number of processes.
    exposures
        What is taken.
    progress
        Called with the number of files made since the last call.
    pool
        Worker processes; this process makes everything if None.

    Returns
    -------
    paths : `list` [ `pathlib.Path` ]
        In order of exposure, then detector.
    """
    batches = list(_batches(setup, exposures))
    if pool is None:
        done: Iterable[int] = map(_make_batch, batches)
    else:
        futures = [pool.submit(_make_batch, batch) for batch in batches]
        done = (future.result() for future in as_completed(futures))
    for made in done:
        if progress:
            progress(made)
    return [
        raw_path(setup.root, setup.camera, det, exposure)
        for exposure in exposures
        for det in setup.detectors
    ]


def _batches(setup: Setup, exposures: Sequence[SimulatedExposure]) -> Iterator[_Batch]:
    """Cut the work by detector, and by exposure where there are few detectors."""
    plan = setup.plan
    few = len(setup.detectors) < 2 * plan.processes
    size = _CHUNK if few else max(len(exposures), 1)
    for det in setup.detectors:
        for start in range(0, len(exposures), size):
            yield _Batch(
                camera=plan.camera or plan.instrument,
                detector=det.number,
                seed=plan.seed,
                exposures=tuple(exposures[start : start + size]),
                faults=setup.faults,
                root=plan.root,
            )


@lru_cache(maxsize=1)
def _known(camera: str, number: int, seed: int) -> tuple[DetectorTruth, PixelMaps]:
    """Truth and maps of the detector this process works on."""
    detector = load_camera(camera).detector(number)
    truth = detector_truth(detector, seed)
    return truth, make_maps(detector, truth)


def _make_batch(batch: _Batch) -> int:
    camera = load_camera(batch.camera)
    detector = camera.detector(batch.detector)
    truth, maps = _known(batch.camera, batch.detector, batch.seed)
    for exposure in batch.exposures:
        pixels = make_frame(
            detector, truth, maps, exposure, frame_effects(batch.faults, exposure, detector)
        )
        path = raw_path(Path(batch.root), camera, detector, exposure)
        path.parent.mkdir(parents=True, exist_ok=True)
        effects = file_effects(batch.faults, exposure, detector)
        write_raw(path, camera, detector, exposure, pixels, effects)
    return len(batch.exposures)
