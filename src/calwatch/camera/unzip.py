"""Unzipping a file in memory, up to a size: a few bytes of gzip can stand for any number."""

from __future__ import annotations

import zlib

_GZIP = 31
"""zlib's word for a gzip member with its checksum."""
MAGIC = b"\x1f\x8b"


class UnzipError(ValueError):
    """The content is damaged, cut short, or too large."""


def unzip(content: bytes | memoryview, most: int) -> bytes:
    """Return what a gzip file holds, in one member or several.

    Parameters
    ----------
    content
        Of the file.
    most
        Bytes that it may hold.

    Raises
    ------
    UnzipError
        Saying what is wrong.
    """
    found: list[bytes] = []
    size, rest = 0, bytes(content)
    while rest:
        member = zlib.decompressobj(_GZIP)
        try:
            found.append(member.decompress(rest, most - size + 1))
        except zlib.error as error:
            raise UnzipError(f"damaged gzip file ({error})") from error
        size += len(found[-1])
        if size > most:
            raise UnzipError(f"unzips to more than {most} bytes")
        if not member.eof:
            raise UnzipError("damaged or truncated gzip file (it ends too early)")
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(found)
