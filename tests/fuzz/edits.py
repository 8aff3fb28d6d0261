"""Damage to a FITS file, told by a few bytes: what a fuzzer changes is then seldom without effect.

A raw file is almost all pixels. So a fuzzer's bytes are not the file, but edits of a good one: of
its cards, of its descriptors, of any byte, of its length.
"""

from __future__ import annotations

from collections.abc import Iterator

CARD, BLOCK = 80, 2880
KEYWORDS = (
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT",
    "TFIELDS", "TFORM1", "TTYPE1", "TFORM2", "TTYPE2", "THEAP", "EXTNAME", "ZIMAGE", "ZCMPTYPE",
    "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZNAME1", "ZVAL1", "ZNAME2",
    "ZVAL2", "BZERO", "BSCALE", "ZBLANK", "BLANK", "DATASUM", "CHECKSUM", "CONTINUE", "END",
    "INSTRUME", "RAFTBAY", "LSST_NUM", "DETECTOR", "DARKTIME", "OBSTYPE", "MP_BAD", "TDIM1",
    "OBSID", "DAYOBS", "SEQNUM", "MJD-BEG", "DATE-BEG",
)  # fmt: skip
VALUES = (
    "T", "F", "0", "1", "-1", "2", "3", "8", "16", "32", "64", "-32", "-64", "999", "2147483647",
    "-2147483648", "4294967296", "9223372036854775807", "99999999999999999999999999999999999999",
    "1E300", "NaN", "1.5", "'IMAGE   '", "'BINTABLE'", "'RICE_1'", "'GZIP_1'", "'GZIP_2'",
    "'NOCOMPRESS'", "'1PB(9)'", "'1QB(9)'", "'1D'", "'999999999D'", "'1J'", "'8A'", "'&'", "''",
    "'Segment10'", "", "'", "1/0", "'COMPRESSED_DATA'", "1000000", "'(3,4)'",
)  # fmt: skip


def edited(good: bytes, edits: bytes) -> bytes:
    """Return a file with up to sixteen edits, each told by eight bytes."""
    data = bytearray(good)
    cards = _cards(good)
    for at in range(0, min(len(edits), 128) - 7, 8):
        _edit(data, cards, edits[at : at + 8])
    return bytes(data)


def _cards(data: bytes) -> list[int]:
    """Return where all cards of a good file stand."""
    return list(_places(data))


def _places(data: bytes) -> Iterator[int]:
    header = True
    for block in range(0, len(data), BLOCK):
        start = data[block : block + 9]
        if start in (b"SIMPLE  =", b"XTENSION="):
            header = True
        if not header:
            continue
        for at in range(block, min(block + BLOCK, len(data)), CARD):
            yield at
            if data[at : at + CARD].rstrip() == b"END":
                header = False
                break


def _edit(data: bytearray, cards: list[int], edit: bytes) -> None:
    kind, a, b, c = edit[0] % 7, edit[1], edit[2], edit[3]
    place = int.from_bytes(edit[1:5], "big")
    card = cards[(a << 8 | b) % len(cards)]
    if kind == 0:  # a card of our own
        keyword, value = KEYWORDS[c % len(KEYWORDS)], VALUES[edit[4] % len(VALUES)]
        data[card : card + CARD] = f"{keyword:8s}= {value:>20s}".encode()[:CARD].ljust(CARD)
    elif kind == 1:  # another value of the card that is there
        value = VALUES[c % len(VALUES)]
        data[card + 10 : card + CARD] = f"{value:>20s}".encode()[: CARD - 10].ljust(CARD - 10)
    elif kind == 2 and data:  # any byte
        data[place % len(data)] = edit[5]
    elif kind == 3:  # bytes in a row of a card
        data[card + c % 70 : card + c % 70 + 4] = edit[4:8]
    elif kind == 4:  # the end is missing
        del data[place % (len(data) + 1) :]
    elif kind == 5:  # a block twice
        at = place % (len(data) // BLOCK + 1) * BLOCK
        data[at:at] = data[at : at + BLOCK]
    elif kind == 6:  # descriptors and the like: four bytes at the head of some data
        at = (card // BLOCK + 1) * BLOCK + 4 * (c % 64)
        data[at : at + 4] = edit[4:8]
