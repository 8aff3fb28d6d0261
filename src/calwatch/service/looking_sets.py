"""Looking for sets of exposures that are to be judged, beside single exposures."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from calwatch.arrivals.job import Job, Member
from calwatch.arrivals.reconcile import CALIB_TYPES, UNMEASURED, age, first_day_obs
from calwatch.arrivals.sets import (
    ANALYSES,
    SOURCE_TYPES,
    ExposureSet,
    Grouping,
    SetKind,
    find_sets,
    is_settled,
)
from calwatch.butler.model import Chain, ExposureRecord, PhotodiodeDataset, RawDataset
from calwatch.ledger.queries import Judged
from calwatch.ledger.sets import (
    PAIR_TYPES,
    judged_pairs,
    light,
    standing_sets,
)
from calwatch.ledger.store import Ledger
from calwatch.service.judging import JudgeFactory, RepositoryLike
from calwatch.service.looking import ExposureInHand, chains_of
from calwatch.settings import SetSettings, Settings
from calwatch.verify.model import Verdict, algorithm_of
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.needs import NEEDS, need_name

RECENT = timedelta(days=1)
"""So long after its last exposure a set is looked at file by file from time to time."""


def look_for_sets(
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
    """Return all sets with something to do, the oldest first; as `calwatch.service.looking.look`.

    A set is looked for among all exposures of its day, whichever of them woke us.

    Raises
    ------
    WaitError
        If the Butler or the ledger is out of reach.
    """
    if not settings.sets.kinds:
        return []
    first = first_day_obs(now, settings.look_back_days)
    found: list[ExposureInHand] = []
    for instrument in settings.instruments:
        wanted = None if only is None else frozenset(only.get(instrument, ()))
        since = first if wanted is None else _first_day_of(repository, instrument, wanted, first)
        if wanted is not None and since is None:
            continue
        exposures = repository.exposures(
            instrument,
            where=settings.where,
            observation_types=(*CALIB_TYPES, *SOURCE_TYPES),
            since_day_obs=since,
        )
        asking = _Look(repository, ledger, judging, settings, instrument, now, since)
        for one in asking.sets(exposures):
            if wanted is None and asking.stands(one, recheck_unknown, rejudge):
                continue
            if wanted is None or wanted & {member.exposure_id for member in one.members}:
                found += asking.at(one, recheck_unknown=recheck_unknown, rejudge=rejudge)
    return sorted(found, key=lambda hand: age(hand.record))


def _first_day_of(
    repository: RepositoryLike, instrument: str, wanted: Collection[int], first: int | None
) -> int | None:
    """Return the first day of some exposures that is looked at; None if the Butler has none."""
    records = repository.exposures(instrument, exposure_ids=wanted) if wanted else []
    days = [record.day_obs for record in records if first is None or record.day_obs >= first]
    return min(days, default=None)


def grouping_of(settings: SetSettings) -> Grouping:
    """Return how sets are found."""
    return Grouping(
        settings.pair_by,
        settings.time_tolerance,
        settings.flux_tolerance,
        timedelta(seconds=settings.wait_seconds),
        settings.least_levels,
        settings.least_frames,
        settings.crosstalk_reasons,
    )


def fingerprint_of(
    chain: Chain, members: Sequence[Member], photodiodes: Sequence[PhotodiodeDataset] = ()
) -> str:
    """Return what names a set and the chain it is judged against: who came late changes it."""
    return f"{chain.fingerprint}{_hash_of(members, photodiodes)}"


def _hash_of(members: Sequence[Member], photodiodes: Sequence[PhotodiodeDataset]) -> str:
    ids = [str(member.exposure.exposure_id) for member in members]
    ids += [one.uuid for one in photodiodes]
    return f"/{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:8]}"


class _Look:
    """Asks what remains to be done of one set after the other."""

    def __init__(
        self,
        repository: RepositoryLike,
        ledger: Ledger,
        judging: JudgeFactory,
        settings: Settings,
        instrument: str,
        now: datetime,
        since: int | None,
    ) -> None:
        self._repository = repository
        self._ledger = ledger
        self._judging = judging
        self._settings = settings
        self._instrument = instrument
        self._now = now
        self._standing = standing_sets(ledger, instrument, since)

    def sets(self, exposures: Sequence[ExposureRecord]) -> list[ExposureSet]:
        """Return the sets among some exposures."""
        flats = [e for e in exposures if e.observation_type.strip().lower() == "flat"]
        ids = [flat.exposure_id for flat in flats]
        newest = max((flat.day_obs for flat in flats), default=None)
        # What is judged and not merged yet is of the newest day.
        paired = set() if newest is None else judged_pairs(self._ledger, self._instrument, newest)
        for (kind, _number), stands in self._standing.items():
            if kind in PAIR_TYPES and len(stands.members) == 2:
                paired.add((min(stands.members), max(stands.members)))
        by_flux = self._settings.sets.pair_by == "flux"
        return find_sets(
            exposures,
            self._now,
            grouping_of(self._settings.sets),
            paired=paired,
            light=light(self._ledger, self._instrument, ids) if by_flux else None,
        )

    def stands(self, one: ExposureSet, recheck_unknown: bool, rejudge: bool) -> bool:
        """Tell whether nothing is to be done of a set, as far as the merged verdicts tell.

        What is recent is looked at detector by detector now and then: a file may have come late.
        """
        if rejudge or (recheck_unknown and not self._is_old(one)):
            return False
        members = frozenset(member.exposure_id for member in one.members)
        for kind in self._kinds(one):
            found = self._standing.get((kind, one.last.exposure_id))
            if found is None or not found.members >= members:
                return False
            if recheck_unknown and found.n_unknown and not one.why_not:
                return False
        return True

    def _is_old(self, one: ExposureSet) -> bool:
        return is_settled(one.last, self._now, RECENT)

    def _kinds(self, one: ExposureSet) -> list[str]:
        return [kind for kind in ANALYSES[one.kind] if kind in self._settings.sets.kinds]

    def at(self, one: ExposureSet, *, recheck_unknown: bool, rejudge: bool) -> list[ExposureInHand]:
        """Return what is to be done of one set, kind by kind."""
        raws: dict[int, dict[int, RawDataset]] = {}
        for raw in self._repository.raws(self._instrument, [m.exposure_id for m in one.members]):
            raws.setdefault(raw.detector, {})[raw.exposure_id] = raw
        found = []
        for kind in self._kinds(one):
            jobs = self._jobs(one, kind, raws, recheck_unknown=recheck_unknown, rejudge=rejudge)
            if jobs or (raws and self._is_unmerged(one, kind)):
                found.append(
                    ExposureInHand(one.last, tuple(sorted(raws)), jobs, algorithm_of(kind))
                )
        return found

    def _judged(self, one: ExposureSet, kind: str) -> Mapping[tuple[int, int], Judged]:
        return self._ledger.judged_keys(
            self._instrument, algorithm=algorithm_of(kind), exposure_ids=[one.last.exposure_id]
        )

    def _is_unmerged(self, one: ExposureSet, kind: str) -> bool:
        """Tell whether a set has judgements that no merged verdict knows of."""
        found = self._ledger.unmerged(
            self._instrument, algorithm=algorithm_of(kind), exposure_ids=[one.last.exposure_id]
        )
        return bool(found)

    def _jobs(
        self,
        one: ExposureSet,
        kind: str,
        raws: Mapping[int, Mapping[int, RawDataset]],
        *,
        recheck_unknown: bool,
        rejudge: bool,
    ) -> tuple[Job, ...]:
        judged = self._judged(one, kind)
        light = self._photodiodes(one, kind)
        lasts = {detector: judged.get((one.last.exposure_id, detector)) for detector in raws}
        members = {detector: _members(one, files) for detector, files in raws.items()}
        worth = [
            detector
            for detector, last in sorted(lasts.items())
            if (len(members[detector]) == len(one.members) or self._settled(one))
            and (
                last is None
                or not _is_of(last, members[detector], light)
                or rejudge
                or (recheck_unknown and last.verdict is Verdict.UNKNOWN)
            )
        ]
        if not worth:
            return ()
        collection = self._settings.collection
        need = need_name(kind, one.last.observation_type.strip().lower())
        chains = chains_of(self._repository, one.last, need, worth, self._judging, collection)
        ready = self._points(one, kind, worth)
        jobs = []
        for detector in worth:
            if detector not in ready or detector not in chains:
                continue
            job = _job(one, kind, members[detector], chains[detector], ready[detector], light)
            if _is_missing(lasts[detector], job, rejudge):
                jobs.append(job)
        return tuple(jobs)

    def _photodiodes(self, one: ExposureSet, kind: str) -> tuple[PhotodiodeDataset, ...]:
        """Return what the photodiode saw of a sequence, if the light is wanted of it."""
        if kind != "linearity" or self._settings.sets.linearity_by == "exposure_time":
            return ()
        ids = [member.exposure_id for member in one.members]
        return tuple(self._repository.photodiodes(self._instrument, ids))

    def _settled(self, one: ExposureSet) -> bool:
        """Tell whether no file of a set is waited for any more."""
        return is_settled(one.last, self._now, grouping_of(self._settings.sets).wait)

    def _points(
        self, one: ExposureSet, kind: str, detectors: Collection[int]
    ) -> dict[int, tuple[Earlier, ...]]:
        """Return the earlier judgements of each detector that can be judged now."""
        need = NEEDS[need_name(kind, one.last.observation_type.strip().lower())]
        if not need.numbers_of:
            return dict.fromkeys(detectors, ())
        sources = one.pairs if one.kind is SetKind.SEQUENCE else one.members
        times = {source.exposure_id: source.exposure_time for source in sources}
        algorithm = algorithm_of(need.numbers_of)
        there = self._ledger.judged_keys(
            self._instrument, algorithm=algorithm, exposure_ids=list(times)
        )
        return {
            detector: tuple(Earlier(number, detector, s, {}) for number, s in times.items())
            for detector in detectors
            if all((number, detector) in there for number in times)
        }


def _members(one: ExposureSet, files: Mapping[int, RawDataset]) -> tuple[Member, ...]:
    """Return the exposures of a set of which a detector has a raw file."""
    return tuple(
        Member(exposure, files[exposure.exposure_id])
        for exposure in one.members
        if exposure.exposure_id in files
    )


def _job(
    one: ExposureSet,
    kind: str,
    members: tuple[Member, ...],
    chain: Chain,
    earlier: tuple[Earlier, ...],
    light: tuple[PhotodiodeDataset, ...],
) -> Job:
    why_not = one.why_not
    there = {member.exposure.exposure_id for member in members}
    absent = [e.obs_id for e in one.members if e.exposure_id not in there]
    if absent and not why_not and one.kind is SetKind.PAIR:
        why_not = f"half of the pair is missing: there is no raw file of {', '.join(absent)}"
    own = replace(chain, fingerprint=fingerprint_of(chain, members, light))
    raw = members[-1].raw
    halves = zip(one.firsts, one.pairs, strict=True)
    pairs = tuple((first.exposure_id, second.exposure_id) for first, second in halves)
    return Job(
        one.last, kind, raw.detector, raw, own, members, earlier, pairs, light, why_not=why_not
    )


def _is_of(last: Judged, members: Sequence[Member], light: Sequence[PhotodiodeDataset]) -> bool:
    """Tell whether a judgement is of these exposures."""
    return last.fingerprint.removesuffix(UNMEASURED).endswith(_hash_of(members, light))


def _is_missing(last: Judged | None, job: Job, rejudge: bool) -> bool:
    """Tell whether a set has no judgement of these members, or an UNKNOWN that may change."""
    if last is None or not _is_of(last, job.members, job.photodiodes):
        return True
    if last.verdict is Verdict.UNKNOWN:
        return last.fingerprint != job.chain.fingerprint and not job.why_not
    return rejudge and last.fingerprint != job.chain.fingerprint
