from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calwatch.butler.lookup import (
    Candidate,
    Span,
    choose,
    explain,
    fingerprint,
    in_chain_order,
    why_none,
)
from calwatch.butler.model import CertifiedDataset
from calwatch.errors import ChainError


def candidate(
    uuid: str, collection: str, begin: float | None = None, end: float | None = None
) -> Candidate:
    return Candidate(CertifiedDataset("bias", 0, uuid, "run", collection, begin, end, ""))


times = st.integers(60000, 60020).map(float)
ends = st.none() | times


@st.composite
def chains(draw: st.DrawFn) -> list[Candidate]:
    order = ["first", "second", "third"]
    found = []
    for number in range(draw(st.integers(0, 6))):
        begin, end = draw(ends), draw(ends)
        if begin is not None and end is not None:
            begin, end = min(begin, end), max(begin, end) + 1.0
        found.append(candidate(f"u{number}", draw(st.sampled_from(order)), begin, end))
    return in_chain_order(found, order)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    begin = draw(times)
    return Span(begin, begin + draw(st.sampled_from([0.0, 0.5, 3.0])))


def overlaps(one: Candidate, span: Span) -> bool:
    """Whether some instant, in steps of a quarter day, lies in both."""
    begin = -math.inf if one.dataset.begin_tai is None else one.dataset.begin_tai
    end = math.inf if one.dataset.end_tai is None else one.dataset.end_tai
    steps = max(1, round((span.end - span.begin) * 4))
    return any(begin <= span.begin + step / 4 < end for step in range(steps))


@given(chains(), spans())
def test_the_choice_follows_the_rule(candidates: list[Candidate], span: Span) -> None:
    matching = [one for one in candidates if overlaps(one, span)]
    first = [
        one
        for one in matching
        if one.dataset.collection == matching[0].dataset.collection  # in chain order
    ]
    if len(first) > 1:
        with pytest.raises(ChainError) as error:
            choose(candidates, span)
        assert all(one.dataset.uuid in str(error.value) for one in first[:2])
    else:
        assert choose(candidates, span) == (first[0] if first else None)


@given(chains(), spans())
def test_at_most_one_is_explained_as_chosen(candidates: list[Candidate], span: Span) -> None:
    told = explain(candidates, span)
    assert [entry.dataset for entry in told] == [one.dataset for one in candidates]
    chosen = [entry for entry in told if entry.chosen]
    try:
        expected = choose(candidates, span)
    except ChainError:
        expected = None
        assert all("overlapping" in entry.reason for entry in told)
    assert [entry.dataset for entry in chosen] == ([expected.dataset] if expected else [])


def test_begin_is_valid_and_end_is_not() -> None:
    one = candidate("u", "c", 60001.0, 60002.0)
    assert one.applies(Span(60001.0, 60001.0))
    assert not one.applies(Span(60002.0, 60002.0))
    assert one.applies(Span(60000.5, 60001.0001))
    assert not one.applies(Span(60000.5, 60001.0))
    assert not one.applies(Span(60002.0, 60003.0))


def test_one_dataset_certified_twice_is_no_contradiction() -> None:
    twice = [candidate("u", "c", 60000.0, 60001.0), candidate("u", "c", 60001.0, None)]
    assert choose(twice, Span(60000.5, 60001.5)) is twice[0]


def test_why_none_points_to_the_nearest() -> None:
    span = Span(60010.0, 60010.0)
    far = candidate("far", "c", None, 60001.0)
    near = candidate("near", "c", 60011.0, None)
    text = why_none("bias", "X/calib", 3, [far, near], span)
    assert text.startswith(
        "2 biases certified in X/calib for detector 3, none valid at 2023-03-07T"
    )
    assert "nearest: bias near" in text
    assert "no bias certified" in why_none("bias", "X/calib", 3, [], span)


entries = st.builds(
    CertifiedDataset,
    calib_type=st.just("bias"),
    detector=st.just(0),
    uuid=st.sampled_from(["a", "b"]),
    run=st.sampled_from(["r", "s"]),
    collection=st.sampled_from(["c", "d"]),
    begin_tai=ends,
    end_tai=ends,
    uri=st.just("file:///x"),
)


@given(entries, entries)
def test_fingerprint_changes_with_every_part_of_the_provenance(
    one: CertifiedDataset, other: CertifiedDataset
) -> None:
    assert (fingerprint({"bias": one}) == fingerprint({"bias": other})) == (one == other)


@given(entries, entries)
def test_fingerprint_knows_types_but_neither_order_nor_place(
    one: CertifiedDataset, other: CertifiedDataset
) -> None:
    forward = fingerprint({"bias": one, "dark": other})
    assert forward == fingerprint({"dark": other, "bias": one})
    assert forward == fingerprint({"bias": replace(one, uri="s3://b/k"), "dark": other})
    assert forward != fingerprint({"bias": one})
    assume(one != other)
    assert forward != fingerprint({"bias": other, "dark": one})
