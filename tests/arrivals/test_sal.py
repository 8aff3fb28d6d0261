"""What SAL events say, the odd ones included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sal as events
from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals.model import Expectation, Ignored, Notice, Reason
from calwatch.arrivals.sal import (
    expected_detectors,
    parse_obs_id,
    split_escaped,
    understand,
)
from calwatch.arrivals.topics import Kind, Topic
from calwatch.camera.header import unpack_exposure_id
from calwatch.camera.loader import load_camera

CAMERAS = {name: load_camera(name) for name in ("LATISS", "LSSTCam")}
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
SENT = NOW.timestamp() - 60
OODS = Topic("lsst.sal.MTOODS.logevent_imageInOODS", Kind.INGESTED, ("LSSTCam",))
READOUT = Topic("lsst.sal.MTCamera.logevent_endReadout", Kind.READOUT, ("LATISS", "LSSTCam"))
OBS_ID = "MC_O_20261122_000010"
EXPOSURE = 2026112200010


def ingested(*what: Any, sent_at: float = SENT, cameras=CAMERAS, **changes: Any):
    fields = events.private("MTOODS", 1, {}, sent_at) | events.ingested_fields(*what)
    return understand(OODS, fields | changes, cameras, now=NOW)


def readout(
    obs_id: str = OBS_ID, kind: str = "BIAS", ended_at: float = SENT, limit: float = 240, **changes
):
    fields: Mapping[str, Any] = events.readout_fields(obs_id, kind, ended_at) | changes
    return understand(READOUT, fields, CAMERAS, now=NOW, limit_seconds=limit)


def test_an_ingested_file() -> None:
    said = ingested("LSSTCam", OBS_ID, "R22", "S11")
    sent = datetime.fromtimestamp(SENT, UTC)
    assert said == Notice("LSSTCam", EXPOSURE, 94, sent, 0, "")


@pytest.mark.parametrize(
    ("camera", "obs_id", "raft", "sensor", "detector"),
    [
        ("LATISS", "AT_O_20261122_000010", "RXX", "S00", 0),
        ("LSSTCam", OBS_ID, "R00", "SW0", 191),
        ("LSSTCam", OBS_ID, "R44", "SW1", 204),
        ("LSSTCam", OBS_ID, "R01", "S00", 0),
    ],
)
def test_detectors(camera: str, obs_id: str, raft: str, sensor: str, detector: int) -> None:
    said = ingested(camera, obs_id, raft, sensor)
    assert isinstance(said, Notice)
    assert said.detector == detector


@pytest.mark.parametrize(("sensor", "detector"), [("S94", 94), ("S03", 3), ("S200", 200)])
def test_a_failed_ingest_gives_numbers(sensor: str, detector: int) -> None:
    cause = "ingest failure: a < b\nbecause of c\x00"
    said = ingested("LSSTCam", str(EXPOSURE), "R??", sensor, 1, cause)
    assert isinstance(said, Notice)
    assert (said.exposure_id, said.detector, said.status) == (EXPOSURE, detector, 1)
    assert said.text == "ingest failure: a < b because of c"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (("UNDEF", "??", "R??", "S??", 2, "metadata failure: no header"), Reason.METADATA_FAILURE),
        (("LSSTCam", OBS_ID, "R00", "SG0"), Reason.GUIDER),
        (("LSSTCam", str(EXPOSURE), "R??", "S189", 1, "ingest failure"), Reason.GUIDER),
        (("LSSTComCam", "CC_O_20261122_000010", "R22", "S11"), Reason.OTHER_INSTRUMENT),
        (("DECam", OBS_ID, "R22", "S11"), Reason.UNKNOWN_CAMERA),
        (("", OBS_ID, "R22", "S11"), Reason.UNKNOWN_CAMERA),
        (("LSSTCam", OBS_ID, "R22", "S33"), Reason.UNKNOWN_DETECTOR),
        (("LSSTCam", OBS_ID, "undef", ""), Reason.UNKNOWN_DETECTOR),
        (("LSSTCam", str(EXPOSURE), "R??", "S999", 1), Reason.UNKNOWN_DETECTOR),
        (("LSSTCam", "AT_O_20261122_000010", "R22", "S11"), Reason.BAD_EXPOSURE),
        (("LSSTCam", "MC_O_20261322_000010", "R22", "S11"), Reason.BAD_EXPOSURE),
        (("LSSTCam", "MC_X_20261122_000010", "R22", "S11"), Reason.BAD_EXPOSURE),
        (("LSSTCam", "??", "R22", "S11", 1), Reason.BAD_EXPOSURE),
        (("LSSTCam", "9999999999999", "R??", "S11", 1), Reason.BAD_EXPOSURE),
        (("LSSTCam", "x" * 1_000_000, "R22", "S11"), Reason.BAD_EXPOSURE),
    ],
)
def test_what_gives_nothing_to_do(what: tuple[Any, ...], reason: Reason) -> None:
    said = ingested(*what)
    assert isinstance(said, Ignored)
    assert said.reason is reason
    assert 0 < len(said.text) <= 500


@pytest.mark.parametrize("sent_at", [math.nan, -2.2e9, 0.0, SENT + 1e7, 1e300])
def test_absurd_stamps(sent_at: float) -> None:
    for said in (
        ingested("LSSTCam", OBS_ID, "R22", "S11", sent_at=sent_at),
        readout(ended_at=sent_at),
    ):
        assert isinstance(said, Ignored)
        assert said.reason is Reason.BAD_TIMESTAMP


def test_a_readout_says_what_will_come() -> None:
    said = readout(limit=100)
    assert isinstance(said, Expectation)
    assert said.exposure_id == EXPOSURE
    assert said.calib_type == "bias"
    assert said.end_of_readout_utc == datetime.fromtimestamp(SENT, UTC)
    assert said.due_at - said.end_of_readout_utc == timedelta(seconds=100)
    assert len(said.expected) == 197
    assert not set(said.expected) & {189, 190, 193, 194, 197, 198, 201, 202}  # guiders


def test_a_readout_belongs_to_the_camera_its_name_gives() -> None:
    said = readout("AT_C_20261122_000010", "FLAT")
    assert isinstance(said, Expectation)
    assert (said.instrument, said.calib_type, said.expected) == ("LATISS", "flat", (0,))


def test_a_science_exposure_is_named() -> None:
    said = readout(kind="OBJECT")
    assert isinstance(said, Ignored)
    assert (said.reason, said.exposure) == (Reason.NOT_A_CALIBRATION, ("LSSTCam", EXPOSURE))


def test_odd_readouts() -> None:
    for changes, reason in [
        ({"additionalKeys": "", "additionalValues": ""}, Reason.MISSING_FIELD),
        ({"additionalKeys": "a:imageType", "additionalValues": "b"}, Reason.MISSING_FIELD),
        ({"imageName": ""}, Reason.BAD_EXPOSURE),
        ({"imageName": "XX_O_20261122_000010"}, Reason.BAD_EXPOSURE),
    ]:
        said = readout(**changes)
        assert isinstance(said, Ignored)
        assert said.reason is reason


@given(st.lists(st.text(st.characters(exclude_characters="\\")), min_size=1))
def test_escaped_colons(items: list[str]) -> None:
    joined = ":".join(item.replace(":", "\\:") for item in items)
    assert split_escaped(joined) == items


@given(
    st.sampled_from("OCHPQS"),
    st.dates(date(2019, 1, 1), date(2035, 12, 31)),
    st.integers(0, 99_999),
)
def test_exposure_ids(controller: str, day: date, number: int) -> None:
    """Year shifted by 1000 × index, but for controllers that had joined the common count."""
    since = {"O": date(1, 1, 1), "C": date(2023, 10, 5), "H": date(9999, 1, 1)}
    plain = day >= since.get(controller, date(2025, 4, 18))
    shift = 0 if plain else 1000 * "OCHPQS".index(controller)
    expected = int(f"{day.year + shift}{day:%m%d}{number:05d}")
    found = parse_obs_id(f"MC_{controller}_{day:%Y%m%d}_{number:06d}", CAMERAS["LSSTCam"])
    assert found == expected
    assert unpack_exposure_id(expected)[:2] == (int(f"{day:%Y%m%d}"), number)


@given(st.text(max_size=30) | st.from_regex(r"\A[A-Z]{2}_[A-Z]_[0-9]{8}_[0-9]{6}\Z"))
def test_any_text_as_obs_id(text: str) -> None:
    for camera in CAMERAS.values():
        found = parse_obs_id(text, camera)
        if found is not None:
            assert text.startswith(camera.camera_code)
            unpack_exposure_id(found)


@given(
    st.text(max_size=20),
    st.text(max_size=20) | st.just(OBS_ID) | st.integers(0, 10**14).map(str),
    st.text(max_size=4) | st.sampled_from(["R22", "R??"]),
    st.text(max_size=4) | st.sampled_from(["S11", "S94", "SG0"]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
)
def test_any_event_is_understood_or_ignored(camera, obs_id, raft, sensor, status, sent_at) -> None:
    for name in (camera, "LSSTCam"):
        said = ingested(name, obs_id, raft, sensor, status, private_sndStamp=sent_at)
        if isinstance(said, Notice):
            assert said.detector in expected_detectors(CAMERAS["LSSTCam"])
            assert 0 <= said.status < 2**31
            assert (said.status == 0) == (status == 0)
        else:
            assert isinstance(said, Ignored)
