"""Looking at the Butler and the ledger, to see what remains to be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import (
    CALIB_TYPES,
    Key,
    age,
    candidates,
    first_day_obs,
    jobs,
)
from calwatch.butler.model import Chain, ExposureRecord, RawDataset
from calwatch.errors import WaitError
from calwatch.ledger.store import Ledger
from calwatch.service.judging import JudgeFactory, RepositoryLike
from calwatch.settings import Settings
from calwatch.verify.model import ALGORITHM

AT_ONCE = 10
"""Exposures of which files and judgements are held at once: a file takes 3 kB while it is asked
for, and days of LSSTCam have tens of thousands."""


@dataclass(frozen=True, slots=True)
class ExposureInHand:
    """One exposure of which something is to be done."""

    record: ExposureRecord
    expected: tuple[int, ...]
    """Every detector the Butler has a raw file of."""
    jobs: tuple[Job, ...]
    """Detectors to judge; none if all are judged and only their merged verdict is missing."""
    algorithm: str = ALGORITHM
    """Tells the judgement of a set from that of its last exposure."""


def look(
    repository: RepositoryLike,
    ledger: Ledger,
    judging: JudgeFactory,
    settings: Settings,
    now: datetime,
    only: Mapping[str, Collection[int]] | None = None,
    *,
    recheck_unknown: bool,
    rejudge: bool,
) -> list[ExposureInHand]:
    """Return all exposures with something to do, the oldest first.

    Parameters
    ----------
    repository, ledger, judging, settings
        As the daemon has them.
    now
        Bounds the look-back window.
    only
        Look only at these exposures of each instrument; None for all in the window.
    recheck_unknown, rejudge
        As for `calwatch.arrivals.reconcile.candidates`.

    Raises
    ------
    WaitError
        If the Butler or the ledger is out of reach.
    """
    first = first_day_obs(now, settings.look_back_days)
    if recheck_unknown:
        repository.refresh()
    found: list[ExposureInHand] = []
    for instrument in settings.instruments:
        wanted = None if only is None else only.get(instrument, ())
        if wanted is not None and not wanted:
            continue
        exposures = repository.exposures(
            instrument,
            exposure_ids=wanted,
            where=settings.where,
            observation_types=CALIB_TYPES,
            since_day_obs=first,
        )
        for start in range(0, len(exposures), AT_ONCE):
            few = exposures[start : start + AT_ONCE]
            ids = [exposure.exposure_id for exposure in few]
            raws = repository.raws(instrument, ids)
            judged = ledger.judged_keys(instrument, first, exposure_ids=ids)
            worth = candidates(few, raws, judged, recheck_unknown=recheck_unknown, rejudge=rejudge)
            chains: dict[Key, Chain] = {}
            for candidate in worth:
                exposure = candidate.exposure
                detectors = [raw.detector for raw in candidate.raws]
                answer = chains_of(
                    repository,
                    exposure,
                    candidate.calib_type,
                    detectors,
                    judging,
                    settings.collection,
                )
                chains |= {(exposure.exposure_id, number): one for number, one in answer.items()}
            todo = jobs(worth, chains, judged, rejudge=rejudge)
            unmerged = set(ledger.unmerged(instrument, first, exposure_ids=ids))
            found += _in_hand(few, raws, todo, unmerged)
    return sorted(found, key=lambda hand: age(hand.record))


def chains_of(
    repository: RepositoryLike,
    exposure: ExposureRecord,
    calib_type: str,
    detectors: Sequence[int],
    judging: JudgeFactory,
    collection: str | None,
) -> Mapping[int, Chain]:
    """Return the chain of each detector; a question that fails becomes an empty chain.

    Raises
    ------
    WaitError
        If the Butler is out of reach.
    """
    types: Sequence[str] = ()
    try:
        types = judging.calib_types(exposure.instrument, calib_type)
        return repository.chains(exposure, types, detectors, collection)
    except WaitError:
        raise
    except Exception as error:  # one bad exposure must not stop the others
        reason = f"the certified chain cannot be found: {error}"
        empty = Chain(collection or "", {}, dict.fromkeys(types, reason), "")
        return dict.fromkeys(detectors, empty)


def _in_hand(
    exposures: Sequence[ExposureRecord],
    raws: Sequence[RawDataset],
    todo: Sequence[Job],
    unmerged: set[int],
) -> list[ExposureInHand]:
    expected: dict[int, set[int]] = {}
    for raw in raws:
        expected.setdefault(raw.exposure_id, set()).add(raw.detector)
    mine: dict[int, list[Job]] = {}
    for job in todo:
        mine.setdefault(job.exposure.exposure_id, []).append(job)
    return [
        ExposureInHand(
            record,
            tuple(sorted(expected.get(record.exposure_id, ()))),
            tuple(mine.get(record.exposure_id, ())),
        )
        for record in exposures
        if record.exposure_id in mine or record.exposure_id in unmerged
    ]
