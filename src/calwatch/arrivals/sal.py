"""What the observatory's SAL events say: `imageInOODS` and `endReadout`.

Plain functions of a decoded event. The fields are those of ts_xml ``*OODS_Events.xml`` and
``*Camera_Events.xml``; what they hold in practice is as ctrl_oods ``messageAttendant.py`` and its
sisters write it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from calwatch.arrivals.model import Expectation, Ignored, Notice, Reason, plain
from calwatch.arrivals.reconcile import CALIB_TYPES
from calwatch.arrivals.topics import Kind, Topic
from calwatch.camera.header import exposure_id, unpack_exposure_id
from calwatch.camera.loader import known_instruments
from calwatch.camera.model import Camera
from calwatch.errors import CameraError
from calwatch.tai import utc_from_tai

Cameras = Mapping[str, Camera]
"""By Butler instrument name."""

LIMIT_SECONDS = 240.0
"""After the end of readout; by then every file should be in the Butler."""

FIELDS: Mapping[Kind, tuple[dict[str, Any], ...]] = {
    Kind.INGESTED: (
        {"name": "private_sndStamp", "type": "double"},
        {"name": "camera", "type": "string"},
        {"name": "obsid", "type": "string"},
        {"name": "raft", "type": "string"},
        {"name": "sensor", "type": "string"},
        {"name": "statusCode", "type": "long"},
        {"name": "description", "type": "string", "default": ""},
    ),
    Kind.READOUT: (
        {"name": "imageName", "type": "string"},
        {"name": "additionalKeys", "type": "string"},
        {"name": "additionalValues", "type": "string"},
        {"name": "timestampEndOfReadout", "type": "double"},
    ),
}
"""The fields that are needed, as Avro. A field without a default must be in every message."""

_OBS_ID = re.compile(r"([A-Z]{2})_([A-Z])_([0-9]{8})_([0-9]{6})")
_NUMBER = re.compile(r"[0-9]{13}")
_DETECTOR_NUMBER = re.compile(r"S([0-9]{2,3})")
_UNESCAPED_COLON = re.compile(r"(?<!\\):")
_NO_RAFT = "R??"
_NO_CAMERA = frozenset({"", "UNDEF", "undef", "??"})


def understand(
    topic: Topic,
    record: Mapping[str, Any],
    cameras: Cameras,
    *,
    now: datetime,
    limit_seconds: float = LIMIT_SECONDS,
) -> Notice | Expectation | Ignored:
    """Return what an event says.

    Parameters
    ----------
    topic
        Where it came from.
    record
        Its fields, of the types in `FIELDS`.
    cameras
        Those that are watched.
    now
        Aware; a time stamp far ahead of it is absurd.
    limit_seconds
        How long after the end of readout the detectors of an exposure are due.
    """
    if topic.kind is Kind.INGESTED:
        return _ingested(record, cameras, now)
    return _readout(topic, record, cameras, now, limit_seconds)


def parse_obs_id(obs_id: str, camera: Camera) -> int | None:
    """Return the Butler's exposure id of an ``obs_id``, None if it is none of this camera's.

    ``MC_O_20250502_000010`` is 2025050200010; for a controller that kept its own count at the time
    the year is shifted by 1000 × the controller's index (obs_lsst ``translators/lsst.py``).
    """
    match = _OBS_ID.fullmatch(obs_id)
    if match is None or match[1] != camera.camera_code:
        return None
    day = match[3]
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return None
    return exposure_id(int(day), int(match[4]), match[2], camera)


def split_escaped(text: str) -> list[str]:
    r"""Split a list that is separated by colons; ``\:`` is a colon within an item."""
    return [item.replace("\\:", ":") for item in _UNESCAPED_COLON.split(text)]


def expected_detectors(camera: Camera) -> tuple[int, ...]:
    """Return the detectors whose files every exposure should have: all but the guiders."""
    return tuple(sorted(d.number for d in camera.detectors if d.purpose != "GUIDER"))


def _ingested(
    record: Mapping[str, Any], cameras: Cameras, now: datetime
) -> Notice | Expectation | Ignored:
    name, status = record["camera"], record["statusCode"]
    about = f"{name} {record['obsid']} {record['raft']} {record['sensor']}"
    if status != 0 and name in _NO_CAMERA:
        return Ignored(Reason.METADATA_FAILURE, plain(record["description"] or about))
    camera = _camera(name, cameras)
    if camera is None:
        other = name in known_instruments()
        reason = Reason.OTHER_INSTRUMENT if other else Reason.UNKNOWN_CAMERA
        return Ignored(reason, plain(f"camera {name!r} is not watched"))
    exposure = _exposure(record["obsid"], camera)
    if exposure is None:
        return Ignored(Reason.BAD_EXPOSURE, plain(f"obsid {record['obsid']!r} of {name}"))
    detector = _detector(record["raft"], record["sensor"], camera)
    if isinstance(detector, Ignored):
        return detector
    try:
        sent_at = utc_from_tai(record["private_sndStamp"], now)
    except ValueError as error:
        return Ignored(Reason.BAD_TIMESTAMP, f"private_sndStamp: {error}")
    text = "" if status == 0 else plain(record["description"])
    # The column of the ledger has 32 bits; which failure it was is in the text.
    short = status if 0 <= status < 2**31 else 1
    return Notice(camera.instrument, exposure, detector, sent_at, short, text)


def _camera(name: str, cameras: Cameras) -> Camera | None:
    camera = cameras.get(name)
    if camera is not None:
        return camera
    return next((c for c in cameras.values() if name and name in c.instrument_words), None)


def _exposure(text: str, camera: Camera) -> int | None:
    """Return the exposure id of an obs_id, or of the id itself, which failures give."""
    if not _NUMBER.fullmatch(text):
        return parse_obs_id(text, camera)
    try:
        unpack_exposure_id(int(text))
    except ValueError:
        return None
    return int(text)


def _detector(raft: str, sensor: str, camera: Camera) -> int | Ignored:
    """Return a detector by raft and sensor; failures give its number as the sensor, and no raft."""
    number = _DETECTOR_NUMBER.fullmatch(sensor)
    which: int | str = f"{raft}_{sensor}"
    if raft == _NO_RAFT and number:
        which = int(number[1])
    try:
        detector = camera.detector(which)
    except CameraError as error:
        return Ignored(Reason.UNKNOWN_DETECTOR, plain(str(error)))
    if detector.purpose == "GUIDER":
        return Ignored(Reason.GUIDER, f"{camera.instrument} {detector.name} is a guider")
    return detector.number


def _readout(
    topic: Topic,
    record: Mapping[str, Any],
    cameras: Cameras,
    now: datetime,
    limit_seconds: float,
) -> Notice | Expectation | Ignored:
    obs_id = record["imageName"]
    camera, exposure = _by_obs_id(obs_id, topic, cameras)
    if camera is None or exposure is None:
        return Ignored(Reason.BAD_EXPOSURE, plain(f"imageName {obs_id!r}"))
    keys = split_escaped(record["additionalKeys"])
    words = dict(zip(keys, split_escaped(record["additionalValues"]), strict=False))
    image_type = words.get("imageType", "").strip().lower()
    if not image_type:
        return Ignored(Reason.MISSING_FIELD, f"{obs_id}: additionalKeys has no imageType")
    if image_type not in CALIB_TYPES:
        text = plain(f"{obs_id} is of type {image_type!r}")
        return Ignored(Reason.NOT_A_CALIBRATION, text, (camera.instrument, exposure))
    try:
        end = utc_from_tai(record["timestampEndOfReadout"], now)
    except ValueError as error:
        return Ignored(Reason.BAD_TIMESTAMP, f"{obs_id}: timestampEndOfReadout: {error}")
    return Expectation(
        instrument=camera.instrument,
        exposure_id=exposure,
        obs_id=obs_id,
        calib_type=image_type,
        end_of_readout_utc=end,
        due_at=end + timedelta(seconds=limit_seconds),
        expected=expected_detectors(camera),
    )


def _by_obs_id(obs_id: str, topic: Topic, cameras: Cameras) -> tuple[Camera | None, int | None]:
    """Return the camera of a topic that the obs_id names, and the exposure id."""
    for instrument in topic.instruments:
        camera = cameras.get(instrument)
        if camera is not None:
            exposure = parse_obs_id(obs_id, camera)
            if exposure is not None:
                return camera, exposure
    return None, None


def needed_names(kind: Kind) -> Sequence[str]:
    """Return the fields without which an event of this kind says nothing."""
    return [field["name"] for field in FIELDS[kind] if "default" not in field]
