"""What the ledger knows of sets of exposures, and the numbers that sets are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select

from calwatch.ledger.nights import read_lines
from calwatch.ledger.queries import ExposureLine, latest
from calwatch.ledger.store import Ledger, Recorded
from calwatch.ledger.tables import (
    exposure_verdict,
    judgement,
    measured_array,
    measurement,
    set_member,
)
from calwatch.verify.definitions.model import SET_TYPES
from calwatch.verify.model import ALGORITHM, Verdict, algorithm_of
from calwatch.verify.sets.model import Earlier

_J, _M, _A, _S, _E = (
    judgement.c,
    measurement.c,
    measured_array.c,
    set_member.c,
    exposure_verdict.c,
)
PAIR_TYPES = ("gain", "cti")
"""What is judged of two flats."""
_PAIR = 2


@dataclass(frozen=True, slots=True)
class SetVerdict:
    """The merged verdict of one set."""

    calib_type: str
    exposure_id: int
    """Its last exposure, under which it is judged."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SetLine:
    """One set: its merged verdict without the document, and its exposures."""

    line: ExposureLine
    """Of its last exposure."""
    members: tuple[int, ...]
    """Exposure ids, in order."""


def judged_pairs(
    ledger: Ledger, instrument: str, first_day: int | None = None
) -> set[tuple[int, int]]:
    """Return the exposure ids of every pair of flats that was judged since a ``day_obs``."""
    statement = (
        select(_J.exposure_id, _S.exposure_id.label("member"))
        .join_from(judgement, set_member, _S.judgement_id == _J.id)
        .where(
            _J.instrument == instrument,
            _J.algorithm.in_([algorithm_of(kind) for kind in PAIR_TYPES]),
            *([] if first_day is None else [_J.day_obs >= first_day]),
        )
        .distinct()
    )
    members: dict[int, set[int]] = {}
    for row in ledger.read(lambda c: c.execute(statement).all()):
        members.setdefault(row.exposure_id, set()).add(row.member)
    return {(min(found), max(found)) for found in members.values() if len(found) == _PAIR}


@dataclass(frozen=True, slots=True)
class Standing:
    """A merged verdict that is that of all judgements of a set."""

    members: frozenset[int]
    n_unknown: int
    """Detectors that are UNKNOWN."""


def standing_sets(
    ledger: Ledger, instrument: str, first_day: int | None = None
) -> dict[tuple[str, int], Standing]:
    """Return what stands of all sets since a ``day_obs``, by type and last exposure.

    Two questions for all of them: a look asks so every minute.
    """
    mine = [
        _E.instrument == instrument,
        _E.algorithm.in_([algorithm_of(kind) for kind in SET_TYPES]),
        *([] if first_day is None else [_E.day_obs >= first_day]),
    ]
    verdicts = select(_E.calib_type, _E.exposure_id, _E.n_unknown).where(*mine)
    exposures = (
        select(_E.calib_type, _E.exposure_id, _S.exposure_id.label("member"))
        .join_from(exposure_verdict, set_member, _S.judgement_id == _E.last_judgement_id)
        .where(*mine)
    )
    members: dict[tuple[str, int], set[int]] = {}
    for row in ledger.read(lambda c: c.execute(exposures).all()):
        members.setdefault((row.calib_type, row.exposure_id), set()).add(row.member)
    return {
        (row.calib_type, row.exposure_id): Standing(
            frozenset(members.get((row.calib_type, row.exposure_id), ())), row.n_unknown
        )
        for row in ledger.read(lambda c: c.execute(verdicts).all())
    }


def sets_of(ledger: Ledger, instrument: str, exposure_id: int) -> list[SetVerdict]:
    """Return the sets that an exposure was judged in, by type."""
    judged = (
        select(_J.exposure_id, _J.algorithm)
        .join_from(judgement, set_member, _S.judgement_id == _J.id)
        .where(_J.instrument == instrument, _S.exposure_id == exposure_id)
        .distinct()
        .subquery()
    )
    statement = (
        select(_E.calib_type, _E.exposure_id, _E.verdict)
        .join(
            judged,
            (judged.c.exposure_id == _E.exposure_id) & (judged.c.algorithm == _E.algorithm),
        )
        .where(_E.instrument == instrument)
        .order_by(_E.calib_type, _E.exposure_id)
    )
    found = ledger.read(lambda c: c.execute(statement).all())
    return [SetVerdict(row.calib_type, row.exposure_id, Verdict(row.verdict)) for row in found]


def sets_between(ledger: Ledger, instrument: str, first_day: int, last_day: int) -> list[SetLine]:
    """Return the sets of some days of observation, both included, by type and then oldest first."""
    algorithms = [algorithm_of(kind) for kind in SET_TYPES]
    statement = (
        select(*[column for column in _E if column.name != "document"])
        .where(
            _E.instrument == instrument,
            _E.day_obs.between(first_day, last_day),
            _E.algorithm.in_(algorithms),
        )
        .order_by(_E.day_obs, _E.seq_num, _E.exposure_id)
    )
    lines = sorted(read_lines(ledger, statement), key=lambda one: SET_TYPES.index(one.calib_type))
    members = _members(ledger, instrument, [one.exposure_id for one in lines], algorithms)
    return [SetLine(one, members.get((one.exposure_id, one.calib_type), ())) for one in lines]


def members_of(
    ledger: Ledger, instrument: str, exposure_id: int, calib_type: str
) -> tuple[int, ...]:
    """Return the exposures of a set, in order; none of a single exposure."""
    found = _members(ledger, instrument, [exposure_id], [algorithm_of(calib_type)])
    return found.get((exposure_id, calib_type), ())


def _members(
    ledger: Ledger, instrument: str, exposure_ids: Collection[int], algorithms: Collection[str]
) -> dict[tuple[int, str], tuple[int, ...]]:
    """Return the exposures of sets, by last exposure and type: as the newest judgement has them.

    A set of LSSTCam has the same members 189 times: one detector of each set is asked.
    """
    newest = (
        select(func.max(_J.id))
        .where(
            _J.instrument == instrument,
            _J.exposure_id.in_(sorted(exposure_ids)),
            _J.algorithm.in_(sorted(algorithms)),
        )
        .group_by(_J.exposure_id, _J.algorithm)
    )
    statement = (
        select(_J.exposure_id, _J.calib_type, _S.exposure_id.label("member"))
        .join_from(judgement, set_member, _S.judgement_id == _J.id)
        .where(_J.id.in_(newest))
        .order_by(_S.exposure_id)
    )
    found: dict[tuple[int, str], list[int]] = {}
    for row in ledger.read(lambda c: c.execute(statement).all()):
        found.setdefault((row.exposure_id, row.calib_type), []).append(row.member)
    return {which: tuple(members) for which, members in found.items()}


def results_with_arrays(
    ledger: Ledger, instrument: str, exposure_id: int, algorithm: str
) -> Recorded:
    """Return what `calwatch.ledger.store.Ledger.results` does, with the arrays that are kept."""
    statement = (
        select(_J.detector, _A.name, _A["values"].label("values"))
        .join_from(judgement, measured_array, _A.judgement_id == _J.id)
        .where(
            _J.instrument == instrument,
            _J.exposure_id == exposure_id,
            _J.algorithm == algorithm,
            latest(),
        )
    )
    arrays: dict[int, dict[str, Any]] = {}
    for row in ledger.read(lambda c: c.execute(statement).all()):
        arrays.setdefault(row.detector, {})[row.name] = row.values
    recorded = ledger.results(instrument, exposure_id, algorithm)
    results = tuple(replace(r, arrays=arrays.get(r.detector, {})) for r in recorded.results)
    return replace(recorded, results=results)


def light(ledger: Ledger, instrument: str, exposure_ids: Collection[int]) -> dict[int, float]:
    """Return the measured level of flats, e-, as far as they are judged."""
    statement = select(_E.exposure_id, _E.document).where(
        _E.instrument == instrument,
        _E.algorithm == ALGORITHM,
        _E.exposure_id.in_(sorted(exposure_ids)),
    )
    found = {}
    for row in ledger.read(lambda c: c.execute(statement).all()):
        level = (row.document.get("metrics") or {}).get("EXP_MEAN")
        if level is not None:
            found[row.exposure_id] = float(level)
    return found


def earlier_numbers(
    ledger: Ledger,
    instrument: str,
    exposure_times: Mapping[int, float],
    metrics: Sequence[str],
    calib_type: str,
    *,
    arrays: Sequence[str] = (),
    detectors: Collection[int] | None = None,
) -> dict[int, list[Earlier]]:
    """Return some numbers of some judged exposures, by detector, the oldest exposure first.

    Parameters
    ----------
    ledger, instrument
        Where they are.
    exposure_times
        Seconds, by the exposure id of what is asked for.
    metrics
        Numbers of amplifiers.
    calib_type
        What was judged.
    arrays
        Names of arrays beside the numbers; those that have been dropped are left out.
    detectors
        Which; None for all.
    """
    mine = (
        _J.instrument == instrument,
        _J.algorithm == algorithm_of(calib_type),
        _J.calib_type == calib_type,
        _J.exposure_id.in_(sorted(exposure_times)),
        *([] if detectors is None else [_J.detector.in_(sorted(detectors))]),
        latest(),
    )
    numbers = (
        select(_J.id, _J.exposure_id, _J.detector, _J.amps, _M.metric, _M["values"].label("values"))
        .join_from(judgement, measurement, _M.judgement_id == _J.id)
        .where(*mine, _M.level == "amp", _M.metric.in_(metrics))
        .order_by(_J.exposure_id, _J.detector)
    )
    kept = (
        select(_A.judgement_id, _A.name, _A["values"].label("values"))
        .join_from(judgement, measured_array, _A.judgement_id == _J.id)
        .where(*mine, _A.name.in_(arrays))
    )
    found: dict[int, dict[str, Any]] = {}
    for row in ledger.read(lambda c: c.execute(numbers).all()):
        one = found.setdefault(row.id, {"row": row, "amps": {amp: {} for amp in row.amps}})
        for amp, value in zip(row.amps, row.values, strict=False):
            one["amps"][amp][row.metric] = value
    by_id: dict[int, dict[str, Any]] = {}
    if arrays:
        for array in ledger.read(lambda c: c.execute(kept).all()):
            by_id.setdefault(array.judgement_id, {})[array.name] = _short(array.values)
    points: dict[int, list[Earlier]] = {}
    for judgement_id, one in found.items():
        row = one["row"]
        seconds = exposure_times[row.exposure_id]
        point = Earlier(
            row.exposure_id, row.detector, seconds, one["amps"], by_id.get(judgement_id, {})
        )
        points.setdefault(row.detector, []).append(point)
    return points


def _short(values: Any) -> Any:
    """Return an array as lists of numbers of seven digits: it is kept in single precision."""
    if getattr(values, "ndim", 0) == 0:
        return float(f"{float(values):.7g}")
    return [_short(one) for one in values]
