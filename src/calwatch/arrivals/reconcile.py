"""The Butler says what exists, the ledger says what has been judged: this is the difference.

Plain functions of what both say. Nothing is remembered between two comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from calwatch.arrivals.job import Job
from calwatch.butler.model import Chain, ExposureRecord, RawDataset
from calwatch.verify.model import Verdict

CALIB_TYPES = ("bias", "dark", "flat")
"""Observation types that are judged; all others are none of our business."""

UNMEASURED = "+unmeasured"
"""Added to the fingerprint of a judgement that could not measure anything (a file that is damaged
or out of reach): it then differs from every chain's, so a later look tries again, and a file that
has come whole meanwhile is judged under the chain's own fingerprint."""

Key = tuple[int, int]
"""(exposure id, detector)."""


class Judged(Protocol):
    """The last judgement of one exposure and detector."""

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the certified chain it was judged against."""
        ...

    @property
    def verdict(self) -> Verdict:
        """Its verdict."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """One exposure and the raw files that may need a judgement."""

    exposure: ExposureRecord
    calib_type: str
    raws: tuple[RawDataset, ...]
    """By detector number."""


def calib_type_of(exposure: ExposureRecord) -> str | None:
    """Return which tests apply to an exposure, None if it is no bias, dark or flat."""
    word = exposure.observation_type.strip().lower()
    return word if word in CALIB_TYPES else None


def first_day_obs(now: datetime, look_back_days: int | None) -> int | None:
    """Return the first ``day_obs`` (YYYYMMDD) of a look-back window, None for no bound.

    A day of observation begins at 12:00 UTC.
    """
    if look_back_days is None:
        return None
    day = (now.astimezone(UTC) - timedelta(hours=12)).date() - timedelta(days=look_back_days)
    return day.year * 10000 + day.month * 100 + day.day


def age(exposure: ExposureRecord) -> tuple[int, int, int]:
    """Return what sorts exposures from the oldest to the newest."""
    return (exposure.day_obs, exposure.seq_num, exposure.exposure_id)


def candidates(
    exposures: Iterable[ExposureRecord],
    raws: Iterable[RawDataset],
    judged: Mapping[Key, Judged],
    *,
    recheck_unknown: bool = True,
    rejudge: bool = False,
) -> list[Candidate]:
    """Return the exposures and detectors whose certified chain is worth a look, oldest first.

    Parameters
    ----------
    exposures
        What the Butler knows, of any observation type.
    raws
        Their raw files.
    judged
        Last judgement of each (exposure id, detector) under this algorithm.
    recheck_unknown
        Also those whose last judgement is UNKNOWN: a calibration may have arrived since.
    rejudge
        Also those that have PASS or FAIL.
    """
    wanted: dict[int, dict[int, RawDataset]] = {}
    for raw in raws:
        last = judged.get((raw.exposure_id, raw.detector))
        if last is None or rejudge or (recheck_unknown and last.verdict is Verdict.UNKNOWN):
            wanted.setdefault(raw.exposure_id, {})[raw.detector] = raw
    found = []
    for exposure in sorted(exposures, key=age):
        calib_type = calib_type_of(exposure)
        mine = wanted.get(exposure.exposure_id)
        if calib_type is not None and mine:
            ordered = tuple(mine[detector] for detector in sorted(mine))
            found.append(Candidate(exposure, calib_type, ordered))
    return found


def jobs(
    found: Iterable[Candidate],
    chains: Mapping[Key, Chain],
    judged: Mapping[Key, Judged],
    *,
    rejudge: bool = False,
) -> list[Job]:
    """Return all work that is missing, in the order of the candidates.

    Work is missing where an exposure and detector has no judgement at all under this algorithm, or
    where its last judgement is UNKNOWN and either its certified chain is another one now (a
    calibration was certified meanwhile) or nothing could be measured (`UNMEASURED`). A PASS or FAIL
    that has been given stands: a change of the chain does not call it back, because it said what
    was true of the camera and the chain of that day. With ``rejudge`` those too are done again
    wherever the chain has changed.

    Parameters
    ----------
    found
        As `candidates` returns them.
    chains
        The certified chain of each (exposure id, detector); one that is absent is left for the
        next comparison.
    judged
        As for `candidates`.
    rejudge
        Do again whatever was judged against another chain than today's.
    """
    todo = []
    for candidate in found:
        for raw in candidate.raws:
            key = (raw.exposure_id, raw.detector)
            chain = chains.get(key)
            if chain is not None and _missing(judged.get(key), chain, rejudge):
                todo.append(Job(candidate.exposure, candidate.calib_type, raw.detector, raw, chain))
    return todo


def _missing(last: Judged | None, chain: Chain, rejudge: bool) -> bool:
    if last is None:
        return True
    changed = last.fingerprint != chain.fingerprint
    return changed and (rejudge or last.verdict is Verdict.UNKNOWN)


def reconcile(
    exposures: Iterable[ExposureRecord],
    raws: Iterable[RawDataset],
    chains: Mapping[Key, Chain],
    judged: Mapping[Key, Judged],
    *,
    rejudge: bool = False,
) -> list[Job]:
    """Return all work that is missing, oldest first: `candidates` and `jobs` in one step."""
    return jobs(
        candidates(exposures, raws, judged, rejudge=rejudge), chains, judged, rejudge=rejudge
    )
