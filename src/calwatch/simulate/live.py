"""More exposures for a simulated repository, as a camera that goes on working would give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from calwatch.offline.combine_frames import worker_pool
from calwatch.simulate.photodiode import add_photodiodes
from calwatch.simulate.plan import SimulationPlan, night_exposures, set_up
from calwatch.simulate.repository import add_raws, exposure_record, read_truth, write_truth


def add_exposures(
    root: str | Path,
    *,
    biases: int | None = None,
    darks: int | None = None,
    flats: int | None = None,
    pairs: int | None = None,
    faults: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[int, ...]:
    """Add one more night to a simulated repository and return the new exposure identifiers.

    The night follows the last one there, under the chain as it is certified.

    Parameters
    ----------
    root
        Repository made by `calwatch.simulate.repository.simulate`.
    biases, darks, flats, pairs
        Exposures of each kind, and pairs of flats of a photon transfer curve; as in the nights
        before if None.
    faults
        Specifications; without ``night`` they hold for the new night only.
    progress
        Called as work goes on.

    Raises
    ------
    StopError
        If the root holds no finished simulation, or a fault is not possible.
    """
    truth = read_truth(root)
    plan = SimulationPlan.from_dict(truth.plan)
    plan = replace(
        plan,
        root=str(root),
        faults=tuple(faults),
        biases=plan.biases if biases is None else biases,
        darks=plan.darks if darks is None else darks,
        flats=plan.flats if flats is None else flats,
        pairs=plan.pairs if pairs is None else pairs,
    )
    setup = set_up(plan)
    night = 1 + max((int(exposure["night"]) for exposure in truth.exposures), default=0)
    exposures = night_exposures(setup, night)
    with worker_pool(plan.processes) as pool:
        add_raws(setup, exposures, f"raws of night {night}", progress or (lambda *_: None), pool)
        add_photodiodes(setup, exposures)
    truth.exposures += [exposure_record(setup, exposure) for exposure in exposures]
    truth.faults += [fault.describe(exposures, setup.detectors) for fault in setup.faults]
    write_truth(setup.root, truth)
    return tuple(exposure.exposure_id for exposure in exposures)
