"""What is fuzzed: each takes any bytes, and lets nothing out but the errors that are meant."""

from __future__ import annotations

import asyncio
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import seeds
from edits import edited

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.topics import Kind, Topic
from calwatch.calibrations.read import read_calibration
from calwatch.camera.hdus import walk
from calwatch.camera.header import translate
from calwatch.camera.loader import load_camera
from calwatch.camera.raw import read_raw
from calwatch.camera.rice import PADDING, decode_rows, decode_tile, new_room
from calwatch.errors import CalwatchError, RawError, RecordError
from calwatch.kafka.registry import UnknownSchemaError, _record

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)
COLUMNS = 40


@cache
def _folder() -> Path:
    """Return a folder in memory where there is one: files are written by the thousand."""
    memory = Path("/dev/shm")
    kept = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
    _KEPT.append(kept)
    return Path(kept.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def raw(data: bytes) -> None:
    """A damaged raw file of the camera, its checksums gone with it."""
    forms = ("RICE_1", "GZIP_2", "NONE")
    form = forms[data[0] % 3] if data else forms[0]
    path = _folder() / "raw.fits"
    path.write_bytes(edited(seeds.raw_file(form), data[1:]))
    camera = seeds.mini()
    with suppress(CalwatchError):
        frame = read_raw(path, camera, camera.detector(1), checksums=bool(data[:1] < b"\x80"))
        translate(frame.header, camera)


def header(data: bytes) -> None:
    """Any bytes as a FITS file, its HDUs and what its header says."""
    camera = seeds.mini()
    for content in (data, edited(seeds.raw_file(), data)):
        with suppress(RawError):
            for hdu in walk(content, "fuzz.fits"):
                assert hdu.data_start + hdu.data_size <= len(content)
                assert len(hdu.image_shape) < 1000
                assert len(hdu.label) < 200
                translate(hdu.header, camera)


def rice(data: bytes) -> None:
    """Any bytes as a tile: the kernel says what the plain decoder says."""
    padded = np.frombuffer(data + bytes(PADDING), np.uint8).copy()
    out = np.full((3, COLUMNS + 2), -7, np.int32)
    offsets = np.array([0, 0, 0], np.int64)
    lengths = np.full(3, len(data), np.int64)
    row = decode_rows(padded, offsets, lengths, 0, 2, out, COLUMNS, new_room(COLUMNS))
    assert (out[2] == -7).all(), "a row that is not its own was written"
    assert (out[:, COLUMNS:] == -7).all(), "beyond the columns was written"
    try:
        wanted = decode_tile(data, COLUMNS)
    except ValueError:
        assert row == 0, f"the kernel takes a damaged tile: {row}"
        return
    assert row == -1, f"the kernel refuses a good tile: {row}"
    assert (out[:2, :COLUMNS] == wanted).all()


def calibration(data: bytes) -> None:
    """A damaged file of any type of calibration."""
    files = seeds.calibration_files()
    names = sorted(files)
    name = names[data[0] % len(names)] if data else names[0]
    path = _folder() / f"{name}.fits"
    path.write_bytes(edited(files[name], data[1:]))
    with warnings.catch_warnings(), suppress(RecordError):
        warnings.simplefilter("ignore")
        read_calibration(name, path, seeds.small_detector())


class _Schemas:
    """A registry with the observatory's schemas, or with whatever a fuzzer puts there."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema

    async def schema(self, schema_id: int) -> dict[str, Any]:
        del schema_id
        return dict(self._schema)


@cache
def _cameras() -> dict[str, Any]:
    return {"LSSTCam": load_camera("LSSTCam")}


def _read(kind: Kind, schema: Mapping[str, Any], value: bytes) -> None:
    decoder = Decoder(_Schemas(schema), _cameras())
    said = asyncio.run(decoder.read(Topic("t", kind, ("LSSTCam",)), value, NOW))
    assert said or kind is Kind.BUCKET


def event(data: bytes) -> None:
    """Any bytes as a message of the observatory: framed, Avro, and what it says."""
    kind = list(Kind)[data[0] % 3] if data else Kind.READOUT
    _read(kind, seeds.SCHEMAS.get(kind, {}), data[1:])


def schema(data: bytes) -> None:
    """Any text as a schema of the registry, and a message written with it."""
    text, _, value = data.partition(b"\0")
    try:
        found = _record({"schema": text.decode("utf-8", "replace")})
    except ValueError:
        return
    except UnknownSchemaError:
        return
    for kind in seeds.SCHEMAS:
        _read(kind, found, b"\0\0\0\0\0" + value)


def job(data: bytes) -> None:
    """Any bytes as a job of another host."""
    with suppress(RecordError):
        JobCodec().load(data)


@dataclass(frozen=True)
class Target:
    """One thing to fuzz."""

    call: Callable[[bytes], None]
    begin: Callable[[], list[bytes]]
    """Makes inputs to begin with."""


def _edit_seeds() -> list[bytes]:
    return [bytes([form, kind, 0, 5, form, 9, 0, 0, 1]) for form in range(6) for kind in range(7)]


def _events() -> list[bytes]:
    return [bytes([n]) + seeds.message(kind) for n, kind in enumerate(Kind)]


def _schemas() -> list[bytes]:
    wide = {"type": "array", "items": ["null", "long", {"type": "map", "values": "bytes"}]}
    texts = [json.dumps(s) for s in seeds.SCHEMAS.values()]
    for known in seeds.SCHEMAS.values():
        fields = [*known["fields"], {"name": "more", "type": wide}]
        texts.append(json.dumps({**known, "fields": fields}))
    return [text.encode() + b"\0" + seeds.message(Kind.READOUT)[5:] for text in texts]


def _tiles() -> list[bytes]:
    return [bytes(4), b"\0\0\x61\xa8" + bytes(range(64)), b"\0\0\0\1\xd7" + b"\xff" * 170]


TARGETS: Mapping[str, Target] = {
    "raw": Target(raw, _edit_seeds),
    "header": Target(header, lambda: [*_edit_seeds(), seeds.raw_file()[:5760]]),
    "rice": Target(rice, _tiles),
    "calibration": Target(calibration, _edit_seeds),
    "event": Target(event, _events),
    "schema": Target(schema, _schemas),
    "job": Target(job, lambda: [b"{}", b'{"exposure": {}}', b"[" * 50]),
}
