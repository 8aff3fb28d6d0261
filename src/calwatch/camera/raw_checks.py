"""Whether a raw file is what its camera writes: HDUs, sizes, compression, and of which detector.

Layout: obs_lsst ``rawFormatter.py`` and ``assembly.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calwatch.camera.hdus import Hdu
from calwatch.camera.model import Amplifier, Camera, Detector
from calwatch.errors import RawError

_STRUCTURAL = re.compile(
    r"^(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|TFIELDS|T(TYPE|FORM|UNIT)\d+|EXTNAME"
    r"|EXTVER|CHECKSUM|DATASUM|INHERIT|ZHECKSUM|ZDATASUM)$"
)


def amplifier_hdus(
    hdus: list[Hdu], camera: Camera, detector: Detector, source: str
) -> dict[str, Hdu]:
    """Return the HDU of each name used by the detector's amplifiers, in the order of the file.

    Raises
    ------
    RawError
        If an HDU is missing, stands twice, does not belong here, or is not stored as it should be.
    """
    wanted = {amp.hdu.upper(): amp.hdu for amp in detector.amplifiers}
    chosen: dict[str, Hdu] = {}
    unnamed = 0
    for hdu in hdus:
        keys = (hdu.extname.upper(), str(hdu.index))
        name = next((wanted[key] for key in keys if key in wanted), None)
        if name is not None:
            if name in chosen:
                raise RawError(f"{source}: HDU {name} stands twice")
            chosen[name] = hdu
        elif hdu.data_size > 0 or hdu.header.get("XTENSION") == "IMAGE":
            raise RawError(f"{source}: {hdu.label} does not belong in a {detector.kind} raw file")
        elif hdu.index > 0 and not hdu.extname:
            unnamed += 1
    missing = [name for name in wanted.values() if name not in chosen]
    if missing:
        be = "is" if len(missing) == 1 else "are"
        raise RawError(f"{source}: HDU {', '.join(missing)} {be} missing")
    if unnamed > camera.raw_layout["unnamed_tables"]:
        raise RawError(f"{source}: there are {unnamed} tables without a name")
    for name, hdu in chosen.items():
        _check_layout(hdu, camera, [a for a in detector.amplifiers if a.hdu == name], source)
    return chosen


def merged_header(hdus: list[Hdu], camera: Camera) -> dict[str, Any]:
    """Return the primary header with the header-only tables merged in; the primary counts first."""
    header = {k: v for k, v in hdus[0].header.items() if not _STRUCTURAL.match(k)}
    named = camera.raw_layout["header_hdus"]
    for hdu in hdus[1:]:
        if hdu.extname in named or (not hdu.extname and hdu.data_size == 0):
            for key, value in hdu.header.items():
                if not _STRUCTURAL.match(key) and header.get(key) is None:
                    header[key] = value
    return header


def check_identity(
    header: Mapping[str, Any], camera: Camera, detector: Detector, source: str
) -> None:
    """Raise RawError where the header names another instrument, place or CCD."""
    allowed = {
        "instrument": camera.instrument_words,
        "raft": (detector.raft, *camera.raft_words.get(detector.raft, ())),
        "slot": (detector.slot,),
        "serial": (detector.serial, *detector.former_serials) if detector.serial else (),
    }
    for fact, words in allowed.items():
        for keyword in camera.keywords.get(fact, ()):
            value = str(header.get(keyword) or "").strip()
            if value and words and value.lower() not in {word.lower() for word in words}:
                raise RawError(
                    f"{source}: {keyword} is {value[:68]!r}, but detector {detector.name} of "
                    f"{camera.instrument} has {' or '.join(words)}"
                )


def _check_layout(hdu: Hdu, camera: Camera, amps: list[Amplifier], source: str) -> None:
    layout = camera.raw_layout
    expected = (max(a.hdu_box.y1 for a in amps), max(a.hdu_box.x1 for a in amps))
    shape = hdu.image_shape
    if not hdu.is_image or shape != expected:
        found = " x ".join(str(n) for n in reversed(shape)) or "no"
        raise RawError(
            f"{source}: {hdu.label} has {found} pixels, not {expected[1]} x {expected[0]}"
        )
    z = "Z" if hdu.compressed else ""
    bitpix = hdu.header.get(f"{z}BITPIX")
    if bitpix not in (8, 16, 32):
        raise RawError(f"{source}: {hdu.label} holds no integers ({z}BITPIX {bitpix})")
    compression = hdu.header.get("ZCMPTYPE") if hdu.compressed else "NONE"
    if compression not in layout["accepted"]:
        raise RawError(
            f"{source}: {hdu.label} has compression {compression}, "
            f"not {' or '.join(layout['accepted'])}"
        )
    if hdu.compressed and layout["tile"] is not None:
        tile = (hdu.header.get("ZTILE1", shape[1]), hdu.header.get("ZTILE2", 1))
        if tile != tuple(layout["tile"]):
            raise RawError(
                f"{source}: {hdu.label} has tiles of {tile[0]} x {tile[1]} pixels, "
                f"not {layout['tile'][0]} x {layout['tile'][1]}"
            )
