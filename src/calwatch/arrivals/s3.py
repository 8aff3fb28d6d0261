"""What a bucket's notifications say: which raw files were stored.

The messages are those of Ceph's object gateway, in the form of Amazon's S3 events; the keys are
``<instrument>/<day_obs>/<obs_id>/<obs_id>_<raft>_<sensor>.fits``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from calwatch.arrivals.model import Ignored, Notice, Reason, plain
from calwatch.arrivals.sal import Cameras, parse_obs_id
from calwatch.camera.loader import known_instruments
from calwatch.errors import CameraError
from calwatch.tai import EARLIEST, LATEST_AHEAD

_KEY = re.compile(
    r"(?P<instrument>[^/]+)/[0-9]{8}/(?P<obs_id>[^/]+)/"
    r"(?P=obs_id)_(?P<detector>[^/_]+_[^/_]+)(?P<guider>_guider)?\.fits(?:\.fz)?"
)


def read_notifications(value: bytes) -> list[Mapping[str, Any]] | Ignored:
    """Return the notifications of one message."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError) as error:
        return Ignored(Reason.BAD_JSON, plain(f"not JSON: {error}"))
    records = content.get("Records") if isinstance(content, dict) else None
    if not isinstance(records, list):
        return Ignored(Reason.BAD_JSON, "there is no list of Records in it")
    return records


def understand(records: list[Any], cameras: Cameras, now: datetime) -> Iterator[Notice | Ignored]:
    """Yield what each notification of a message says.

    Parameters
    ----------
    records
        From `read_notifications`.
    cameras
        Those that are watched.
    now
        Aware; stands in for a time that the gateway did not give.
    """
    for record in records:
        yield _stored(record, cameras, now)


def _stored(record: Any, cameras: Cameras, now: datetime) -> Notice | Ignored:
    try:
        event, key = record["eventName"], record["s3"]["object"]["key"]
    except (KeyError, TypeError, IndexError):
        return Ignored(Reason.MISSING_FIELD, "a record has no eventName or s3.object.key")
    if not isinstance(event, str) or not isinstance(key, str):
        return Ignored(Reason.WRONG_TYPE, "eventName or s3.object.key is no text")
    key = unquote_plus(key)
    match = _KEY.fullmatch(key)
    if match is None or not event.removeprefix("s3:").startswith("ObjectCreated:"):
        return Ignored(Reason.NOT_A_RAW, plain(f"{event} {key}"))
    camera = cameras.get(match["instrument"])
    if camera is None:
        other = match["instrument"] in known_instruments()
        reason = Reason.OTHER_INSTRUMENT if other else Reason.UNKNOWN_CAMERA
        return Ignored(reason, plain(f"{key}: the camera is not watched"))
    exposure = parse_obs_id(match["obs_id"], camera)
    if exposure is None:
        return Ignored(Reason.BAD_EXPOSURE, plain(key))
    if match["guider"]:
        return Ignored(Reason.GUIDER, plain(key))
    try:
        detector = camera.detector(match["detector"])
    except CameraError as error:
        return Ignored(Reason.UNKNOWN_DETECTOR, plain(f"{key}: {error}"))
    if detector.purpose == "GUIDER":
        return Ignored(Reason.GUIDER, plain(key))
    return Notice(camera.instrument, exposure, detector.number, _time(record, now))


def _time(record: Mapping[str, Any], now: datetime) -> datetime:
    """Return when the file was stored; the gateway sometimes gives ``0.000000``."""
    try:
        time = datetime.fromisoformat(str(record.get("eventTime")))
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return now
    return time if EARLIEST <= time <= now + LATEST_AHEAD else now
