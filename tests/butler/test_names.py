from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.butler.names import CollectionName, Kind, build, parse, validate
from calwatch.errors import NameRuleError

EXAMPLES = {
    "LATISS/calib/DM-12345/voltageChange/biasGen.20220915a": CollectionName(
        Kind.GENERATION, "LATISS", "DM-12345", "voltageChange", "bias", "", "20220915", "a"
    ),
    "LATISS/calib/DM-12345/voltageChange/verifyBias.20220915a": CollectionName(
        Kind.VERIFICATION, "LATISS", "DM-12345", "voltageChange", "bias", "", "20220915", "a"
    ),
    "LATISS/calib/DM-12345/voltageChange/bias.20220915b": CollectionName(
        Kind.CERTIFIED, "LATISS", "DM-12345", "voltageChange", "bias", "", "20220915", "b"
    ),
    "LSSTComCam/calib/DM-47447/gainFixup/flatGen-g.20241107a": CollectionName(
        Kind.GENERATION, "LSSTComCam", "DM-47447", "gainFixup", "flat", "g", "20241107", "a"
    ),
    "LSSTComCam/calib/DM-48520/DP1/verifyFlat-r.20240210a": CollectionName(
        Kind.VERIFICATION, "LSSTComCam", "DM-48520", "DP1", "flat", "r", "20240210", "a"
    ),
    "u/erykoff/LSSTCam/calib/DM-1/x/biasBootstrapGen.20250122a/run1": CollectionName(
        Kind.GENERATION,
        "LSSTCam",
        "DM-1",
        "x",
        "biasBootstrap",
        "",
        "20250122",
        "a",
        "run1",
        "erykoff",
    ),
    "LATISS/calib/DM-12345/voltageChange": CollectionName(
        Kind.TAG, "LATISS", "DM-12345", "voltageChange"
    ),
    "LATISS/calib/DM-12345": CollectionName(Kind.TICKET, "LATISS", "DM-12345"),
    "LATISS/calib": CollectionName(Kind.TOP, "LATISS"),
    "LATISS/defaults": CollectionName(Kind.DEFAULTS, "LATISS"),
    "LATISS/calib_tagged": CollectionName(Kind.TAGGED, "LATISS"),
    "LATISS/calib_tagged/inUse": CollectionName(Kind.TAGGED, "LATISS", label="inUse"),
    "LATISS/raw/all": CollectionName(Kind.RAW, "LATISS", label="all"),
}


@pytest.mark.parametrize(("name", "parts"), EXAMPLES.items())
def test_names_of_the_document(name: str, parts: CollectionName) -> None:
    assert parse(name) == parts
    assert build(parts) == name
    assert str(parts) == name


words = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]{0,8}[A-Za-z0-9])?", fullmatch=True)
types = st.from_regex(r"[a-z][A-Za-z0-9_]{0,12}", fullmatch=True).filter(
    lambda word: not word.endswith("Gen") and re.match(r"verify[A-Z]", word) is None
)
instruments = st.from_regex(r"[A-Za-z][A-Za-z0-9_\-]{0,10}", fullmatch=True)


@st.composite
def names(draw: st.DrawFn) -> CollectionName:
    kind = draw(st.sampled_from([Kind.GENERATION, Kind.VERIFICATION, Kind.CERTIFIED]))
    below = st.just("") | words if kind is not Kind.CERTIFIED else st.just("")
    return CollectionName(
        kind=kind,
        instrument=draw(instruments),
        ticket=draw(st.from_regex(r"[A-Z][A-Z0-9]{0,5}-[0-9]{1,6}", fullmatch=True)),
        tag=draw(words),
        calib_type=draw(types),
        variant=draw(st.just("") | st.from_regex(r"[A-Za-z0-9_~]{1,6}", fullmatch=True)),
        day=draw(st.dates(min_value=date(1000, 1, 1))).strftime("%Y%m%d"),
        iteration=draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz")),
        label=draw(below),
        user=draw(st.just("") | words),
    )


@given(names())
def test_what_is_built_is_read_back(parts: CollectionName) -> None:
    assert parse(build(parts)) == parts


@given(st.text() | st.from_regex(r"LATISS/calib/[A-Za-z0-9./\-]*", fullmatch=True))
def test_any_text_is_either_refused_or_built_again(text: str) -> None:
    try:
        parts = parse(text)
    except NameRuleError:
        return
    assert build(parts) == text


@pytest.mark.parametrize(
    "name",
    [
        "",
        "bias",
        "LATISS/calib/",
        "LATISS/calib/daily/bias.20220915a",
        "LATISS/calib/DM-12345/voltageChange/bias.20220915",
        "LATISS/calib/DM-12345/voltageChange/bias.20221315a",
        "LATISS/calib/DM-12345/voltageChange/bias.20220915ab",
        "LATISS/calib/DM-12345/voltageChange/bias.20220915a/run1",
        "LATISS/calib/DM-12345/voltageChange/deeper/bias.20220915a",
        "LATISS/calib/dm-12345",
        " LATISS/calib",
        "LATISS/calib\n",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NameRuleError, match=r"DMTN-222|not a date"):
        parse(name)


@pytest.mark.parametrize(
    "parts",
    [
        CollectionName(Kind.CERTIFIED, "LATISS", "DM-1", "x", "biasGen", "", "20260101", "a"),
        CollectionName(Kind.CERTIFIED, "LATISS", "DM-1", "x", "verifyBias", "", "20260101", "a"),
        CollectionName(Kind.CERTIFIED, "LATISS", "DM-1", "x", "bias", "", "20260231", "a"),
        CollectionName(Kind.CERTIFIED, "LATISS", "", "x", "bias", "", "20260101", "a"),
        CollectionName(Kind.TICKET, "LATISS", "DM-1", tag="lost"),
        CollectionName(Kind.TAGGED, "LA/TISS"),
    ],
)
def test_parts_that_would_be_read_as_something_else_are_refused(parts: CollectionName) -> None:
    with pytest.raises(NameRuleError):
        build(parts)


def test_validate_names_what_was_expected_and_found() -> None:
    parts = validate("LATISS/calib/DM-1/x/bias.20260101a", Kind.CERTIFIED)
    assert parts.calib_type == "bias"
    with pytest.raises(NameRuleError, match=r"name of a ticket collection.*bias.20220915a"):
        validate("LATISS/calib/DM-1", Kind.CERTIFIED, "certified collection")
    with pytest.raises(NameRuleError, match=r"run 'my stuff'.*\(generation\) or .*\(raw\)"):
        validate("my stuff", (Kind.GENERATION, Kind.RAW), "run")
