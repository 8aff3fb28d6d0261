"""A chain may change by a newer certification; anything else somebody must look at."""

from __future__ import annotations

import pytest
from scenes import RULES, at, book, seen

from calwatch.alarms.chains import accept, compare, is_newer
from calwatch.alarms.evidence import Link
from calwatch.alarms.model import Key, Kind, What

OLD = Link("u1", 61000.0, "calib/biasGen.20261101a/20261101T120000Z", "calib/bias.20261101a")
NEW = Link("u2", 61010.0, "calib/biasGen.20261111a/20261111T120000Z", "calib/bias.20261111a")
KEY = Key("LSSTCam", "chain", "bias", "R22_S11")


def exposure(number: int, link: Link, name: str = "bias"):
    found = seen(number)
    found.chains["R22_S11"] = {name: link}
    return found


@pytest.mark.parametrize(
    ("link", "than", "newer"),
    [
        (NEW, OLD, True),
        (OLD, NEW, False),
        (Link("u3", None, NEW.run, NEW.collection), OLD, False),
        (Link("u3", 61000.0, "calib/x/20261201T000000Z", "c"), OLD, True),
        (Link("u3", 61000.0, "no date", "none"), OLD, False),
    ],
)
def test_newer_is_a_later_validity_or_else_a_later_date(link, than, newer) -> None:
    assert is_newer(link, than) is newer


def test_a_newer_certification_is_as_it_should_be() -> None:
    mine = book()
    for number, link in enumerate((OLD, OLD, NEW, NEW)):
        mine.observe(exposure(number, link), at(number))
    assert mine.transitions == []


def test_an_older_one_is_an_alarm_until_it_is_back_or_somebody_says_it_is_right() -> None:
    mine = book()
    for number, link in enumerate((NEW, OLD, OLD)):
        mine.observe(exposure(number, link), at(number))
    assert [(t.what, t.alarm.key, t.alarm.kind) for t in mine.transitions] == [
        (What.RAISED, KEY, Kind.CHAIN)
    ]
    mine.observe(exposure(3, NEW), at(3))
    assert mine.transitions[-1].what is What.RECOVERED
    mine.observe(exposure(4, OLD), at(4))
    mine.acknowledge(KEY, "ada", "the newer one was withdrawn on purpose", at(5))
    mine.observe(exposure(6, OLD), at(6))
    assert (mine.transitions[-1].what, mine.alarms) == (What.CLEARED, {})
    mine.observe(exposure(7, OLD), at(7))
    assert mine.alarms == {}


def test_an_exposure_from_before_says_nothing_of_the_chain_of_today() -> None:
    mine = book()
    mine.observe(exposure(9, NEW), at(9))
    mine.observe(exposure(1, OLD), at(10))
    assert mine.alarms == {}


def test_the_same_dataset_under_another_certification_is_no_change() -> None:
    mine = book()
    mine.observe(exposure(1, NEW), at(1))
    mine.observe(exposure(2, Link("u2", 60000.0, NEW.run, "elsewhere")), at(2))
    assert mine.alarms == {}


def test_each_filter_has_a_flat_of_its_own() -> None:
    chains: dict = {}
    for number, (name, link) in enumerate(
        (("flat i_39", NEW), ("flat r_57", OLD), ("flat i_39", OLD))
    ):
        found = exposure(number, link, name)
        compare(found, chains, RULES)
        bad = ("R22_S11", f"CHAIN:{name}") in found.bad
        assert bad is (number == 2)
    accept(chains, ["R22_S11"], "flat")
    found = exposure(5, OLD, "flat i_39")
    compare(found, chains, RULES)
    assert ("R22_S11", "CHAIN:flat i_39") in found.good
