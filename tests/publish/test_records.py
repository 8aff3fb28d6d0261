"""A record says what the result says, in doubles and strings, and is the same each time."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import strategies
from episodes import make_alarm, make_transition
from fakes import make_exposure, make_job, make_result
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from calwatch.alarms.model import Severity, What
from calwatch.errors import RecordError
from calwatch.ledger.outbox import AlarmTold, Completeness, JudgedDetector, JudgedExposure, Taken
from calwatch.publish.records import event_id, make_record
from calwatch.publish.schemas import CHAIN_TYPES, RUBIN_AMPS, build_schemas, metrics_of
from calwatch.verify.metrics import CALIB_TYPES, SET_TYPES
from calwatch.verify.model import Verdict, algorithm_of

SCHEMAS = build_schemas().schemas


def taken(number: int = 1, **changes) -> Taken:
    e = make_exposure(number, **changes)
    return Taken(e.obs_id, e.physical_filter, e.band, e.day_obs, e.seq_num, e.end_utc)


def detector(number: int = 1, kind: str = "bias", **changes) -> JudgedDetector:
    return JudgedDetector(make_result(make_job(number, 3, kind=kind), **changes), taken(number))


def exposure(**changes) -> JudgedExposure:
    fields = {
        "instrument": "LSSTCam",
        "exposure_id": 2026112000005,
        "algorithm": "1",
        "calib_type": "flat",
        "verdict": Verdict.FAIL,
        "reason": "R22_S11: C17 NOISE is high",
        "n_pass": 186,
        "n_fail": 2,
        "n_unknown": 1,
        "expected": tuple(range(189)),
        "document": {
            "metrics": {"EXP_MEAN": 1000.5, "EXP_SCATTER": None},
            "tests": {},
            "failures": ["R22_S11 C17 NOISE", "SCATTER"],
            "test_counts": {"amp": {"pass": 9, "fail": 1, "unknown": 0, "warning": 2}},
        },
        "taken": taken(5),
    }
    return JudgedExposure(**{**fields, **changes})


def pair(**changes) -> JudgedDetector:
    """A pair of flats, the exposures 4 and 5."""
    job = replace(make_job(5, 3, kind="flat"), calib_type="gain")
    result = make_result(job, metrics=("PAIR_GAIN", "PAIR_NOISE"), **changes)
    members = {"members": [2026112000004, 2026112000005], "raws": ["/raw/4", "/raw/5"]}
    return JudgedDetector(
        replace(result, provenance={**result.provenance, **members}), taken(5, kind="flat")
    )


def lone() -> JudgedDetector:
    """A flat without a partner."""
    told = pair(verdict=Verdict.UNKNOWN, reason="no partner came", amps=())
    alone = {**told.result.provenance, "members": [2026112000005], "raws": ["/raw/5"]}
    return replace(told, result=replace(told.result, provenance=alone))


def whole_set(kind: str = "gain", **changes) -> JudgedExposure:
    document = {
        "metrics": {},
        "tests": {},
        "failures": ["R22_S11 C17 PAIR_GAIN"],
        "test_counts": {"amp": {"pass": 9, "fail": 1, "unknown": 0, "warning": 2}},
    }
    fields = {"calib_type": kind, "algorithm": algorithm_of(kind), "document": document}
    return exposure(**{**fields, **changes})


def finding(missing: tuple[int, ...] = (4, 7), **changes) -> Completeness:
    end = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
    fields = {
        "instrument": "LSSTCam",
        "exposure_id": 2026112000010,
        "obs_id": "MC_O_20261120_000010",
        "calib_type": "dark",
        "end_of_readout_utc": end,
        "due_at": end + timedelta(seconds=240),
        "expected": tuple(range(189)),
        "missing": missing,
    }
    return Completeness(**{**fields, **changes})


def happened(alarm_id: int = 3, transition_id: int = 8, **changes) -> AlarmTold:
    return AlarmTold(alarm_id, transition_id, make_transition(make_alarm(), **changes))


@pytest.mark.parametrize(
    "told",
    [
        detector(), detector(kind="dark"), pair(), exposure(), whole_set(), finding(), happened(),
    ],
)  # fmt: skip
def test_every_field_of_a_record_is_in_its_schema(told) -> None:
    record = make_record(told, RUBIN_AMPS)
    names = {field["name"] for field in SCHEMAS[record.name]["fields"]}
    assert set(record.fields) <= names
    for value in record.fields.values():
        assert value is None or type(value) in (float, str)
    left_out = names - set(record.fields)
    assert not left_out  # sixteen amplifiers were judged


def test_a_detector_record_has_the_numbers_in_place() -> None:
    told = detector(value=2.5, verdict=Verdict.FAIL, reason="C10 NOISE is high")
    record = make_record(told, RUBIN_AMPS, "tag")
    f = record.fields
    assert (record.name, record.key) == ("bias", "LATISS/3")
    assert f["timestamp"] == make_exposure(1).end_utc.timestamp()
    assert (f["C10_MEAN"], f["C00_NOISE"]) == (2.5, 17.5)
    assert f["C10_MEDIAN"] is None
    assert (f["detector"], f["detector_name"]) == ("3", "R00_S03")
    assert (f["exposure_id"], f["day_obs"], f["seq_num"]) == (2026112000001.0, 20261120.0, 1.0)
    assert (f["verdict"], f["reason"]) == ("FAIL", "C10 NOISE is high")
    assert (f["n_amp_fail"], f["n_amp_pass"], f["n_detector_fail"]) == (16.0, 0.0, 0.0)
    assert (f["fingerprint"], f["algorithm"]) == ("f0", "1")
    assert (f["bias_uuid"], f["bias_begin"], f["bias_end"]) == ("bias-f0", "60000.0", "")
    assert f["dataset_tag"] == "tag"


def test_fewer_amplifiers_leave_the_others_null() -> None:
    record = make_record(detector(amps=RUBIN_AMPS[:8]), RUBIN_AMPS)
    assert "C07_MEAN" in record.fields
    assert "C10_MEAN" not in record.fields


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_null(value) -> None:
    told = detector()
    amp = told.result.amps["C10"]
    told.result.amps["C10"] = replace(amp, metrics={"MEAN": value})
    assert make_record(told, RUBIN_AMPS).fields["C10_MEAN"] is None


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_exact(value: float) -> None:
    told = detector()
    amp = told.result.amps["C10"]
    told.result.amps["C10"] = replace(amp, metrics={"MEAN": value})
    assert make_record(told, RUBIN_AMPS).fields["C10_MEAN"] == value


def test_an_exposure_record_counts_by_verdict_and_level() -> None:
    record = make_record(exposure(), RUBIN_AMPS)
    f = record.fields
    assert (record.name, record.key) == ("exposure", "LSSTCam")
    assert (f["n_pass"], f["n_fail"], f["n_unknown"], f["n_expected"]) == (186.0, 2.0, 1.0, 189.0)
    assert (f["n_amp_fail"], f["n_amp_warning"], f["n_exposure_fail"]) == (1.0, 2.0, None)
    assert f["failures"] == "R22_S11 C17 NOISE; SCATTER"
    assert (f["EXP_MEAN"], f["EXP_SCATTER"]) == (1000.5, None)


def test_a_pair_has_a_topic_of_its_kind_and_names_its_exposures() -> None:
    record = make_record(pair(value=2.5), RUBIN_AMPS)
    f = record.fields
    assert (record.name, record.key) == ("gain", "LATISS/3")
    assert (f["calib_type"], f["algorithm"]) == ("gain", "gain 1")
    assert (f["members"], f["n_members"]) == ("2026112000004, 2026112000005", 2.0)
    assert (f["exposure_id"], f["raw_uuid"]) == (2026112000005.0, "raw-2026112000005-3")
    assert f["timestamp"] == make_exposure(5).end_utc.timestamp()
    assert (f["C10_PAIR_GAIN"], f["C10_PAIR_MEAN"]) == (2.5, None)


def test_a_flat_without_a_partner_is_a_record_without_numbers() -> None:
    record = make_record(lone(), RUBIN_AMPS)
    f = record.fields
    assert (record.name, f["verdict"], f["reason"]) == ("gain", "UNKNOWN", "no partner came")
    assert (f["members"], f["n_members"]) == ("2026112000005", 1.0)
    assert not [name for name in f if name.endswith("PAIR_GAIN")]
    schema = parse_schema(SCHEMAS["gain"])
    payload = io.BytesIO()
    schemaless_writer(payload, schema, f)
    payload.seek(0)
    assert schemaless_reader(payload, schema, None)["C10_PAIR_GAIN"] is None


@pytest.mark.parametrize("kind", SET_TYPES)
def test_what_a_set_came_to_is_told_apart_from_its_last_exposure(kind: str) -> None:
    single, record = make_record(exposure(), RUBIN_AMPS), make_record(whole_set(kind), RUBIN_AMPS)
    f = record.fields
    assert (single.name, record.name, record.key) == ("exposure", "set", "LSSTCam")
    assert (f["pipeline"], f["calib_type"], f["algorithm"]) == (kind, kind, f"{kind} 1")
    assert "pipeline" not in single.fields
    assert f["failures"] == "R22_S11 C17 PAIR_GAIN"
    assert (f["n_expected"], f["n_fail"], f["n_amp_warning"]) == (189.0, 2.0, 2.0)
    assert f["timestamp"] == single.fields["timestamp"]
    others = {make_record(whole_set(other), RUBIN_AMPS).event_id for other in SET_TYPES}
    assert len(others | {single.event_id}) == len(SET_TYPES) + 1


@pytest.mark.parametrize("kind", CALIB_TYPES)
def test_the_widest_record_of_a_type_is_far_below_kafkas_limit(kind: str) -> None:
    """A message may have 1 MiB, and many are sent in one request."""
    job = replace(make_job(1, 3, kind=kind), calib_type=kind)
    names = [metric.name for metric in metrics_of("amp", kind)]
    result = make_result(job, Verdict.FAIL, "x" * 100_000, names, amps=RUBIN_AMPS)
    whole = {metric.name: 1.5 for metric in metrics_of("detector", kind)}
    links = {"uuid": "u" * 36, "run": "r" * 300, "collection": "c" * 300}
    provenance = {
        **result.provenance,
        "chain": dict.fromkeys(CHAIN_TYPES, links),
        "members": list(range(2026112000000, 2026112000500)),
    }
    told = JudgedDetector(
        replace(result, detector_metrics=whole, provenance=provenance), taken()
    )  # fmt: skip
    record = make_record(told, RUBIN_AMPS)
    payload = io.BytesIO()
    schemaless_writer(payload, parse_schema(SCHEMAS[kind]), record.fields)
    assert payload.tell() < 100_000


def test_a_finding_names_the_missing() -> None:
    f = make_record(finding(), RUBIN_AMPS).fields
    assert (f["n_missing"], f["n_expected"], f["missing"]) == (2.0, 189.0, "4, 7")
    assert f["reason"] == "2 of 189 detectors have not come: 4, 7"
    assert (f["day_obs"], f["seq_num"]) == (20261120.0, 10.0)
    assert make_record(finding(()), RUBIN_AMPS).fields["reason"] == ""
    odd = make_record(finding(obs_id="a_b"), RUBIN_AMPS).fields
    assert (odd["day_obs"], odd["seq_num"]) == (None, None)


def test_an_alarm_record_says_what_happened_to_which_part() -> None:
    alarm = make_alarm(
        severity=Severity.WARNING,
        members=("R22_S11/C05", "R22_S11/C06"),
        acknowledged=True,
        acknowledged_by="ada",
    )
    worse = make_transition(
        alarm, What.ACKNOWLEDGED, 1.5, before=Severity.SERIOUS, who="ada", why="cable", quiet=True
    )
    record = make_record(AlarmTold(3, 8, worse), RUBIN_AMPS, "tag")
    f = record.fields
    assert (record.name, record.key) == ("alarm", "LSSTCam")
    assert f["timestamp"] == worse.at.timestamp()
    assert (f["instrument"], f["dataset_tag"]) == ("LSSTCam", "tag")
    assert (f["detector"], f["pipeline"]) == (f["part"], f["family"]) == ("R22_S11/C05", "readout")
    assert (f["name"], f["alarm_id"]) == ("LSSTCam.readout.above.R22_S11/C05", 3.0)
    assert (f["what"], f["kind"], f["aspect"]) == ("acknowledged", "failure", "above")
    assert (f["severity"], f["severity_before"], f["max_severity"]) == (2.0, 3.0, 3.0)
    assert (f["members"], f["n_members"]) == ("R22_S11/C05, R22_S11/C06", 2.0)
    assert (f["acknowledged"], f["acknowledged_by"], f["muted_by"]) == (1.0, "ada", "")
    assert (f["who"], f["why"], f["quiet"]) == ("ada", "cable", 1.0)
    assert f["exposure_id"] == 2026112000007.0
    late = happened()
    alone = replace(late.transition, alarm=make_alarm(exposure_id=None))
    assert make_record(replace(late, transition=alone), RUBIN_AMPS).fields["exposure_id"] is None


def test_what_happened_twice_is_two_events_and_the_same_is_one() -> None:
    one = make_record(happened(), RUBIN_AMPS)
    assert make_record(happened(), RUBIN_AMPS) == one
    others = [happened(alarm_id=4), happened(transition_id=9), happened(minutes=1)]
    found = {make_record(told, RUBIN_AMPS).event_id for told in others}
    assert len(found | {one.event_id}) == 4


@given(transition=strategies.transitions)
def test_anything_that_happens_to_an_alarm_can_be_published(transition) -> None:
    record = make_record(AlarmTold(1, 2, transition), RUBIN_AMPS)
    schema = parse_schema(SCHEMAS["alarm"])
    payload = io.BytesIO()
    schemaless_writer(payload, schema, record.fields)
    payload.seek(0)
    assert schemaless_reader(payload, schema, None) == record.fields


def test_long_texts_are_cut() -> None:
    told = detector(reason="x" * 100_000)
    assert len(make_record(told, RUBIN_AMPS).fields["reason"]) == 2000
    many = make_transition(make_alarm(members=("R22_S11/C05",) * 3024))
    f = make_record(AlarmTold(1, 2, many), RUBIN_AMPS).fields
    assert (len(f["members"]), f["n_members"]) == (2000, 3024.0)


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (replace(detector(), taken=taken(end_utc=None)), "has no time"),
        (detector(amps=("C00", "Z1")), "no amplifier Z1"),
        (detector(kind="science"), "no topic for exposures of type 'science'"),
        (exposure(taken=taken(end_utc=None)), "has no time"),
        (exposure(document={"metrics": {"EXP_MEAN": "much"}}), "ValueError"),
        (exposure(document={"failures": [3]}), "TypeError"),
        (exposure(document=None), "AttributeError"),
        (finding(expected=None), "TypeError"),
        (replace(happened(), transition=None), "AttributeError"),
    ],
)
def test_what_cannot_be_published_is_named(told, cause: str) -> None:
    with pytest.raises(RecordError, match=cause):
        make_record(told, RUBIN_AMPS)


def test_a_result_has_one_identity_and_others_have_others() -> None:
    one = make_record(detector(), RUBIN_AMPS)
    assert make_record(detector(), RUBIN_AMPS) == one
    assert len(one.event_id) == 64
    others = [
        detector(2),
        JudgedDetector(make_result(make_job(1, 4)), taken()),
        JudgedDetector(make_result(make_job(1, 3, "f1")), taken()),
        replace(detector(), result=replace(detector().result, algorithm="2")),
        replace(detector(), result=replace(detector().result, instrument="LSSTCam")),
    ]
    found = {make_record(told, RUBIN_AMPS).event_id for told in others}
    assert len(found | {one.event_id}) == 6


def test_an_exposure_that_says_something_else_is_another_event() -> None:
    one = make_record(exposure(), RUBIN_AMPS)
    assert make_record(exposure(), RUBIN_AMPS) == one
    assert make_record(exposure(n_pass=187), RUBIN_AMPS).event_id != one.event_id
    two = make_record(finding(), RUBIN_AMPS)
    assert make_record(finding((4,)), RUBIN_AMPS).event_id != two.event_id


def test_identities_stay_as_they_are() -> None:
    assert event_id("detector", "LATISS", 1, 0, "f0", "1") == (
        "c59e952a2e9bbb6e0b624cbb44646be6743fb33da6fb0d4257c4a3d22496f5fc"
    )
