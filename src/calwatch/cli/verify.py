"""``calwatch verify``: judge chosen exposures once, without the daemon and without a ledger."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

import click

from calwatch.errors import StopError

if TYPE_CHECKING:
    from calwatch.arrivals.job import Job
    from calwatch.butler.model import ExposureRecord, RawDataset
    from calwatch.butler.repository import Repository
    from calwatch.camera.model import Camera
    from calwatch.isr.model import Engine
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.settings import SetSettings, Settings
    from calwatch.verify.model import DetectorResult

TYPES = ("bias", "dark", "flat")
ENGINES = ("fast", "reference")


@click.command()
@click.argument("repo")
@click.option("--instrument", "-I", required=True, help="Butler instrument, such as LATISS.")
@click.option("--exposure", "-e", "exposure_ids", type=int, multiple=True, help="Exposure id.")
@click.option("--where", default="", help="Butler expression that selects exposures.")
@click.option("--detector", "-d", "detectors", multiple=True, help="Detector number or name.")
@click.option("--collection", help="Certified chain [default: <INSTRUMENT>/calib].")
@click.option("--limits", default="dmtn101", show_default=True, help="Profile or file of limits.")
@click.option("--camera", default="", help="Camera file [default: the instrument's own].")
@click.option("--as", "as_type", type=click.Choice(TYPES), help="Judge as this type, whatever "
              "the Butler's observation type is.")  # fmt: skip
@click.option("--sets", "with_sets", is_flag=True, help="Judge pairs, sequences and sets of the "
              "chosen exposures as well: gain, PTC, linearity, defects, …")  # fmt: skip
@click.option("--kinds", default="", help="Which of them, comma-separated (and what they are made "
              "of); implies --sets. crosstalk named here is judged of all flats "
              "chosen.")  # fmt: skip
@click.option("--engine", type=click.Choice(ENGINES), default="fast", show_default=True,
              help="How pixels are measured: reference is the plain numpy, for whoever doubts "
              "a number.")  # fmt: skip
@click.option("--processes", "-j", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a detector exposure.")
@click.pass_context
def verify(
    ctx: click.Context,
    repo: str,
    instrument: str,
    exposure_ids: tuple[int, ...],
    where: str,
    detectors: tuple[str, ...],
    collection: str | None,
    limits: str,
    camera: str,
    as_type: str | None,
    with_sets: bool,
    kinds: str,
    engine: Engine,
    processes: int,
    as_json: bool,
) -> None:
    """Judge exposures of the Butler repository REPO against its certified chain.

    Without --exposure or --where, every exposure that is a bias, dark or flat (or says nothing of
    what it is) is judged, oldest first.

    \b
    Example:
      calwatch verify /repo/LATISS --instrument LATISS \\
          --where "exposure.day_obs = 20261121" --sets --json
      calwatch verify /repo/LATISS --instrument LATISS \\
          --exposure 2026112100040 --kinds crosstalk
    """
    from rich.console import Console
    from rich.progress import track

    from calwatch.arrivals.sets import SOURCE_TYPES
    from calwatch.butler.repository import Repository
    from calwatch.cli.verdicts import console_of, exit_code, print_verdicts
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.settings import Settings
    from calwatch.verify.codec import to_dict

    settings = JudgeSettings(camera=camera, limits=limits, engine=engine)
    named = _kinds(kinds)
    errors = Console(stderr=True)
    results: list[DetectorResult] = []

    def note(result: DetectorResult) -> None:
        results.append(result)
        if as_json:
            click.echo(json.dumps(to_dict(result), allow_nan=False))

    with Repository.open(repo) as repository:
        records = repository.exposures(instrument, exposure_ids=exposure_ids or None, where=where)
        jobs = _jobs(repository, records, settings.camera_of(instrument), detectors, collection,
                     as_type, chosen=bool(exposure_ids or where))  # fmt: skip
        # Of exposures that are no bias, dark or flat only the sets may be judged.
        with_sets = with_sets or bool(named)
        singles = [job for job in jobs if not with_sets or job.calib_type not in SOURCE_TYPES]
        judged = _judged(singles, settings, processes)
        for result in track(judged, "judging", total=len(singles), console=errors, transient=True):
            note(result)
        if with_sets:
            wanted = Settings(
                repo=repository.root, instruments=(instrument,), look_back_days=None,
                collection=collection, sets=_set_settings(named),
            )  # fmt: skip
            pairs = list(zip(singles, results, strict=True))
            with errors.status("judging sets"):
                for result in _sets(repository, jobs, pairs, settings, wanted, processes):
                    note(result)
    if not as_json:
        print_verdicts(console_of(Console()), results, f"{instrument} in {repo}, limits {limits}")
    ctx.exit(exit_code(result.verdict for result in results))


def _kinds(text: str) -> tuple[str, ...]:
    """Return the kinds of sets that are named.

    Raises
    ------
    BadParameter
        If there is no such kind.
    """
    from calwatch.verify.metrics import SET_TYPES

    named = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    unknown = [word for word in named if word not in SET_TYPES]
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}; there are {', '.join(SET_TYPES)}", param_hint="--kinds"
        )
    return named


def _set_settings(named: Sequence[str]) -> SetSettings:
    """Return which sets are judged: those that are named, with what they are made of, or all."""
    from calwatch.arrivals.sets import ALL_FLATS
    from calwatch.settings import SetSettings
    from calwatch.verify.metrics import SET_TYPES
    from calwatch.verify.sets.needs import NEEDS

    if not named:
        return SetSettings()
    made_of = {NEEDS[kind].numbers_of for kind in named if kind in NEEDS}
    reasons = SetSettings().crosstalk_reasons
    return SetSettings(
        kinds=tuple(kind for kind in SET_TYPES if kind in named or kind in made_of),
        crosstalk_reasons=(*reasons, ALL_FLATS) if "crosstalk" in named else reasons,
    )


def _jobs(
    repository: Repository,
    records: Sequence[ExposureRecord],
    camera: Camera,
    detectors: Sequence[str],
    collection: str | None,
    as_type: str | None,
    *,
    chosen: bool,
) -> list[Job]:
    """Return the work on the chosen exposures, oldest first.

    Raises
    ------
    StopError
        If nothing matches.
    """
    from calwatch.arrivals.job import Job
    from calwatch.isr.switches import needed_calibrations

    judged_types = {*TYPES, "unknown", ""}
    wanted = [r for r in records if chosen or as_type or r.observation_type in judged_types]
    chosen_ids = {r.exposure_id for r in wanted}
    skipped = Counter(r.observation_type for r in records if r.exposure_id not in chosen_ids)
    if skipped:
        words = ", ".join(f"{count} {word}" for word, count in skipped.items())
        click.echo(f"not calibrations, left out: {words}", err=True)
    if not wanted:
        raise StopError(f"{repository.root}: no exposure of {camera.instrument} matches")
    numbers = [camera.detector(int(d) if d.isdigit() else d).number for d in detectors] or None
    raws = repository.raws(camera.instrument, [r.exposure_id for r in wanted], numbers)
    if not raws:
        raise StopError(f"{repository.root}: no raw file of the chosen exposures and detectors")
    of_exposure: dict[int, list[RawDataset]] = defaultdict(list)
    for raw in raws:
        of_exposure[raw.exposure_id].append(raw)
    jobs = []
    for record in wanted:
        mine = of_exposure[record.exposure_id]
        calib_type = as_type or record.observation_type
        needed = needed_calibrations(camera, calib_type) if calib_type in TYPES else ()
        chains = repository.chains(record, needed, [raw.detector for raw in mine], collection)
        jobs += [Job(record, calib_type, raw.detector, raw, chains[raw.detector]) for raw in mine]
    return jobs


def _judged(
    jobs: Sequence[Job], settings: JudgeSettings, processes: int
) -> Iterator[DetectorResult]:
    """Judge in this process, or in several; results come in the order of the jobs."""
    from calwatch.service.judge import Judge, start_worker, work

    if processes == 1 or len(jobs) < 2:
        judge = Judge(settings)
        yield from map(judge, jobs)
        return
    shared = replace(settings, cache_bytes=settings.cache_bytes // processes)
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=start_worker, initargs=(shared,)
    ) as pool:
        yield from pool.map(work, jobs)


def _sets(
    repository: Repository,
    jobs: Sequence[Job],
    singles: Sequence[tuple[Job, DetectorResult]],
    settings: JudgeSettings,
    wanted: Settings,
    processes: int,
) -> Iterator[DetectorResult]:
    """Judge the sets among what was chosen."""
    from calwatch.service.judge_factory import judge_factory
    from calwatch.service.sets_once import ChosenExposures, judge_sets_once

    records = {job.exposure.exposure_id: job.exposure for job in jobs}
    chosen = ChosenExposures(repository, list(records.values()), [job.raw for job in jobs])
    yield from judge_sets_once(
        chosen,
        judge_factory(settings),
        wanted,
        [(job.exposure, result) for job, result in singles],
        lambda todo: _judged(todo, settings, processes),
    )
