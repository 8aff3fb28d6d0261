"""The headers of a simulated raw file, with the words its camera uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from calwatch.camera.model import Amplifier, Camera, Detector
from calwatch.simulate.model import CONTROLLER, SimulatedExposure

_MJD_EPOCH = datetime(1858, 11, 17)

SEQUENCER = {
    "E2V": ("FP_E2V_2s_l3cp_v30.seq", "2552520002"),
    "ITL": ("FP_ITL_2s_l3cp_v30.seq", "3021160424"),
}
"""Sequencer file and its checksum, by vendor."""

_CONDITION_STREAM = 6


def tai_string(mjd: float) -> str:
    """Return a TAI Modified Julian Date as FITS writes a date, to the millisecond."""
    moment = _MJD_EPOCH + timedelta(milliseconds=round(mjd * 86_400_000.0))
    return moment.isoformat(timespec="milliseconds")


def raft_word(camera: Camera, detector: Detector) -> str:
    """Return how raw headers and file names spell the raft of a detector."""
    words = camera.raft_words.get(detector.raft, ())
    return words[0] if words else detector.raft


def serial_number(detector: Detector) -> str:
    """Return the serial number of a detector, invented if the camera file gives none."""
    return detector.serial or f"{detector.vendor}-SIM-{detector.number:03d}"


def primary_keywords(
    camera: Camera, detector: Detector, exposure: SimulatedExposure
) -> dict[str, Any]:
    """Return the keywords of the primary header, in order.

    Everything a Rubin header holds that calwatch or a person may look for, and the first keyword
    this camera uses for each fact it would not find otherwise.
    """
    header = _identity(camera, detector, exposure) | _times(exposure) | _light(camera, exposure)
    facts: Mapping[str, Any] = {
        "instrument": camera.instrument_words[0],
        "obs_id": exposure.obs_id,
        "controller": CONTROLLER,
        "day_obs": str(exposure.day_obs),
        "seq_num": exposure.seq_num,
        "observation_type": exposure.observation_type.upper(),
        "test_type": exposure.observation_type.upper(),
        "reason": exposure.reason,
        "exposure_time": exposure.exposure_time,
        "dark_time": exposure.dark_time,
        "band": exposure.band,
        "program": exposure.program,
        "begin": exposure.begin_mjd,
        "end": exposure.end_mjd,
        "raft": raft_word(camera, detector),
        "slot": detector.slot,
        "serial": serial_number(detector),
        "vendor": detector.vendor,
    }
    for fact, value in facts.items():
        keywords = camera.keywords.get(fact, ())
        if keywords and not any(keyword in header for keyword in keywords):
            header[keywords[0]] = value
    header["INSTRUME"] = camera.instrument_words[0]
    return header


def _identity(camera: Camera, detector: Detector, exposure: SimulatedExposure) -> dict[str, Any]:
    sequencer, checksum = SEQUENCER.get(detector.vendor, SEQUENCER["ITL"])
    raft = raft_word(camera, detector)
    return {
        "CCD_MANU": detector.vendor,
        "CCD_TYPE": "3800C" if detector.vendor == "ITL" else "CCD250",
        "BINX": 1,
        "BINY": 1,
        "CCDGAIN": 1.0,
        "CCDNOISE": 10.0,
        "RAFTBAY": raft,
        "CCDSLOT": detector.slot,
        "LSST_NUM": serial_number(detector),
        "REBNAME": detector.reb,
        "PLATFORM": "simulation",
        "FIRMWARE": "11394008",
        "DAQVERS": "simulated by calwatch",
        "SEQFILE": sequencer,
        "SEQNAME": sequencer,
        "SEQCKSUM": checksum,
        "IMGTYPE": exposure.observation_type.upper(),
        "TESTTYPE": exposure.observation_type.upper(),
        "REASON": exposure.reason,
        "PROGRAM": exposure.program,
        "GROUPID": exposure.group,
        "CURINDEX": exposure.current,
        "MAXINDEX": exposure.maximum,
        "OBSID": exposure.obs_id,
        "CAMCODE": camera.camera_code,
        "CONTRLLR": CONTROLLER,
        "DAYOBS": str(exposure.day_obs),
        "SEQNUM": exposure.seq_num,
        "IMAGETAG": f"{exposure.exposure_id:016x}",
        "TSTAND": "simulation",
        "TELESCOP": "simulated",
        "DETSIZE": f"[1:{detector.width},1:{detector.height}]",
        "BUNIT": "adu",
        "HEADVER": 2,
        "FILENAME": f"{exposure.obs_id}_{raft}_{detector.slot}.fits",
    }


def _times(exposure: SimulatedExposure) -> dict[str, Any]:
    begin, end = exposure.begin_mjd, exposure.end_mjd
    written = end + 3.0 / 86_400.0
    return {
        "TIMESYS": "TAI",
        "DATE": tai_string(written),
        "MJD": written,
        "DATE-OBS": tai_string(begin),
        "MJD-OBS": begin,
        "DATE-TRG": tai_string(end),
        "MJD-TRG": end,
        "DATE-BEG": tai_string(begin),
        "MJD-BEG": begin,
        "DATE-END": tai_string(end),
        "MJD-END": end,
        "EXPTIME": exposure.exposure_time,
        "SHUTTIME": exposure.exposure_time,
        "DARKTIME": exposure.dark_time,
        "XPOSURE": exposure.exposure_time,
        "TELAPSE": round(exposure.dark_time + 0.01, 4),
    }


def _light(camera: Camera, exposure: SimulatedExposure) -> dict[str, Any]:
    """Filter keywords: the parts of the physical filter go to the keywords in order."""
    keywords = camera.keywords.get("physical_filter") or ("FILTER",)
    parts = exposure.physical_filter.split("~")
    header: dict[str, Any] = dict(zip(keywords, parts, strict=False))
    collapse = camera.header_rules.get("filter", {}).get("collapse", ())
    for keyword, part in zip(keywords[1:], parts[1:], strict=False):
        header[keyword] = f"{part}_1" if part in collapse else part
    return header | {
        "FILTBAND": exposure.band or "white",
        "FILTSLOT": 1,
        "VIGN_MIN": "UNKNOWN",
        "AIRTEMP": 10.5,
        "PRESSURE": 73_760.0,
        "HUMIDITY": 32.0,
    }


def segment_keywords(detector: Detector, amp: Amplifier, channel: int) -> dict[str, Any]:
    """Return the keywords of one amplifier's HDU."""
    data, box = amp.data, amp.bbox
    first_x, last_x = (box.x1, box.x0 + 1) if amp.flip_x else (box.x0 + 1, box.x1)
    first_y, last_y = (box.y1, box.y0 + 1) if amp.flip_y else (box.y0 + 1, box.y1)
    return {
        "INHERIT": True,
        "CHANNEL": channel,
        "CCDSUM": "1 1",
        "DATASEC": f"[{data.x0 + 1}:{data.x1},{data.y0 + 1}:{data.y1}]",
        "DETSEC": f"[{first_x}:{last_x},{first_y}:{last_y}]",
        "DETSIZE": f"[1:{detector.width},1:{detector.height}]",
        "DTV1": float(box.x1 + 1 if amp.flip_x else box.x0),
        "DTV2": float(box.y1 + 1 if amp.flip_y else box.y0),
        "DTM1_1": -1.0 if amp.flip_x else 1.0,
        "DTM2_2": -1.0 if amp.flip_y else 1.0,
        "DTM1_2": 0.0,
        "DTM2_1": 0.0,
        "BUNIT": "adu",
    }


def condition_keywords(detector: Detector, exposure: SimulatedExposure) -> dict[str, Any]:
    """Return the readout board's conditions (REB_COND): temperatures and voltages."""
    rng = np.random.default_rng([exposure.exposure_id, detector.number, _CONDITION_STREAM])
    header: dict[str, Any] = {
        f"TEMP{i}": round(27.5 + 0.6 * i + float(rng.normal(0.0, 0.1)), 4) for i in range(1, 11)
    }
    e2v = detector.vendor == "E2V"
    return header | {
        "CCDTEMP": round(-100.0 + float(rng.normal(0.0, 0.05)), 4),
        "TEMP_SET": -104.15,
        "ATEMPU": 20.89,
        "ATEMPL": 20.80,
        "HVBIAS": "ON",
        "BSSVBS": -50.0,
        "ODP": 23.4 if e2v else 26.08,
        "ODV": round((23.4 if e2v else 26.08) + float(rng.normal(0.0, 0.01)), 4),
        "OGP": -3.4 if e2v else -2.0,
        "RDP": 11.6 if e2v else 13.0,
        "GDP": 26.0 if e2v else 20.0,
        "AP0_RC": 14,
        "AP1_RC": 14,
        "AP0_GAIN": 0,
        "AP1_GAIN": 0,
        "AP0_CLMP": 0,
        "AP1_CLMP": 0,
        "DIGPS_V": 5.0,
        "ANAPS_V": 6.9,
        "CLKHPS_V": 10.0,
        "ODPS_V": 28.1,
    }
