"""What is missing, by the Butler and the ledger alone."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from fakes import make_chain, make_exposure, make_raw
from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals.reconcile import (
    UNMEASURED,
    calib_type_of,
    candidates,
    first_day_obs,
    jobs,
    reconcile,
)
from calwatch.verify.model import Verdict


def judged(fingerprint: str, verdict: Verdict) -> SimpleNamespace:
    return SimpleNamespace(fingerprint=fingerprint, verdict=verdict)


def missing(last=None, fingerprint: str = "new", **options) -> bool:
    """Tell whether one exposure with this last judgement is to be done."""
    exposure = make_exposure(1)
    key = (exposure.exposure_id, 0)
    known = {} if last is None else {key: last}
    chains = {key: make_chain(fingerprint)}
    return bool(reconcile([exposure], [make_raw(exposure)], chains, known, **options))


@pytest.mark.parametrize(
    ("last", "options", "expected"),
    [
        (None, {}, True),
        (judged("new", Verdict.UNKNOWN), {}, False),
        (judged("old", Verdict.UNKNOWN), {}, True),
        (judged("new" + UNMEASURED, Verdict.UNKNOWN), {}, True),
        (judged("old", Verdict.PASS), {}, False),
        (judged("old", Verdict.FAIL), {}, False),
        (judged("old", Verdict.PASS), {"rejudge": True}, True),
        (judged("old", Verdict.FAIL), {"rejudge": True}, True),
        (judged("new", Verdict.PASS), {"rejudge": True}, False),
    ],
)
def test_what_is_missing(last, options, expected) -> None:
    assert missing(last, **options) is expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("bias", "bias"), ("DARK", "dark"), (" flat ", "flat"), ("science", None), ("ptc", None)],
)
def test_which_exposures_are_ours(kind: str, expected: str | None) -> None:
    exposure = make_exposure(1, kind=kind)
    assert calib_type_of(exposure) == expected
    found = candidates([exposure], [make_raw(exposure)], {})
    assert [candidate.calib_type for candidate in found] == ([expected] if expected else [])


def test_a_raw_file_without_a_chain_waits_for_the_next_look() -> None:
    exposure = make_exposure(1)
    found = candidates([exposure], [make_raw(exposure)], {})
    assert jobs(found, {}, {}) == []


def test_unknown_ones_need_not_be_asked_about_every_time() -> None:
    exposure = make_exposure(1)
    known = {(exposure.exposure_id, 0): judged("old", Verdict.UNKNOWN)}
    raws = [make_raw(exposure)]
    assert candidates([exposure], raws, known, recheck_unknown=False) == []
    assert len(candidates([exposure], raws, known)) == 1


@pytest.mark.parametrize(
    ("hour", "days", "expected"),
    [(11, 0, 20260228), (12, 0, 20260301), (13, 1, 20260228), (13, None, None)],
)
def test_the_day_of_observation_begins_at_noon_utc(hour, days, expected) -> None:
    assert first_day_obs(datetime(2026, 3, 1, hour, tzinfo=UTC), days) == expected


VERDICTS = st.sampled_from(list(Verdict))
JUDGED = st.builds(judged, st.sampled_from(["f0", "f1"]), VERDICTS)
SKIES = st.dictionaries(
    st.tuples(st.integers(1, 6), st.integers(0, 3)), st.none() | JUDGED, max_size=20
)


@given(SKIES, st.randoms(use_true_random=False), st.booleans())
def test_each_missing_detector_once_and_oldest_first(sky, random, rejudge) -> None:
    exposures = [make_exposure(number) for number in sorted({n for n, _ in sky})]
    by_number = {e.seq_num: e for e in exposures}
    raws = [make_raw(by_number[number], detector) for number, detector in sky]
    chains = {(raw.exposure_id, raw.detector): make_chain("f1") for raw in raws}
    known = {
        (by_number[n].exposure_id, detector): last
        for (n, detector), last in sky.items()
        if last is not None
    }
    random.shuffle(exposures)
    random.shuffle(raws)
    todo = reconcile(exposures, raws, chains, known, rejudge=rejudge)
    order = [(job.exposure.exposure_id, job.detector) for job in todo]
    assert order == sorted(set(order))
    for raw in raws:
        key = (raw.exposure_id, raw.detector)
        last = known.get(key)
        done = last is not None and (
            last.fingerprint == "f1" or (last.verdict is not Verdict.UNKNOWN and not rejudge)
        )
        assert (key in order) is not done


@given(SKIES)
def test_once_all_is_judged_nothing_is_missing(sky) -> None:
    exposures = [make_exposure(number) for number in {n for n, _ in sky}]
    by_number = {e.seq_num: e for e in exposures}
    raws = [make_raw(by_number[number], detector) for number, detector in sky]
    chains = {(raw.exposure_id, raw.detector): make_chain() for raw in raws}
    todo = reconcile(exposures, raws, chains, {})
    known = {
        (job.exposure.exposure_id, job.detector): judged(job.chain.fingerprint, Verdict.UNKNOWN)
        for job in todo
    }
    assert len(known) == len(raws)
    assert reconcile(exposures, raws, chains, known, rejudge=True) == []
