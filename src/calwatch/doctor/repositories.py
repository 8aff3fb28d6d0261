"""The Butler: the repository, its exposures, and the certified chain as it is now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from calwatch.arrivals.reconcile import CALIB_TYPES, first_day_obs
from calwatch.butler.lookup import Span
from calwatch.butler.model import Chain, ExposureRecord
from calwatch.butler.repository import Repository
from calwatch.butler.times import mjd_from_seconds, tai_text
from calwatch.camera.model import Camera
from calwatch.doctor.model import Case, Finding, fail, ok, skipped, some, warn
from calwatch.isr.switches import needed_calibrations
from calwatch.service.judge_settings import JudgeSettings
from calwatch.tai import tai_from_utc

BUTLER, CHAIN = "Butler", "certified chain"
SOON_DAYS = 7.0
"""A validity range that ends within so long is told of."""
AHEAD = timedelta(seconds=60)
_RECENT_DAYS = 7


def look_at_butler(case: Case) -> Iterator[Finding]:
    """Say whether the repository can be read, and what is certified in it now."""
    settings = case.settings
    judge = JudgeSettings.of(settings)
    with Repository.open(settings.repo) as repository:
        known = repository.instruments()
        for name in settings.instruments:
            if name not in known:
                says = f"{settings.repo}: {name} is not registered (there: {some(known) or '-'})"
                yield fail(BUTLER, says, "set `instruments` or `repo` right")
                continue
            there = repository.detectors(name)
            camera = judge.camera_of(name)
            yield _detectors(name, camera, there)
            recent = _recent(repository, case, name)
            yield _newest(name, recent, case.now())
            numbers = [d.number for d in camera.detectors if d.number in there]
            yield from _chain(repository, case, camera, numbers, recent)


def _recent(repository: Repository, case: Case, instrument: str) -> list[ExposureRecord]:
    days = case.settings.look_back_days
    since = first_day_obs(case.now(), _RECENT_DAYS if days is None else days)
    return repository.exposures(
        instrument,
        where=case.settings.where,
        observation_types=CALIB_TYPES,
        since_day_obs=since,
    )


def _detectors(name: str, camera: Camera, there: Collection[int]) -> Finding:
    wanted = {detector.number for detector in camera.detectors}
    missing = sorted(wanted - set(there))
    if missing:
        says = f"{name}: {len(missing)} detectors of the camera are not registered: {some(missing)}"
        return warn(BUTLER, says, "is this the repository of that camera?")
    return ok(BUTLER, f"{name}: opens, {len(there)} detectors")


def _newest(name: str, recent: list[ExposureRecord], now: datetime) -> Finding:
    ends = [one.end_utc for one in recent if one.end_utc is not None]
    if not ends:
        says = f"{name}: no bias, dark or flat in the days that are looked at"
        return warn(BUTLER, says, "is `where` too narrow, or the ingest down?")
    newest = max(ends)
    if newest > now + AHEAD:
        says = f"{name}: the newest exposure ended {(newest - now).total_seconds():.0f} s from now"
        return fail(BUTLER, says, "the clock of this machine, or of the camera, is wrong")
    hours = (now - newest).total_seconds() / 3600
    return ok(BUTLER, f"{name}: {len(recent)} exposures, the newest ended {hours:.1f} h ago")


def _chain(
    repository: Repository,
    case: Case,
    camera: Camera,
    numbers: list[int],
    recent: list[ExposureRecord],
) -> Iterator[Finding]:
    """Say for each type of exposure whether it could be judged now."""
    now = mjd_from_seconds(tai_from_utc(case.now()))
    for calib_type in CALIB_TYPES:
        needed = needed_calibrations(camera, calib_type)
        filters = {e.physical_filter for e in recent if e.observation_type == calib_type}
        if "flat" not in needed:
            filters = {""}
        elif not filters:
            says = f"{camera.instrument} {calib_type}: none was taken, so no filter is known"
            yield skipped(CHAIN, says)
        for name in sorted(filters):
            chains = repository.chains_at(
                camera.instrument, Span(now, now), needed, numbers, name, case.settings.collection
            )
            what = f"{camera.instrument} {calib_type}{f' in {name}' if name else ''}"
            yield from _certified(what, chains, camera.optional_calibrations, now)


def _certified(
    what: str, chains: dict[int, Chain], optional: Collection[str], now: float
) -> Iterator[Finding]:
    lacking: dict[str, list[int]] = {}
    why: dict[str, str] = {}
    for number, chain in chains.items():
        for kind, reason in chain.missing.items():
            if kind not in optional:
                lacking.setdefault(kind, []).append(number)
                why.setdefault(kind, reason)
    for kind, numbers in lacking.items():
        count = f"{len(numbers)} of {len(chains)} detectors"
        says = f"{what}: no {kind} for {count} ({some(numbers)}): {why[kind]}"
        advice = "they will be UNKNOWN; `calwatch chain` says why, then certify or mend the chain"
        yield (fail if len(numbers) == len(chains) else warn)(CHAIN, says, advice)
    yield from _ending(what, chains, now)
    if not lacking:
        kinds = sorted({kind for chain in chains.values() for kind in chain.datasets})
        where = sorted({chain.collection for chain in chains.values()})
        yield ok(CHAIN, f"{what}: {', '.join(kinds)} for {len(chains)} detectors ({some(where)})")


def _ending(what: str, chains: dict[int, Chain], now: float) -> Iterator[Finding]:
    ends: dict[str, float] = {}
    for chain in chains.values():
        for kind, dataset in chain.datasets.items():
            if dataset.end_tai is not None and dataset.end_tai - now < SOON_DAYS:
                ends[kind] = min(dataset.end_tai, ends.get(kind, dataset.end_tai))
    for kind, end in ends.items():
        says = f"{what}: the validity of {kind} ends {tai_text(end)} TAI"
        yield warn(CHAIN, says, "have the next one certified before")
