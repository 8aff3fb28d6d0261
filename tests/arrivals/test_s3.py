"""What a bucket's notifications say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals.model import Ignored, Notice, Reason
from calwatch.arrivals.s3 import read_notifications, understand
from calwatch.camera.loader import load_camera

CAMERAS = {"LSSTCam": load_camera("LSSTCam")}
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
STEM = "LSSTCam/20261122/MC_O_20261122_000010/MC_O_20261122_000010"


def record(key: str, event: str = "ObjectCreated:Put", time: Any = "2026-11-22T14:59:00.5Z"):
    return {
        "eventVersion": "2.2",
        "eventSource": "ceph:s3",
        "eventTime": time,
        "eventName": event,
        "s3": {"bucket": {"name": "rubinobs-raw-lsstcam"}, "object": {"key": key, "size": 1}},
    }


def say(*records: Any) -> list[Notice | Ignored]:
    found = read_notifications(json.dumps({"Records": records}).encode())
    assert isinstance(found, list)
    return list(understand(found, CAMERAS, NOW))


def test_a_stored_file() -> None:
    time = datetime(2026, 11, 22, 14, 59, 0, 500_000, UTC)
    assert say(record(f"{STEM}_R22_S11.fits")) == [Notice("LSSTCam", 2026112200010, 94, time)]
    assert say(record(f"{STEM}_R44_SW1.fits.fz", "s3:ObjectCreated:CompleteMultipartUpload")) == [
        Notice("LSSTCam", 2026112200010, 204, time)
    ]


def test_a_key_may_be_quoted() -> None:
    [said] = say(record(f"{STEM}_R22_S11.fits".replace("/", "%2F").replace("_", "%5F")))
    assert isinstance(said, Notice)


@pytest.mark.parametrize("time", ["0.000000", "", None, 7, "1900-01-01T00:00:00Z", "9999-12-31"])
def test_a_time_that_is_none_becomes_now(time: Any) -> None:
    [said] = say(record(f"{STEM}_R22_S11.fits", time=time))
    assert isinstance(said, Notice)
    assert said.noticed_at == NOW


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (record(f"{STEM}_R00_SG0_guider.fits"), Reason.GUIDER),
        (record(f"{STEM}_R00_SG0.fits"), Reason.GUIDER),
        (record(f"{STEM}_R22_S11.json"), Reason.NOT_A_RAW),
        (record(f"{STEM}_expectedSensors.json"), Reason.NOT_A_RAW),
        (record(f"{STEM}_R22_S11.fits", "ObjectRemoved:Delete"), Reason.NOT_A_RAW),
        (record("LATISS/20261122/AT_O_20261122_000010/x.fits"), Reason.NOT_A_RAW),
        (record(STEM.replace("LSSTCam/", "LATISS/") + "_RXX_S00.fits"), Reason.OTHER_INSTRUMENT),
        (record(STEM.replace("LSSTCam/", "DECam/") + "_R22_S11.fits"), Reason.UNKNOWN_CAMERA),
        (record(STEM.replace("MC_O", "AT_O") + "_R22_S11.fits"), Reason.BAD_EXPOSURE),
        (record(f"{STEM}_R22_S77.fits"), Reason.UNKNOWN_DETECTOR),
        ({}, Reason.MISSING_FIELD),
        (["x"], Reason.MISSING_FIELD),
        (None, Reason.MISSING_FIELD),
        ({"eventName": 1, "s3": {"object": {"key": 2}}}, Reason.WRONG_TYPE),
    ],
)
def test_what_gives_nothing_to_do(one: Any, reason: Reason) -> None:
    [said] = say(one)
    assert isinstance(said, Ignored)
    assert said.reason is reason


@pytest.mark.parametrize(
    "value",
    [b"\x00", b"{", b"[]", b"{}", b'{"Records": 1}', b"[" * 100_000, b"9" * 10_000, b"\xff\xfe"],
)
def test_what_is_no_notification(value: bytes) -> None:
    said = read_notifications(value)
    assert isinstance(said, Ignored)
    assert said.reason is Reason.BAD_JSON


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(json_values | st.builds(record, st.text(), st.text(), json_values), max_size=4))
def test_any_json_is_understood_or_ignored(records: list[Any]) -> None:
    assert all(isinstance(said, Notice | Ignored) for said in understand(records, CAMERAS, NOW))
