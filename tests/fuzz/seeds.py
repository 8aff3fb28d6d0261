"""Good files and messages to begin with, made when they are needed."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from astropy.io import fits

from calwatch.arrivals import sal
from calwatch.arrivals.topics import Kind
from calwatch.calibrations.model import (
    ChargeTransfer,
    Crosstalk,
    Defects,
    ImageCalibration,
    Linearizer,
    LinearizerType,
    PhotonTransferCurve,
    SerialTrap,
    Units,
)
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Amplifier, Box, Camera, Detector
from calwatch.kafka.wire import frame
from calwatch.offline import formats

DATA = Path(__file__).parents[1] / "data"
_NAMES = ("C10", "C11", "C00")
_BOX, _EMPTY = Box(0, 0, 10, 20), Box(0, 0, 0, 0)


@cache
def mini() -> Camera:
    """Return the small camera of the tests."""
    return load_camera(DATA / "mini.yaml")


@cache
def raw_file(compression: str = "RICE_1") -> bytes:
    """Return a raw file of its detector 1, as small as can be."""
    detector = mini().detector(1)
    primary = fits.PrimaryHDU()
    words = {
        "INSTRUME": "MiniCam", "OBSID": "MN_O_20260315_000051", "CCDSLOT": detector.slot,
        "RAFTBAY": detector.raft, "IMGTYPE": "BIAS", "DAYOBS": "20260315", "SEQNUM": 51,
    }  # fmt: skip
    for key, value in words.items():
        primary.header[key] = value
    hdus = fits.HDUList([primary])
    rows, columns = detector.amplifiers[0].raw_shape
    image = np.full((rows, columns), 25_000, np.int32)
    image[::7, ::5] += 3
    for amp in detector.amplifiers:
        if compression == "NONE":
            hdus.append(fits.ImageHDU(image, name=amp.hdu))
        else:
            options = {"compression_type": compression, "tile_shape": (1, columns)}
            hdus.append(fits.CompImageHDU(image, name=amp.hdu, **options))
    hdus.append(fits.BinTableHDU(name="REB_COND"))
    return _written(lambda path: hdus.writeto(path))


@cache
def small_detector() -> Detector:
    """Return a detector of three amplifiers, for calibrations."""
    amplifiers = tuple(
        Amplifier(
            name, "1", _BOX, False, False, _BOX, _EMPTY, _EMPTY, Box(10 * n, 0, 10, 20),
            False, False, 1.0, 5.0,
        )
        for n, name in enumerate(_NAMES)
    )  # fmt: skip
    return Detector(
        number=3, name="R10_S01", raft="R10", slot="S01", reb="R10_Reb0", vendor="ITL",
        kind="SMALL", purpose="SCIENCE", serial="ITL-1", width=30, height=20,
        amplifiers=amplifiers, parts=(),
    )  # fmt: skip


@cache
def calibration_files() -> Mapping[str, bytes]:
    """Return a good file of every type of calibration."""
    detector = small_detector()
    meta = formats.detector_metadata("LSSTCam", detector, "test")
    ones = np.arange(1.0, 4)
    vectors = tuple(np.array(v, float) for v in ([0, 1, 2, 3], [1e-6], [0.0, 1e-6, 2e-12]))
    forms = (LinearizerType.SPLINE, LinearizerType.SQUARED, LinearizerType.POLYNOMIAL)
    square = np.full((3, 3), 1e-6)
    trap = SerialTrap("spline", 20000.0, 0.4, 1, np.array([0.0, 1e4, 0.0, 5.0]))
    image = np.zeros(detector.shape, np.float32)
    mask = np.zeros(detector.shape, np.int32)
    writers: dict[str, Callable[[Path], object]] = {
        "defects": lambda p: formats.write_defects(p, Defects((Box(1, 2, 3, 4),), meta), meta),
        "ptc": lambda p: formats.write_ptc(
            p, PhotonTransferCurve(_NAMES, ones, ones, ones, ones, ones, -ones, (), {}), meta
        ),
        "linearizer": lambda p: formats.write_linearizer(
            p, Linearizer(_NAMES, forms, vectors, None, Units.ADU, {}), meta
        ),
        "crosstalk": lambda p: formats.write_crosstalk(
            p, Crosstalk(square, square, np.ones((3, 3), bool), Units.ADU, {}), meta
        ),
        "cti": lambda p: formats.write_cti(
            p, ChargeTransfer(_NAMES, ones, ones, ones, (trap, None, None), {}), meta
        ),
        "bias": lambda p: formats.write_image_calibration(
            p, ImageCalibration("bias", image, mask, image, Units.ELECTRON, 0.0, "", {}), meta
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: _written(write) for name, write in writers.items()}


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good.fits"
        write(path)
        return path.read_bytes()


SCHEMAS: Mapping[Kind, Mapping[str, Any]] = {
    kind: {
        "type": "record",
        "name": f"event_{kind}",
        "fields": [{"name": f["name"], "type": f["type"]} for f in sal.FIELDS[kind]],
    }
    for kind in sal.FIELDS
}
RECORDS: Mapping[Kind, Mapping[str, Any]] = {
    Kind.INGESTED: {
        "private_sndStamp": 1.8e9, "camera": "LSSTCam", "obsid": "MC_O_20261122_000010",
        "raft": "R22", "sensor": "S11", "statusCode": 0, "description": "file ingested",
    },
    Kind.READOUT: {
        "imageName": "MC_O_20261122_000010", "additionalKeys": "imageType:groupId",
        "additionalValues": "BIAS:x\\:y", "timestampEndOfReadout": 1.8e9,
    },
}  # fmt: skip
NOTIFICATION = {
    "Records": [
        {
            "eventName": "ObjectCreated:Put",
            "eventTime": "2026-11-22T15:00:00.000Z",
            "s3": {
                "object": {
                    "key": "LSSTCam/20261122/MC_O_20261122_000010/MC_O_20261122_000010_R22_S11.fits"
                }
            },
        }
    ]
}


def message(kind: Kind) -> bytes:
    """Return a good message."""
    if kind is Kind.BUCKET:
        return json.dumps(NOTIFICATION).encode()
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(SCHEMAS[kind])), RECORDS[kind])
    return frame(0, out.getvalue())
