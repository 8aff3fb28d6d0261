from __future__ import annotations

import datetime
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.header import (
    contradictions,
    detector_exposure_id,
    exposure_id,
    translate,
    unpack_exposure_id,
)
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera

REAL = Path(__file__).parents[3] / "shared" / "data" / "headers"
LATISS = load_camera("LATISS")
COMCAM = load_camera("LSSTComCam")
LSSTCAM = load_camera("LSSTCam")

DARK: dict[str, Any] = {
    "INSTRUME": "lsstCam",
    "OBSID": "MC_O_20260315_000051",
    "CONTRLLR": "O",
    "DAYOBS": "20260315",
    "SEQNUM": 51,
    "IMGTYPE": "DARK",
    "TESTTYPE": "DARK",
    "REASON": "daily_dark",
    "PROGRAM": "BLOCK-T664",
    "EXPTIME": 30.0,
    "SHUTTIME": 30.01,
    "DARKTIME": 30.2,
    "FILTER": "i_39",
    "RAFTBAY": "R22",
    "CCDSLOT": "S11",
    "CCD_MANU": "E2V",
    "MJD-BEG": 61114.75,
    "MJD-END": 61114.7503,
    "SEQFILE": "FP_E2V.seq",
    "SEQCKSUM": "123",
    "ODP": None,
}


def test_every_fact_of_a_plain_header() -> None:
    facts = translate(DARK, LSSTCAM)
    assert facts.instrument == "LSSTCam"
    assert facts.obs_id == "MC_O_20260315_000051"
    assert (facts.controller, facts.day_obs, facts.seq_num) == ("O", 20260315, 51)
    assert facts.exposure_id == 2026031500051
    assert (facts.observation_type, facts.test_type, facts.reason) == ("dark", "dark", "daily_dark")
    assert (facts.exposure_time, facts.dark_time) == (30.01, 30.2)
    assert (facts.physical_filter, facts.band) == ("i_39", "i")
    assert facts.program == "BLOCK-T664"
    assert (facts.begin_tai, facts.end_tai) == (61114.75, 61114.7503)
    assert (facts.detector_name, facts.vendor, facts.serial) == ("R22_S11", "E2V", "")
    assert facts.sequencer == {"SEQFILE": "FP_E2V.seq", "SEQCKSUM": "123"}
    assert contradictions(facts, LSSTCAM, LSSTCAM.detector(94), "dark") == ()
    assert contradictions(DARK, LSSTCAM, LSSTCAM.detector(94), "dark") == ()


def _facts(camera: Camera, **changes: Any) -> Any:
    header = DARK | changes
    return translate({k: v for k, v in header.items() if v is not ...}, camera)


@pytest.mark.parametrize(
    ("camera", "exptime", "shuttime", "darktime", "exposure", "dark"),
    [
        (LSSTCAM, 30.0, 30.01, 30.2, 30.01, 30.2),
        (LSSTCAM, 30.0, 0.0, 30.2, 30.0, 30.2),
        (LSSTCAM, 0.0, 0.0, 0.092, 0.0, 0.092),
        (LSSTCAM, 30.0, None, ..., 30.0, 30.0),
        (LSSTCAM, 30.0, math.nan, 20.0, 30.0, 20.0),
        (LSSTCAM, 30.0, 30.0, math.nan, 30.0, math.nan),
        (LSSTCAM, 30.0, 30.0, -1.0, 30.0, math.nan),
        (LSSTCAM, math.nan, math.nan, ..., math.nan, math.nan),
        (LSSTCAM, "30.0", ..., "NaN", 30.0, math.nan),
        (COMCAM, 30.0, 31.0, 30.2, 30.0, 30.2),
        (COMCAM, 30.0, 31.0, 20.0, 30.0, 20.0),
        (LATISS, 30.0, 31.0, 30.0096, 30.0, 30.0096),
        (LATISS, 30.0, 31.0, 29.0, 30.0, 30.0),
        (LATISS, 30.0, 31.0, ..., 30.0, 30.0),
        (LATISS, 30.0, 31.0, math.nan, 30.0, math.nan),
        (LATISS, None, 31.0, 5.0, math.nan, 5.0),
    ],
)
def test_exposure_time_and_dark_time(
    camera: Camera, exptime: Any, shuttime: Any, darktime: Any, exposure: float, dark: float
) -> None:
    facts = _facts(camera, EXPTIME=exptime, SHUTTIME=shuttime, DARKTIME=darktime)
    assert facts.exposure_time == pytest.approx(exposure, nan_ok=True)
    assert facts.dark_time == pytest.approx(dark, nan_ok=True)


@pytest.mark.parametrize(
    ("camera", "keywords", "expected", "band"),
    [
        (LSSTCAM, {"FILTER": "r_57"}, "r_57", "r"),
        (LSSTCAM, {"FILTER": "ph_5", "FILTER1": "ef_43"}, "ph_5~ef_43", ""),
        (LSSTCAM, {"FILTER": "r_57", "FILTER1": "empty", "FILTER2": "empty"}, "r_57", "r"),
        (LSSTCAM, {"FILTER": "empty"}, "empty", ""),
        (LSSTCAM, {"FILTER": "NONE"}, "none", ""),
        (LSSTCAM, {"FILTER": None}, "unknown", ""),
        (LSSTCAM, {"FILTER": "  "}, "unknown", ""),
        (COMCAM, {"FILTER": "i_06"}, "i_06", "i"),
        (LATISS, {"FILTER": "SDSSr_65mm", "GRATING": "empty_1"}, "SDSSr_65mm~empty", "r"),
        (LATISS, {"FILTER": "EMPTY_1", "GRATING": "empty_1"}, "empty~empty", ""),
        (LATISS, {"FILTER": "SDSSr_65mm", "GRATING": "holo4_003"}, "SDSSr_65mm~holo4_003", "r"),
        (LATISS, {"FILTER": "SDSSr_65mm"}, "SDSSr_65mm~unknown", "r"),
        (LATISS, {"FILTER": None, "GRATING": "empty_1"}, "none~empty", ""),
        (LATISS, {"FILTER": None, "IMGTYPE": "FLAT"}, "unknown~unknown", ""),
    ],
)
def test_physical_filter(
    camera: Camera, keywords: dict[str, Any], expected: str, band: str
) -> None:
    extra = {"FILTBAND": "r"} if expected.startswith("SDSSr") else {}
    facts = _facts(camera, **keywords, **extra)
    assert facts.physical_filter == expected
    assert facts.band == band


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"IMGTYPE": "FLAT"}, "flat"),
        ({"IMGTYPE": "SKYEXP"}, "science"),
        ({"IMGTYPE": "OBJECT"}, "science"),
        ({"IMGTYPE": "CWFS"}, "cwfs"),
        ({"IMGTYPE": "DARK", "OBSTYPE": "BIAS"}, "bias"),
        ({"IMGTYPE": None, "EXPTIME": 0.0}, "bias"),
        ({"IMGTYPE": None}, "unknown"),
        ({"IMGTYPE": None, "EXPTIME": None}, "unknown"),
    ],
)
def test_observation_type(keywords: dict[str, Any], expected: str) -> None:
    assert _facts(LATISS, **keywords).observation_type == expected


def test_reason_falls_back_on_the_test_type() -> None:
    assert _facts(LSSTCAM, REASON=None, TESTTYPE="BOT_PERSISTENCE").reason == "bot_persistence"


@pytest.mark.parametrize(
    ("day_obs", "controller", "expected"),
    [
        (20180920, "C", 3018092000065),
        (20231004, "C", 3023100400065),
        (20231005, "C", 2023100500065),
        (20250417, "P", 5025041700065),
        (20250418, "P", 2025041800065),
        (20250417, "S", 7025041700065),
        (20260101, "H", 4026010100065),
        (20180920, "O", 2018092000065),
        (20180920, "", 2018092000065),
        (20180920, "X", None),
        (None, "O", None),
    ],
)
def test_exposure_id(day_obs: int | None, controller: str, expected: int | None) -> None:
    assert exposure_id(day_obs, 65, controller, LSSTCAM) == expected


DAYS = st.dates(datetime.date(2010, 1, 1), datetime.date(2050, 1, 1))


@given(DAYS, st.integers(0, 99_999), st.sampled_from("OCHPQS"))
def test_exposure_id_unpacks_to_day_and_number(
    day: datetime.date, seq_num: int, controller: str
) -> None:
    day_obs = int(day.strftime("%Y%m%d"))
    packed = exposure_id(day_obs, seq_num, controller, LSSTCAM)
    assert packed is not None
    unpacked = unpack_exposure_id(packed)
    assert unpacked[:2] == (day_obs, seq_num)
    assert unpacked[2] in (controller, "O")
    assert exposure_id(*unpacked, LSSTCAM) == packed or unpacked[2] == "O"


@pytest.mark.parametrize("number", [0, 12, 99999999, 2026139900001, 9926010100001])
def test_a_number_that_is_no_exposure_id(number: int) -> None:
    with pytest.raises(ValueError, match="is not an exposure id"):
        unpack_exposure_id(number)


def test_detector_exposure_id() -> None:
    assert detector_exposure_id(20100101, 0, "O", 0) == 0
    assert detector_exposure_id(20100101, 1, "O", 3) == 256 + 3
    assert detector_exposure_id(20100102, 0, "O", 0) == 256 * 32768
    assert detector_exposure_id(20100101, 0, "C", 0) == 256 * 32768 * 16384
    assert detector_exposure_id(20260315, 51, "X", 0) == detector_exposure_id(20260315, 51, "O", 0)
    with pytest.raises(ValueError, match="month"):
        detector_exposure_id(20101301, 0, "O", 0)


_KEYS = st.tuples(DAYS, st.integers(0, 32767), st.sampled_from("OCHPQS"), st.integers(0, 204))


@given(_KEYS, _KEYS)
def test_detector_exposure_ids_differ(a: tuple[Any, ...], b: tuple[Any, ...]) -> None:
    def pack(key: tuple[Any, ...]) -> int:
        return detector_exposure_id(int(key[0].strftime("%Y%m%d")), *key[1:])

    assert (pack(a) == pack(b)) == (a == b)


@pytest.mark.parametrize(
    ("keywords", "begin", "end"),
    [
        ({"MJD-BEG": 61000.5, "MJD-END": 61000.6}, 61000.5, 61000.6),
        ({"MJD-BEG": None, "DATE-BEG": "2025-11-21T12:00:00.000"}, 61000.5, 61114.7503),
        ({"MJD-BEG": 61000.5, "MJD-END": None}, 61000.5, 61000.5 + 30.01 / 86400),
        ({"MJD-BEG": "soon", "MJD-END": None}, math.nan, math.nan),
        (
            {"MJD-BEG": 61000.5, "MJD-END": 61000.6, "TIMESYS": "UTC"},
            61000.50042824,
            61000.60042824,
        ),
    ],
)
def test_times(keywords: dict[str, Any], begin: float, end: float) -> None:
    facts = _facts(LSSTCAM, **keywords)
    assert facts.begin_tai == pytest.approx(begin, abs=1e-8, nan_ok=True)
    assert facts.end_tai == pytest.approx(end, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20260315", 20260315),
        (20260315, 20260315),
        ("2026-03-15", 20260315),
        ("2026-03-15T12:00:00", 20260315),
        ("2026315", None),
        ("20260231", None),
        ("today", None),
        (math.nan, None),
    ],
)
def test_day_obs(value: object, expected: int | None) -> None:
    assert _facts(LSSTCAM, OBSID=None, DAYOBS=value).day_obs == expected


def test_obsid_stands_in_for_missing_keywords() -> None:
    facts = _facts(LSSTCAM, CONTRLLR=None, DAYOBS=None, SEQNUM=None)
    assert (facts.controller, facts.day_obs, facts.seq_num) == ("O", 20260315, 51)


@pytest.mark.parametrize(
    ("changes", "observation_type", "number", "expected"),
    [
        ({}, "bias", 94, "the header says it is a dark, the Butler says bias"),
        ({"IMGTYPE": "BIAS", "EXPTIME": 0, "SHUTTIME": 0}, "bias", 94, "TESTTYPE is dark"),
        ({"TESTTYPE": "BOT_PERSISTENCE"}, "dark", 94, "in a test of persistence"),
        ({"IMGTYPE": "BIAS", "TESTTYPE": "BIAS"}, "bias", 94, "a bias with an exposure time of 30"),
        ({"EXPTIME": 0, "SHUTTIME": 0}, "dark", 94, "a dark with an exposure time of 0 s"),
        ({"MJD-END": 61000.0}, "dark", 94, "ends before it begins"),
        ({}, "dark", 93, "is of detector R22_S11, not R22_S10"),
        ({"CCD_MANU": "ITL"}, "dark", 94, "made by ITL, not E2V"),
        ({"SEQNUM": 52}, "dark", 94, "OBSID MC_O_20260315_000051 does not agree"),
        ({"INSTRUME": "ComCam"}, "dark", 94, "is of instrument ComCam, not LSSTCam"),
    ],
)
def test_contradictions(
    changes: dict[str, Any], observation_type: str, number: int, expected: str
) -> None:
    found = contradictions(
        _facts(LSSTCAM, **changes), LSSTCAM, LSSTCAM.detector(number), observation_type
    )
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize("test_type", ["FLAT", "SFLAT", "flat_flat", "PTC", None, ""])
def test_words_that_agree_with_a_flat(test_type: str | None) -> None:
    facts = _facts(LSSTCAM, IMGTYPE="FLAT", TESTTYPE=test_type)
    assert contradictions(facts, LSSTCAM, LSSTCAM.detector(94), "flat") == ()


def test_detector_name_without_raft_and_slot() -> None:
    bare = {"RAFTBAY": None, "CCDSLOT": None}
    assert _facts(LSSTCAM, **bare).detector_name == ""
    assert _facts(COMCAM, **bare, LSST_NUM="ITL-3800C-283").detector_name == "R22_S11"
    assert _facts(LATISS, **bare).detector_name == "RXX_S00"


def test_former_ccd_is_mentioned() -> None:
    facts = _facts(LATISS, INSTRUME="LATISS", RAFTBAY="R00", CCDSLOT="S00", CCD_MANU="ITL")
    assert contradictions(facts, LATISS, LATISS.detector(0), "dark") == ()
    facts = translate({"LSST_NUM": "ITL-3800C-098"}, LATISS)
    assert contradictions(facts, LATISS, LATISS.detector(0), "bias") == (
        "the CCD is ITL-3800C-098, which ITL-3800C-068 has replaced",
    )


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.just("NaN")
)


@given(
    header=st.dictionaries(st.sampled_from([*DARK, "GRATING", "DATE-BEG", "TIMESYS"]), VALUES),
    camera=st.sampled_from([LATISS, COMCAM, LSSTCAM]),
)
def test_no_header_raises(header: dict[str, Any], camera: Camera) -> None:
    facts = translate(header, camera)
    assert facts.exposure_time >= 0 or math.isnan(facts.exposure_time)
    assert facts.dark_time >= 0 or math.isnan(facts.dark_time)
    assert not math.isinf(facts.begin_tai)
    contradictions(facts, camera, camera.detectors[0], "bias")


def test_the_stand_s_own_keywords(stand: Camera) -> None:
    header = {
        "DETECTOR": "stand",
        "NIGHT": "2026-03-15",
        "RUNNO": 7,
        "OBSTYPE": "Flat",
        "EXPOSED": 2.5,
        "FILTER": "clear",
        "DATE-OBS": "2026-03-15T18:00:00",
    }
    facts = translate(header, stand)
    assert (facts.instrument, facts.exposure_id) == ("TestStand", 2026031500007)
    assert (facts.observation_type, facts.exposure_time, facts.dark_time) == ("flat", 2.5, 2.5)
    assert (facts.physical_filter, facts.band) == ("clear", "")
    assert facts.begin_tai == pytest.approx(61114.75)
    assert facts.end_tai == pytest.approx(61114.75 + 2.5 / 86400)


@pytest.mark.parametrize("path", sorted(REAL.glob("*")), ids=lambda path: path.name)
def test_real_headers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        facts = translate(json.loads(text), LSSTCAM)
        assert facts.exposure_id == 2023110700078
        assert (facts.observation_type, facts.exposure_time) == ("bias", 0.0)
        assert facts.dark_time == 0.092
        found = contradictions(facts, LSSTCAM, LSSTCAM.detector("R01_S01"), "bias")
        assert [text for text in found if "persistence" in text] == list(found)
    else:
        facts = translate(yaml.safe_load(text), LATISS)
        assert facts.exposure_id == 2024062400169
        assert (facts.observation_type, facts.exposure_time) == ("dark", 30.0)
        assert facts.physical_filter == "SDSSr_65mm~empty"
        assert contradictions(facts, LATISS, LATISS.detector(0), "dark") == ()
