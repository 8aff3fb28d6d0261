"""Any alarm, and anything that may happen to it, for hypothesis."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from calwatch.alarms.model import (
    Alarm,
    Key,
    Kind,
    Sample,
    Severity,
    Symptom,
    Transition,
    What,
)

SPAN = (datetime(2020, 1, 1), datetime(2060, 1, 1))
ZONES = (UTC, timezone(timedelta(hours=-4)), timezone(timedelta(hours=5, minutes=30)))

words = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
names = st.from_regex(r"[A-Za-z0-9_/]{1,12}", fullmatch=True)
times = st.datetimes(*SPAN, timezones=st.sampled_from(ZONES))
severities = st.sampled_from(Severity)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
ids = st.integers(1, 2**53)
parts = st.sampled_from(["R22_S11/C05", "R22_S11", "R22_Reb1", "R22", "LSSTCam"])


def keys(instrument: st.SearchStrategy[str] = st.just("LSSTCam")) -> st.SearchStrategy[Key]:  # noqa: B008
    return st.builds(
        Key,
        instrument=instrument,
        family=st.sampled_from(["readout", "level", "ingest"]),
        aspect=st.sampled_from(["above", "below", "bias", ""]),
        part=parts,
    )


samples = st.builds(
    Sample,
    end=times,
    exposure_id=ids,
    severity=severities,
    value=numbers,
    limit=st.tuples(numbers, numbers),
    reason=words,
    calibration=words,
    collection=words,
    uuid=words,
    near=st.booleans(),
)
symptoms = st.builds(
    Symptom,
    part=parts,
    calib_type=st.sampled_from(["bias", "dark", "flat", "flat i_39", "ingest"]),
    test=names,
    unit=words,
    section=words,
    severity=severities,
    samples=st.lists(samples, max_size=4).map(tuple),
)
alarms = st.builds(
    Alarm,
    key=keys(),
    kind=st.sampled_from(Kind),
    level=st.sampled_from(["amplifier", "CCD", "REB", "raft", "focal plane"]),
    severity=severities,
    max_severity=severities,
    reason=words,
    opened_at=times,
    since=times,
    severity_oldest=times,
    severity_newest=times,
    max_severity_at=times,
    members=st.lists(parts, max_size=4).map(tuple),
    total=st.integers(0, 3024),
    symptoms=st.lists(symptoms, max_size=3).map(tuple),
    counts=st.dictionaries(words, st.integers(0, 3024), max_size=3),
    exposure_id=st.none() | ids,
    cleared_by=st.none() | ids,
    acknowledged=st.booleans(),
    acknowledged_by=words,
    acknowledged_why=words,
    acknowledged_severity=severities,
    acknowledged_at=st.none() | times,
    auto_acknowledge_at=st.none() | times,
    auto_unacknowledge_at=st.none() | times,
    muted_severity=severities,
    muted_by=words,
    muted_why=words,
    unmute_at=st.none() | times,
    escalate_at=st.none() | times,
    escalate_to=words,
    escalated_at=st.none() | times,
    announced=st.booleans(),
    closed_at=st.none() | times,
    absorbed_by=words,
)
"""Any alarm, whether it could come about or not."""
open_alarms = alarms.map(lambda alarm: replace(alarm, closed_at=None, absorbed_by=""))
transitions = st.builds(
    Transition,
    what=st.sampled_from(What),
    at=times,
    alarm=alarms,
    before=severities,
    who=words,
    why=words,
    joined=st.lists(parts, max_size=3).map(tuple),
    left=st.lists(parts, max_size=3).map(tuple),
    quiet=st.booleans(),
)
