"""The report as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest
from report_scene import NOISY, Scene
from web_scene import make_scene

from calwatch.report.html import FIRST_ROWS, MOST_ROWS, to_html
from calwatch.report.pictures import Pictures

VOID = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Parsed(HTMLParser):
    """Ids, addresses and text of a document; the tags must fit each other."""

    ids: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs) -> None:
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[name] for name in ("src", "href", "action") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def parse(html: str) -> Parsed:
    parsed = Parsed()
    parsed.feed(html)
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def parsed(nights: Scene) -> Parsed:
    return parse(to_html(nights.report(), Pictures()))


def test_nothing_comes_from_elsewhere(parsed: Parsed) -> None:
    assert [a for a in parsed.addresses if not a.startswith(("#", "data:,"))] == []


def test_every_anchor_is_there_once(parsed: Parsed) -> None:
    assert len(set(parsed.ids)) == len(parsed.ids)
    wanted = {address[1:] for address in parsed.addresses if address.startswith("#")}
    assert wanted <= set(parsed.ids)
    for section in ("summary", "failures", "unknown", "alarms", "numbers", "calibrations", "made"):
        assert section in parsed.ids


def test_a_failure_has_all_that_a_person_asks(parsed: Parsed) -> None:
    for words in (
        "R22_S11/C05", "7.8×", "2026-11-21 18:02", "ptc-R22_S11-a",
        "LSSTCam/calib/DM-1/first/ptcGen.20261101a", "LSSTCam/calib/DM-1/first/ptc.20261101a",
        "The noise is the expected one",
    ):  # fmt: skip
        assert words in parsed.text


def test_failures_come_before_all_else(parsed: Parsed) -> None:
    order = [name for name in parsed.ids if name in {"failures", "unknown", "numbers", "made"}]
    assert order == ["failures", "unknown", "numbers", "made"]


def test_what_others_wrote_is_text(nights: Scene) -> None:
    html = to_html(nights.report(), Pictures())
    assert "truncated &lt;sic&gt;" in html
    assert "<sic>" not in html


def test_a_raft_of_failures_is_folded(scene: Scene) -> None:
    scene.detectors = tuple(f"R10_S{r}{c}" for r in range(3) for c in range(3))
    parts = [f"{d.name}/{amp}" for d in scene.chosen() for amp in d.amp_names]
    scene.take(1, bad={part: {"NOISE": 1.4} for part in parts})
    report = scene.report()
    text = parse(to_html(report, Pictures())).text
    assert f"{len(parts) - FIRST_ROWS} more rows" in text
    assert "In all: all of R10_S00 to R10_S22" in text
    group = report.failures[0]
    many = group.findings * 3
    crowded = replace(report, failures=(replace(group, findings=many),))
    html = to_html(crowded, Pictures())
    assert f"And {len(many) - MOST_ROWS} more" in html


def test_alarms_are_told_with_those_that_are_new(scene: Scene) -> None:
    make_scene(scene.ledger).raise_alarm("R22_S11/C05")
    scene.take(1, bad=NOISY)
    text = parse(to_html(scene.report(), Pictures())).text
    assert "Alarms: 1, of which 1 new." in text
    assert "SERIOUS" in text


def test_a_good_night_says_so(scene: Scene) -> None:
    scene.take(1)
    parsed = parse(to_html(scene.report(), Pictures()))
    assert "No test failed." in parsed.text
    assert "failures" not in parsed.ids
