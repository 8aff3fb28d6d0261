"""The order of rebuilding: nothing before what it is built with, nothing forgotten."""

from __future__ import annotations

import pytest

from calwatch.alarms.rebuild import BUTLER, NEEDS, to_rebuild
from calwatch.alarms.rules import load_rules

TYPES = {word: BUTLER.get(word, word) for word in NEEDS}


def all_needs(word: str) -> set[str]:
    """Return everything that a calibration is built with, directly or not."""
    found = set(NEEDS[word])
    for needed in NEEDS[word]:
        found |= all_needs(needed)
    return found


def test_it_is_the_graph_of_dmtn_222() -> None:
    assert to_rebuild("photon_transfer_curve") == ("ptc", "linearizer", "bfk", "cti")
    assert to_rebuild("bias") == (
        "bias", "dark_for_defects", "flat_for_defects", "defects", "dark", "flat", "ptc",
        "linearizer", "bfk", "cti", "crosstalk", "fringe",
    )  # fmt: skip
    assert to_rebuild("flat") == ("flat", "ptc", "linearizer", "bfk", "cti", "crosstalk", "fringe")
    assert all_needs("dark") == {"defects", "dark_for_defects", "flat_for_defects", "bias"}
    for last in ("linearity", "brighter_fatter_kernel", "charge_transfer_inefficiency"):
        assert to_rebuild(last) == (TYPES[last],)
        assert NEEDS[last] == ("photon_transfer_curve",)
    assert all_needs("crosstalk") == all_needs("fringe") == {*all_needs("flat"), "flat"}


@pytest.mark.parametrize("word", NEEDS)
def test_each_comes_after_all_that_it_needs_and_none_is_missing(word: str) -> None:
    order = to_rebuild(word)
    assert order[0] == TYPES[word]
    assert len(set(order)) == len(order)
    assert set(order) == {
        TYPES[other] for other in NEEDS if other == word or word in all_needs(other)
    }
    for other in NEEDS:
        if TYPES[other] in order:
            before = order[: order.index(TYPES[other])]
            assert {TYPES[need] for need in NEEDS[other]} & set(order) <= set(before)


@pytest.mark.parametrize("word", NEEDS)
def test_both_names_of_a_calibration_are_known(word: str) -> None:
    assert to_rebuild(TYPES[word]) == to_rebuild(word)


def test_a_calibration_that_is_not_in_the_graph_stands_alone() -> None:
    assert to_rebuild("gain_correction") == ("gain_correction",)
    assert to_rebuild("") == ()


def test_the_shipped_rules_name_calibrations_of_the_graph() -> None:
    named = {family.rebuild for family in load_rules().families if family.rebuild}
    assert named <= set(NEEDS)
