"""One amplifier: a number over months, its raft beside it, and the frame itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calwatch.alarms.naming import compress
from calwatch.alarms.parts import Parts, amp_part
from calwatch.arrays import AnyArray
from calwatch.camera.model import Amplifier, Camera, Detector
from calwatch.errors import CameraError
from calwatch.ledger.arrays import measured_arrays
from calwatch.ledger.nights import exposure_line, last_checks
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.trends import JudgedBrief, briefs_of, chain_changes, newest, trend
from calwatch.ledger.types import LARGEST_ID
from calwatch.plots.frame import frame_image, profile
from calwatch.plots.trend import Band, Event, Point, thinned
from calwatch.plots.trend import trend as trend_plot
from calwatch.service.alarm_desk import OrderError
from calwatch.verify.binned import BLOCK
from calwatch.verify.brief import gravest
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import ALGORITHM, algorithm_of
from calwatch.web.api import site_of
from calwatch.web.focal import WORDS
from calwatch.web.of import address, asked
from calwatch.web.plotting import allow_pictures, picture, wanted_scheme
from calwatch.web.render import render
from calwatch.web.site import NoSuchPageError, Site
from calwatch.web.tables import Column, Table, download

DAYS = (7, 30, 90, 365)
USUAL_DAYS = 90
NEWEST = 20
"""Values in the table on the page; CSV and JSON have all."""
VALUES = (
    Column("end_utc", "End, UTC", "time"),
    Column("exposure", "Exposure", "code"),
    Column("physical_filter", "Filter"),
    Column("verdict", "Result", "verdict"),
    Column("value", "Value", "number"),
    Column("lower", "At least", "number"),
    Column("upper", "At most", "number"),
)
EVENTS = (
    Column("at", "At, UTC", "time"),
    Column("kind", "What"),
    Column("words", "In words"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What an address asks for."""

    camera: Camera
    detector: Detector
    amp: Amplifier
    calib_type: str
    show: str
    """A test."""
    days: int
    physical_filter: str
    """Empty for all."""
    line: ExposureLine | None
    """The exposure or set that is shown; None if nothing was judged."""
    until: datetime
    tests: tuple[str, ...]
    types: tuple[str, ...]
    filters: tuple[str, ...]
    briefs: tuple[JudgedBrief, ...]
    """Of the time asked for, oldest first, through any filter."""

    @property
    def since(self) -> datetime:
        """Begin of the time that is shown."""
        return self.until - timedelta(days=self.days)

    @property
    def algorithm(self) -> str:
        """Of the judgements of the type asked for."""
        return algorithm_of(self.calib_type)

    @property
    def index(self) -> int:
        """Place of the amplifier in camera order."""
        return self.detector.amp_names.index(self.amp.name)

    @property
    def shown(self) -> list[JudgedBrief]:
        """Return the judgements through the filter asked for."""
        wanted = self.physical_filter
        return [one for one in self.briefs if wanted in ("", one.physical_filter)]

    @property
    def unit(self) -> str:
        """Unit of the number."""
        found = (one.brief.tests.get(self.show) for one in reversed(self.briefs))
        return next((test.unit for test in found if test), "")


def routes() -> list[Route]:
    """Return the addresses."""
    base = "/amplifiers/{instrument}/{detector}/{amp}"
    return [
        Route(base, amplifier_page, name="amplifier"),
        Route(f"{base}/trend", trend_picture, name="amplifier-trend"),
        Route(f"{base}/frame", frame_picture, name="amplifier-frame"),
        Route(f"{base}/profile/{{along}}", profile_picture, name="amplifier-profile"),
    ]


async def amplifier_page(request: Request) -> Response:
    """Show one amplifier."""
    site = site_of(request)

    def gather() -> dict[str, Any]:
        choice = choice_of(site, request)
        events = events_of(site, choice)
        return {
            "choice": choice,
            "values": values_table(request, choice),
            "events": Table("events", "What happened", EVENTS, [_event_row(e) for e in events]),
            "arrays": _arrays(site, choice),
            "days": DAYS,
            "pulse": site.pulse(),
        }

    content = await asyncio.to_thread(gather)
    choice, values = content["choice"], content["values"]
    name = f"calwatch-{choice.camera.instrument}-{choice.detector.name}-{choice.amp.name}"
    saved = download(request, f"{name}-{choice.show}", [values, content["events"]])
    if saved is not None:
        return saved
    shown = {
        **content,
        "newest": Table(
            "values", values.title, VALUES, values.rows[:NEWEST], values.links[:NEWEST]
        ),
        "query": request.url.query,
        "has_image": "binned_residual" in content["arrays"],
        "profiles": [a for a in ("row", "column") if _profile(content["arrays"], choice, a)],
    }
    return allow_pictures(render(request, "amplifier.html", shown))


async def trend_picture(request: Request) -> Response:
    """Give the picture of the trend."""
    site = site_of(request)

    def draw() -> Any:
        choice = choice_of(site, request)
        return trend_plot(
            points_of(choice), events_of(site, choice), raft_of(site, choice),
            title=f"{choice.calib_type} {choice.show}", unit=choice.unit,
            scheme=wanted_scheme(request),
        )  # fmt: skip

    return picture(await asyncio.to_thread(draw))


async def frame_picture(request: Request) -> Response:
    """Give the picture of the frame."""
    site = site_of(request)

    def draw() -> Any:
        choice = choice_of(site, request)
        image = _arrays(site, choice).get("binned_residual")
        if image is None:
            raise NoSuchPageError("no image is kept of this frame")
        scheme = wanted_scheme(request)
        return frame_image(image, choice.detector, choice.amp, block=BLOCK, scheme=scheme)

    return picture(await asyncio.to_thread(draw))


async def profile_picture(request: Request) -> Response:
    """Give the picture of the rows or columns."""
    site, along = site_of(request), request.path_params["along"]

    def draw() -> Any:
        choice = choice_of(site, request)
        found = _profile(_arrays(site, choice), choice, along)
        if found is None:
            raise NoSuchPageError("no profile is kept of this frame")
        return profile(found[0], along, step=found[1], scheme=wanted_scheme(request))

    return picture(await asyncio.to_thread(draw))


def choice_of(site: Site, request: Request) -> Choice:
    """Read what an address asks for.

    Raises
    ------
    NoSuchPageError
        If there is no such instrument, detector, amplifier or exposure.
    OrderError
        If something asked for makes no sense.
    """
    instrument = request.path_params["instrument"]
    camera, detector = (
        site.camera(instrument),
        site.detector(instrument, request.path_params["detector"]),
    )
    try:
        amp = detector.amplifier(request.path_params["amp"])
    except CameraError as error:
        raise NoSuchPageError(str(error)) from error
    query = request.query_params
    checks = last_checks(site.ledger, instrument)
    types = tuple(check.calib_type for check in checks)
    kind = query.get("type") or asked(request)
    line = _line(site, instrument, query.get("exposure", ""), kind)
    calib_type = kind or (line.calib_type if line else (types or ("bias",))[0])
    if types and calib_type not in types:
        raise OrderError(f"type: {calib_type[:20]!r} is none of {', '.join(types)}")
    if line is None:
        line = next((check.last for check in checks if check.calib_type == calib_type), None)
    days = query.get("days") or str(USUAL_DAYS)
    if not (days.isascii() and days.isdigit() and 1 <= int(days) <= 3660):
        raise OrderError("days: must be a number from 1 to 3660")
    last = next((check.last.end_utc for check in checks if check.calib_type == calib_type), None)
    # The newest exposure ends the picture, not the clock: so an address shows the same tomorrow
    # as long as nothing new was taken.
    until = last or site.now()
    since = until - timedelta(days=int(days))
    algorithm = algorithm_of(calib_type)
    where = (instrument, detector.number, calib_type)
    last_one = newest(site.ledger, *where, algorithm)
    tests = () if last_one is None else tuple(last_one.brief.tests)
    if not tests and last_one is not None:
        # Nothing of the last one could be measured, but of those before it.
        earlier = trend(site.ledger, *where, since, until, algorithm=algorithm)
        tests = next((tuple(one.brief.tests) for one in reversed(earlier) if one.brief.tests), ())
    show = query.get("show") or next(iter(tests), "")
    if tests and show not in tests:
        raise OrderError(f"show: {show[:40]!r} is none of {', '.join(tests)}")
    found = tuple(trend(site.ledger, *where, since, until, only=show, algorithm=algorithm))
    filters = tuple(dict.fromkeys(one.physical_filter for one in found))
    wanted = query.get("filter", "")
    if wanted and wanted not in filters:
        raise OrderError(f"filter: {wanted[:40]!r} is none of {', '.join(filters)}")
    if not wanted and calib_type == "flat" and line is not None and "filter" not in query:
        wanted = line.physical_filter if line.physical_filter in filters else ""
    return Choice(
        camera, detector, amp, calib_type, show, int(days), wanted, line, until, tests, types,
        filters, found,
    )  # fmt: skip


def points_of(choice: Choice) -> list[Point]:
    """Return the number over time."""
    found = []
    for one in choice.shown:
        test = one.brief.tests.get(choice.show)
        if test is not None and one.end_utc is not None and choice.amp.name in one.brief.amps:
            i = one.brief.amps.index(choice.amp.name)
            found.append(
                Point(
                    one.end_utc, one.exposure_id, test.values[i], test.lower[i], test.upper[i],
                    test.outcomes[i],
                )
            )  # fmt: skip
    return found


def raft_of(site: Site, choice: Choice) -> list[Band]:
    """Return what all amplifiers of the raft had, at exposures spread over the time shown."""
    raft = [d.number for d in choice.camera.detectors if d.raft == choice.detector.raft]
    chosen = thinned([one.exposure_id for one in choice.shown])
    found: dict[int, tuple[datetime, list[float]]] = {}
    where = (choice.camera.instrument, raft, chosen, choice.show, choice.algorithm)
    for one in briefs_of(site.ledger, *where):
        test = one.brief.tests.get(choice.show)
        if test is not None and one.end_utc is not None:
            _, values = found.setdefault(one.exposure_id, (one.end_utc, []))
            values += [value for value in test.values if value is not None]
    bands = [
        Band(at, min(values), float(np.median(values)), max(values))
        for at, values in found.values()
        if values
    ]
    return sorted(bands, key=lambda band: band.at)


def events_of(site: Site, choice: Choice) -> list[Event]:
    """Return changes of the certified chain and of the sequencer, and alarms, oldest first."""
    instrument, detector = choice.camera.instrument, choice.detector
    changes = chain_changes(
        site.ledger, instrument, detector.number, choice.calib_type, choice.since, choice.until,
        choice.algorithm,
    )  # fmt: skip
    found = [
        Event(change.at, "calibration", f"another certified {', '.join(change.changed) or 'chain'}")
        for change in changes
    ]
    # What was judged before sequencers were recorded names none: that is no change.
    named = [one for one in choice.briefs if one.brief.sequencer and one.end_utc is not None]
    found += [
        Event(later.end_utc, "sequencer", later.brief.sequencer)
        for earlier, later in pairwise(named)
        if later.end_utc is not None and earlier.brief.sequencer != later.brief.sequencer
    ]
    parts, mine = Parts(choice.camera), amp_part(detector.name, choice.amp.name)
    for one in site.store.alarms(instrument, since=choice.since, limit=200):
        alarm = one.alarm
        # An alarm is raised after the exposure that shows it, so its own time tells.
        if alarm.since > choice.until or not parts.within(mine, alarm.key.part):
            continue
        words = f"{alarm.key.part}: {alarm.reason}" + (
            f" ({compress(alarm.members)})" if alarm.members else ""
        )
        found.append(Event(alarm.since, "alarm", words))
        if alarm.closed_at is not None:
            found.append(Event(alarm.closed_at, "alarm", f"over: {words}"))
    return sorted(found, key=lambda event: event.at)


def values_table(request: Request, choice: Choice) -> Table:
    """Return the number over time, the newest first."""
    filters = {one.exposure_id: one.physical_filter for one in choice.shown}
    points = points_of(choice)[::-1]
    rows = [
        {
            "end_utc": point.at,
            "exposure": point.exposure_id,
            "physical_filter": filters[point.exposure_id],
            "verdict": WORDS[gravest(point.outcome)],
            "value": point.value,
            "lower": point.lower,
            "upper": point.upper,
        }
        for point in points
    ]
    links = [
        {
            "exposure": address(
                request, choice.calib_type, "detector", instrument=choice.camera.instrument,
                exposure_id=point.exposure_id, detector=choice.detector.name,
            )
        }
        for point in points
    ]  # fmt: skip
    return Table("values", f"{choice.show} of {choice.amp.name}", VALUES, rows, links)


def _line(site: Site, instrument: str, word: str, kind: str) -> ExposureLine | None:
    """Return the exposure that is named, or the set of the kind asked for that ends with it."""
    if not word:
        return None
    number = int(word) if word.isascii() and word.isdigit() else -1
    algorithms = [algorithm_of(kind), ALGORITHM] if kind in SET_TYPES else [ALGORITHM]
    possible = algorithms if 0 <= number <= LARGEST_ID else []
    found = next(
        filter(None, (exposure_line(site.ledger, instrument, number, one) for one in possible)),
        None,
    )
    if found is None:
        raise NoSuchPageError(f"{instrument}: exposure {word[:20]!r} has not been judged")
    return found


def _event_row(event: Event) -> dict[str, Any]:
    return {"at": event.at.astimezone(UTC), "kind": event.kind, "words": event.words}


def _arrays(site: Site, choice: Choice) -> dict[str, Any]:
    if choice.line is None:
        return {}
    instrument, number = choice.camera.instrument, choice.detector.number
    algorithm = algorithm_of(choice.line.calib_type)
    return measured_arrays(site.ledger, instrument, choice.line.exposure_id, number, algorithm)


def _profile(arrays: dict[str, Any], choice: Choice, along: str) -> tuple[AnyArray, int] | None:
    """Return the mean of each row or column and the step between them; None if none is kept.

    Where no projection was measured, the small image is averaged.
    """
    measured = arrays.get(f"{along}_projection")
    if measured is not None:
        return measured[choice.index], 1
    image = arrays.get("binned_residual")
    if image is None or along not in ("row", "column"):
        return None
    blocks = np.asarray(image[choice.index], dtype=np.float64)
    axis = 1 if along == "row" else 0
    counts = np.isfinite(blocks).sum(axis=axis)
    sums = np.nansum(blocks, axis=axis)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), BLOCK
