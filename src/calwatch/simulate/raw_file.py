"""Writing a simulated frame as a raw file of its camera.

The Rubin form is a primary without pixels, one Rice-compressed HDU per amplifier, and header-only
tables with the readout board's conditions; another camera's description may ask for a single
uncompressed HDU. Every HDU carries CHECKSUM and DATASUM, so that damage can be told from data.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits

from calwatch.arrays import AnyArray, IntArray
from calwatch.camera.model import Amplifier, Camera, Detector
from calwatch.simulate.keywords import (
    condition_keywords,
    primary_keywords,
    raft_word,
    segment_keywords,
)
from calwatch.simulate.model import FileEffects, SimulatedExposure

_BLOCK = 2880


def raw_file_name(camera: Camera, detector: Detector, exposure: SimulatedExposure) -> str:
    """Return the name of a raw file: ``OBSID_RAFT_SLOT.fits``."""
    return f"{exposure.obs_id}_{raft_word(camera, detector)}_{detector.slot}.fits"


def write_raw(
    path: Path,
    camera: Camera,
    detector: Detector,
    exposure: SimulatedExposure,
    pixels: IntArray,
    effects: FileEffects,
) -> None:
    """Write one raw file; it appears under its name only when it is complete.

    Parameters
    ----------
    path
        Where to write it.
    camera, detector, exposure
        What the headers say.
    pixels
        Shape (n_amp, rows, columns), ADU, readout order, camera order.
    effects
        Damage to the file: keywords, missing HDUs, length.
    """
    header = primary_keywords(camera, detector, exposure)
    conditions = condition_keywords(detector, exposure)
    for keyword, value in effects.header.items():
        (conditions if keyword in conditions else header)[keyword] = value
    segments = _segments(detector, pixels, effects.drop_segments)
    tables = list(camera.raw_layout.get("header_hdus", ()))[:1]
    if camera.raw_layout["compression"] == "NONE":
        content = _plain_file(camera, detector, header, segments)
    else:
        content = _header_bytes(fits.PrimaryHDU(), header)
        content += _compressed_segments(camera, detector, segments)
    for name in tables:
        table = fits.BinTableHDU(name=name)
        content += _header_bytes(table, conditions)[_BLOCK:]
    if effects.keep_fraction < 1.0:
        content = content[: int(len(content) * effects.keep_fraction)]
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _segments(
    detector: Detector, pixels: IntArray, dropped: tuple[str, ...]
) -> dict[str, tuple[list[Amplifier], IntArray]]:
    """Gather the amplifiers of each HDU and their pixels in the HDU's own order."""
    hdus: dict[str, list[tuple[Amplifier, IntArray]]] = {}
    for amp, frame in zip(detector.amplifiers, pixels, strict=True):
        if amp.name not in dropped:
            hdus.setdefault(amp.hdu, []).append((amp, frame))
    result = {}
    for name, members in hdus.items():
        height = max(amp.hdu_box.y1 for amp, _ in members)
        width = max(amp.hdu_box.x1 for amp, _ in members)
        image = np.zeros((height, width), dtype=np.int32)
        for amp, frame in members:
            y_step = -1 if amp.hdu_flip_y else 1
            x_step = -1 if amp.hdu_flip_x else 1
            image[amp.hdu_box.slices] = frame[::y_step, ::x_step]
        result[name] = ([amp for amp, _ in members], image)
    return result


def _compressed_segments(
    camera: Camera,
    detector: Detector,
    segments: Mapping[str, tuple[list[Amplifier], IntArray]],
) -> bytes:
    """Return the compressed HDUs as bytes, without a primary."""
    columns, rows = camera.raw_layout["tile"] or (0, 1)
    options: dict[str, Any] = {"compress": camera.raw_layout["compression"]}
    if columns:
        options["tile_dims"] = [rows, columns]
    with fitsio.FITS("mem://", "rw") as hdus:
        hdus.write(None)
        for channel, (name, (amps, image)) in enumerate(segments.items(), start=1):
            keywords = segment_keywords(detector, amps[0], channel)
            records = [{"name": key, "value": value} for key, value in keywords.items()]
            hdus.write(image, extname=name, header=records, **options)
            hdus[-1].write_checksum()
        content: bytes = hdus.read_raw()
    return content[_BLOCK:]


def _plain_file(
    camera: Camera,
    detector: Detector,
    header: Mapping[str, Any],
    segments: Mapping[str, tuple[list[Amplifier], IntArray]],
) -> bytes:
    """Return a file of uncompressed HDUs; an HDU called ``0`` is the primary itself."""
    primary_image = segments["0"][1] if "0" in segments else None
    content = _header_bytes(fits.PrimaryHDU(_stored(camera, primary_image)), header)
    for channel, (name, (amps, image)) in enumerate(segments.items(), start=1):
        if name == "0":
            continue
        hdu = fits.ImageHDU(_stored(camera, image), name=name)
        content += _header_bytes(hdu, segment_keywords(detector, amps[0], channel))[_BLOCK:]
    return content


def _stored(camera: Camera, image: IntArray | None) -> AnyArray | None:
    """Return pixels in the type the camera stores; smaller converters rail earlier."""
    if image is None:
        return None
    bits = int(camera.raw_layout.get("bitpix", 32))
    if bits == 32:
        return image
    unsigned = np.uint8 if bits == 8 else np.uint16
    railed: AnyArray = np.minimum(image, np.iinfo(unsigned).max).astype(unsigned)
    return railed


def _header_bytes(hdu: Any, keywords: Mapping[str, Any]) -> bytes:
    """Return an HDU with these keywords and its checksums as bytes.

    An extension is preceded by an empty primary of one block.
    """
    for keyword, value in keywords.items():
        hdu.header[keyword] = value
    hdu.add_checksum()
    stream = io.BytesIO()
    hdu.writeto(stream, output_verify="exception")
    return stream.getvalue()
