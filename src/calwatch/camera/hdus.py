"""Walking the HDUs of a FITS file held in memory: headers and offsets.

A raw file is checked before it is decoded, so its structure is read here from the bytes (FITS
Standard 4.0, §3 and §4), where every fault can be named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from calwatch.errors import RawError

BLOCK = 2880
_CARD = 80
_END = b"END" + b" " * (_CARD - 3)
_STRING = re.compile(r"\s*'([^']*(?:''[^']*)*)'")
_COMMENTARY = ("COMMENT", "HISTORY", "")
_MOST_HDUS = 1000
_MOST_CARDS = 20_000
"""Of one header. A raw file has some twenty HDUs with a few hundred cards each."""
_MOST_AXES = 999
"""FITS Standard 4.0, §4.4.1; the same bound holds for the fields of a table."""
_LONGEST_NAME = 68
"""Characters of one that stands on one card."""
_REMEMBERED_CARDS = 8192
"""Several times those of a raw file."""


@dataclass(frozen=True, slots=True)
class Hdu:
    """One HDU: where it stands in the file and what its header says."""

    index: int
    header: dict[str, Any]
    data_start: int
    data_size: int
    """Bytes of data, without padding."""

    @property
    def extname(self) -> str:
        """The EXTNAME, empty if there is none."""
        return str(self.header.get("EXTNAME") or "")

    @property
    def label(self) -> str:
        """The name used in messages."""
        return f"HDU {self.extname[:_LONGEST_NAME] or self.index}"

    @property
    def compressed(self) -> bool:
        """True for a tile-compressed image."""
        return self.header.get("ZIMAGE") is True

    @property
    def is_image(self) -> bool:
        """True if the HDU is an image, compressed or not, with pixels."""
        image = self.index == 0 or self.header.get("XTENSION") == "IMAGE" or self.compressed
        return image and self.data_size > 0

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of the image as a numpy array (last FITS axis first)."""
        z = "Z" if self.compressed else ""
        axes = self.header.get(f"{z}NAXIS")
        if not isinstance(axes, int) or not 0 < axes <= _MOST_AXES:
            return ()
        sizes = [self.header.get(f"{z}NAXIS{axis}") for axis in range(axes, 0, -1)]
        return tuple(size if isinstance(size, int) else 0 for size in sizes)


def walk(data: bytes | memoryview, source: str) -> list[Hdu]:
    """Return every HDU of a FITS file.

    Parameters
    ----------
    data
        The whole file.
    source
        Name of the file, for messages.

    Raises
    ------
    RawError
        If the file is empty, is not FITS, ends inside an HDU, an HDU has no proper header, or there
        are absurdly many HDUs, cards, axes or fields.
    """
    if not data:
        raise RawError(f"{source}: the file is empty")
    hdus: list[Hdu] = []
    position = 0
    while position < len(data):
        start = data[position : position + 9]
        if hdus and start != b"XTENSION=":
            if not bytes(data[position : position + BLOCK]).strip(b"\0 "):
                break
            raise RawError(
                f"{source}: what follows {hdus[-1].label} is not an HDU "
                "(the file is truncated or damaged)"
            )
        if not hdus and start != b"SIMPLE  =":
            raise RawError(f"{source}: not a FITS file")
        if len(hdus) == _MOST_HDUS:
            raise RawError(f"{source}: there are more than {_MOST_HDUS} HDUs")
        hdu = _hdu(data, position, len(hdus), source)
        hdus.append(hdu)
        position = hdu.data_start + -(-hdu.data_size // BLOCK) * BLOCK
    return hdus


def _hdu(data: bytes | memoryview, start: int, index: int, source: str) -> Hdu:
    cards = _cards(data, start)
    if cards is None:
        raise RawError(
            f"{source}: HDU {index} has no end of header within {_MOST_CARDS} cards (the file is "
            "truncated or damaged)"
        )
    header = parse_cards(cards)
    data_start = start + -(-(len(cards) + _CARD) // BLOCK) * BLOCK
    try:
        size = _data_size(header)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RawError(f"{source}: HDU {index} has no valid BITPIX and NAXIS") from error
    hdu = Hdu(index, header, data_start, size)
    if data_start + size > len(data):
        raise RawError(
            f"{source}: {hdu.label} is truncated: the file ends after {len(data)} of at least "
            f"{data_start + size} bytes"
        )
    return hdu


def _cards(data: bytes | memoryview, start: int) -> bytes | None:
    """Return a header's cards up to its END card; None if there is none."""
    for at in range(start, min(len(data), start + _MOST_CARDS * _CARD), BLOCK):
        block = bytes(data[at : at + BLOCK])
        end = block.find(_END)
        while end >= 0 and end % _CARD:
            end = block.find(_END, end + 1)
        if end >= 0:
            return bytes(data[start : at + end])
    return None


def _data_size(header: dict[str, Any]) -> int:
    for key in ("NAXIS", "ZNAXIS", "TFIELDS"):
        # Whoever reads on makes lists of so many, before anything else is looked at.
        if isinstance(header.get(key), int) and header[key] > _MOST_AXES:
            raise ValueError(key)
    axes = [_count(header[f"NAXIS{axis}"]) for axis in range(1, _count(header["NAXIS"]) + 1)]
    bitpix = header["BITPIX"]
    if bitpix not in (8, 16, 32, 64, -32, -64):
        raise ValueError("BITPIX")
    if not axes:
        return 0
    elements = 1
    for axis in axes:
        elements *= axis
    groups = _count(header.get("GCOUNT", 1))
    size: int = abs(bitpix) // 8 * groups * (_count(header.get("PCOUNT", 0)) + elements)
    return size


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a count")
    return value


def parse_cards(block: bytes) -> dict[str, Any]:
    """Return keyword → value of a block of 80-byte cards, commentary left out.

    A keyword without a value gives None; a value that cannot be understood is kept as its text, so
    that a strange card never hides the rest. Of a keyword that stands twice the first counts.
    """
    text = block.decode("ascii", errors="replace")
    header: dict[str, Any] = {}
    long_key = ""
    for at in range(0, len(text) - _CARD + 1, _CARD):
        card = text[at : at + _CARD]
        if long_key and card[:8] == "CONTINUE":
            match = _STRING.match(card[8:])
            if match:
                header[long_key] = header[long_key][:-1] + _unquote(match[1])
                if not header[long_key].endswith("&"):
                    long_key = ""
            continue
        long_key = ""
        key, value = _keyword(card)
        if key and key not in header:
            header[key] = value
            if isinstance(value, str) and value.endswith("&"):
                long_key = key
    return header


@lru_cache(maxsize=_REMEMBERED_CARDS)
def _keyword(card: str) -> tuple[str, Any]:
    """Return keyword and value of a card; no keyword if it is a comment.

    Remembered, because most cards of a raw file stand in the one before and in all of its HDUs.
    """
    key = card[:8].rstrip()
    if card.startswith("HIERARCH ") and "=" in card:
        key, _, field = card[9:].partition("=")
        return key.strip(), _value(field)
    if card[8:10] == "= " and key not in _COMMENTARY:
        return key, _value(card[10:])
    return "", None


def _unquote(text: str) -> str:
    return text.replace("''", "'").rstrip()


def _value(field: str) -> Any:
    match = _STRING.match(field)
    if match:
        return _unquote(match[1])
    text = field.partition("/")[0].strip()
    if not text:
        return None
    if text in ("T", "F"):
        return text == "T"
    if "." not in text:
        try:
            return int(text)
        except ValueError:
            pass
    try:
        return float(text.upper().replace("D", "E"))
    except ValueError:
        return text
