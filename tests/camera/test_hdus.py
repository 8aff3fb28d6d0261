from __future__ import annotations

import math

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.hdus import parse_cards, walk
from calwatch.errors import RawError


def _card(text: str) -> bytes:
    return text.ljust(80).encode("ascii")


@pytest.mark.parametrize(
    ("card", "key", "value"),
    [
        ("EXPTIME =                 27.0 / Exposure time", "EXPTIME", 27.0),
        ("SEQNUM  =                   65", "SEQNUM", 65),
        ("HVBIAS_I= -2.3338630000000D-11 / a current", "HVBIAS_I", -2.333863e-11),
        ("SIMPLE  =                    T", "SIMPLE", True),
        ("OBSID   = 'AT_C_20180920_000065' / name", "OBSID", "AT_C_20180920_000065"),
        ("OBJECT  = 'Barnard''s star / two'", "OBJECT", "Barnard's star / two"),
        ("FILTPOS =                      / undefined", "FILTPOS", None),
        ("OBSANNOT= ''", "OBSANNOT", ""),
        ("HIERARCH SIMULATE ATDOME = 0 / really", "SIMULATE ATDOME", 0),
        ("STRANGE = 12:30 / not a FITS value", "STRANGE", "12:30"),
    ],
)
def test_cards(card: str, key: str, value: object) -> None:
    assert parse_cards(_card(card)) == {key: value}


def test_unquoted_nan_is_a_number() -> None:
    assert math.isnan(parse_cards(_card("EXPTIME =                  NaN"))["EXPTIME"])


def test_long_strings_and_commentary_and_doubled_keywords() -> None:
    block = b"".join(
        map(
            _card,
            [
                "COMMENT = 'not a value'",
                "PROGRAM = 'a long &'",
                "CONTINUE  'string'",
                "CONTINUE  'of nothing'",
                "SEQNUM  = 1",
                "SEQNUM  = 2",
            ],
        )
    )
    assert parse_cards(block) == {"PROGRAM": "a long string", "SEQNUM": 1}


@given(st.binary(max_size=400))
def test_no_header_raises(block: bytes) -> None:
    parse_cards(block)


@given(
    value=st.one_of(
        st.integers(-(10**15), 10**15),
        st.booleans(),
        st.floats(-1e30, 1e30).map(lambda x: float(f"{x:.6g}")),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
    )
)
def test_cards_written_by_astropy_are_read_back(value: object) -> None:
    header = fits.Header([("KEY", value)])
    assert parse_cards(header.tostring(endcard=False, padding=False).encode())["KEY"] == value


def test_padding_after_the_last_hdu_is_fine_but_not_other_bytes() -> None:
    data = fits.PrimaryHDU().header.tostring().encode()
    assert len(walk(data + b"\0" * 2880, "a.fits")) == 1
    with pytest.raises(RawError, match="what follows HDU 0 is not an HDU"):
        walk(data + b"x" * 2880, "a.fits")


@pytest.mark.parametrize(("keyword", "value"), [("NAXIS", -1), ("NAXIS", "two"), ("BITPIX", 12)])
def test_nonsense_sizes(keyword: str, value: object) -> None:
    text = fits.PrimaryHDU().header.tostring()
    at = text.index(keyword)
    data = (text[:at] + f"{keyword:8}= {value!r:>20}".ljust(80) + text[at + 80 :]).encode()
    with pytest.raises(RawError, match=r"a\.fits: HDU 0 has no valid BITPIX and NAXIS"):
        walk(data, "a.fits")


def test_a_keyword_without_a_name_is_left_out() -> None:
    assert parse_cards(_card("HIERARCH = 5") + _card("SEQNUM  = 1")) == {"SEQNUM": 1}


def test_a_card_seen_before_gives_the_same_again() -> None:
    long = _card("PROGRAM = 'a long &'")
    assert parse_cards(long + _card("CONTINUE  'string'")) == {"PROGRAM": "a long string"}
    assert parse_cards(long + _card("CONTINUE  'night'")) == {"PROGRAM": "a long night"}


def _file(*cards: str) -> bytes:
    """Return a file of one HDU without data."""
    block = b"".join(map(_card, ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", *cards, "END"]))
    return block.ljust(-(-len(block) // 2880) * 2880)


@pytest.mark.parametrize("keyword", ["NAXIS", "ZNAXIS", "TFIELDS"])
@pytest.mark.parametrize("number", ["1000", "4294967296", "9" * 60])
def test_absurd_counts_are_refused_before_anybody_counts(keyword: str, number: str) -> None:
    if keyword == "NAXIS":
        content = _file().replace(_card("NAXIS   = 0"), _card(f"NAXIS   = {number}"))
    else:
        content = _file(f"{keyword:8s}= {number}")
    with pytest.raises(RawError, match="no valid BITPIX and NAXIS"):
        walk(content, "raw.fits")


@pytest.mark.parametrize("axes", ["-1", "0", "T", "1.5", "'2'"])
def test_an_image_without_a_number_of_axes_has_no_shape(axes: str) -> None:
    (hdu,) = walk(_file("ZIMAGE  = T", f"ZNAXIS  = {axes}"), "raw.fits")
    assert hdu.image_shape in ((), (0,))


def test_absurdly_many_cards_and_hdus_are_refused() -> None:
    with pytest.raises(RawError, match="within 20000 cards"):
        walk(_file(*["CONTINUE  'more&'"] * 21_000), "raw.fits")
    more = b"".join(map(_card, ["XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 0", "END"]))
    with pytest.raises(RawError, match="more than 1000 HDUs"):
        walk(_file() + more.ljust(2880) * 1000, "raw.fits")


def test_a_name_is_shown_up_to_the_length_of_a_card() -> None:
    long = ["EXTNAME = 'x&'", *["CONTINUE  'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy&'"] * 100]
    (hdu,) = walk(_file(*long), "raw.fits")
    assert len(hdu.extname) > 1000
    assert len(hdu.label) < 80
