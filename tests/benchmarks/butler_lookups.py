"""What it takes to ask the Butler for all that is needed to judge one exposure of LSSTCam."""

from __future__ import annotations

import tempfile
from pathlib import Path

from costs import Cost
from tables import Table
from whole_camera import CAMERA, INSTRUMENT, ingest, make_repository

from calwatch.butler.model import ExposureRecord
from calwatch.butler.repository import Repository
from calwatch.isr.switches import needed_calibrations

EXPOSURES = 10
QUESTIONS = ("exposure", "raw files", "certified chains")


def measure() -> Table:
    """Ask for one exposure after another, as the daemon does when an event wakes it."""
    with tempfile.TemporaryDirectory(prefix="calwatch-butler-") as scratch:
        root = make_repository(Path(scratch))
        for number in range(1, EXPOSURES + 1):
            ingest(root, number)
        ages = {"certified calibrations remembered": 3600.0, "calibrations asked for anew": 0.0}
        found, first = {}, {}
        for words, max_age in ages.items():
            with Repository.open(root, max_age=max_age) as repository:
                ids = [e.exposure_id for e in repository.exposures(INSTRUMENT)]
                first = {name: Cost() for name in QUESTIONS}
                _ask(repository, ids[0], first)
                found[words] = {name: Cost() for name in QUESTIONS}
                for exposure_id in ids:
                    _ask(repository, exposure_id, found[words])
    count = len(CAMERA.detectors)
    rows = []
    for words, costs in {**found, "the first time, nothing known": first}.items():
        rows += [[f"{words}: {name}", *_words([cost], count)] for name, cost in costs.items()]
        rows.append([f"{words}: all", *_words(list(costs.values()), count)])
    return Table(
        "Butler look-ups of one exposure of LSSTCam",
        ["", "CPU ms", "wall ms", "CPU ms a detector"],
        rows,
        f"SQLite registry, {count} detectors, medians of {EXPOSURES} exposures. What is certified "
        "is asked for anew after 30 s, which is every second exposure at a 15 s cadence. Aim: 1 ms "
        "a detector.",
    )


def _ask(repository: Repository, exposure_id: int, costs: dict[str, Cost]) -> None:
    (exposure,) = costs["exposure"].add(_exposure, repository, exposure_id)
    raws = costs["raw files"].add(repository.raws, INSTRUMENT, [exposure_id])
    detectors = [raw.detector for raw in raws]
    needed = needed_calibrations(CAMERA, "bias")
    chains = costs["certified chains"].add(repository.chains, exposure, needed, detectors)
    assert not any(chain.missing for chain in chains.values())


def _exposure(repository: Repository, exposure_id: int) -> list[ExposureRecord]:
    return repository.exposures(INSTRUMENT, exposure_ids=[exposure_id])


def _words(costs: list[Cost], count: int) -> list[str]:
    cpu, wall = sum(c.cpu_ms for c in costs), sum(c.wall_ms for c in costs)
    return [f"{cpu:.1f}", f"{wall:.1f}", f"{cpu / count:.3f}"]


if __name__ == "__main__":
    print(measure().text())
