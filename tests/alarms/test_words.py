"""What alarms say: the golden texts, and that there are words for whatever may come.

The texts are written anew by ``python tests/alarms/golden_words.py``.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from golden_words import AMP, GOLDEN, USUAL, noise, raft, raised, stories, texts
from hypothesis import given
from hypothesis import strategies as st
from scenes import RULES, at, book, seen
from strategies import alarms, transitions

from calwatch.alarms.model import Alarm, Kind, Sample, Severity, Symptom, Transition, What
from calwatch.alarms.phrases import COUNTED, NOUNS, allowed, number, one_line, say
from calwatch.alarms.problem import title
from calwatch.alarms.rebuild import to_rebuild
from calwatch.alarms.rules import Family, Rules
from calwatch.alarms.words import LONGEST_SUBJECT, message, reason_line
from calwatch.verify.evaluate import evaluate
from calwatch.verify.limits import Part, load_limits
from calwatch.verify.metrics import CALIB_TYPES, SET_TYPES
from calwatch.verify.metrics import TESTS as KNOWN_TESTS

SAID = texts()
PROFILES = [load_limits(name) for name in ("dmtn101", "cp_verify")]
STORIES = list(stories())


def symptom(reason: str = "", test: str = "NOISE", **changes: object) -> Symptom:
    sample = Sample(at(1), 2026112200001, Severity.SERIOUS, 7.3, (6.1, 6.8), reason)
    return Symptom(AMP, "bias", test, "e-", "4.3", Severity.SERIOUS,
                   (replace(sample, **changes),))  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_golden_texts(story: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert list(golden) == STORIES
    assert SAID[story] == golden[story]


@pytest.mark.parametrize("story", STORIES)
def test_plain_words(story: str) -> None:
    said = message(stories()[story], RULES)
    for text in (said.subject, said.body):
        assert "!" not in text
        assert "{" not in text
        assert text.isascii()
        assert not re.search(r"\b(None|NaN|nan|inf|NONE)\b", text)
    assert not re.search(r"\b[A-Z]+_[A-Z]+\b", said.subject)
    assert all(line == line.rstrip() for line in said.body.split("\n"))
    assert "\n\n\n" not in said.body


def test_every_family_has_a_golden_text() -> None:
    told = {story.alarm.key.family for story in stories().values()}
    assert told >= {family.name for family in RULES.families} - {"judging", "expected"}


def test_everything_that_may_happen_has_a_golden_text() -> None:
    assert {story.what for story in stories().values()} == set(What)


def test_the_facts_are_the_alarm_word_by_word() -> None:
    facts = message(raised(noise()), RULES, page="https://a/b", playbook="https://p").facts
    assert facts["name"] == "LSSTCam.readout.above.R22_S11/C05"
    assert facts["severity"] == facts["max_severity"] == "SERIOUS"
    assert facts["where"] == "amplifier C05 of detector R22_S11 (raft R22, board R22_Reb1)"
    assert (facts["value"], facts["limit"], facts["unit"]) == ("7.31", "6.189 to 6.851", "e-")
    assert (facts["test"], facts["section"]) == ("bias NOISE", "4.3")
    assert facts["calibration"] == "LSSTCam/calib/DM-50001/newRaft/bias.20261103a"
    assert facts["playbook"] == "https://p#readout"
    assert facts["page"] == "https://a/b"
    assert facts["rebuild"] == ", ".join(to_rebuild("photon_transfer_curve"))
    assert facts["acknowledged_by"] == ""
    assert message(raised(raft()), RULES).facts["members"] == "all of R22_S00 to R22_S22"


def test_the_names_of_facts_are_always_the_same() -> None:
    names = {tuple(message(story, RULES).facts) for story in stories().values()}
    assert len(names) == 1


@pytest.mark.parametrize("limits", PROFILES, ids=lambda limits: limits.profile)
def test_what_verification_says_of_every_test_is_understood(limits) -> None:
    found = set()
    for calib_type in CALIB_TYPES:
        for level, part in (("amp", AMP), ("detector", "R22_S11"), ("exposure", "LSSTCam")):
            amp = part.partition("/")[2]
            place = Part("LSSTCam", 94, part.partition("/")[0], amp)
            for active in limits.active(calib_type, level, place, at(0)):
                for value in (-1e5, 0.0, 0.31, 7.0, 1234567.0):
                    numbers = {**usual_of(active), active.spec.metric: value}
                    result = evaluate(active, numbers, amp)
                    if result is None or not result.severity:
                        continue
                    shown = Sample(at(1), 1, Severity[result.severity], result.value,
                                   result.limit, result.reason)  # fmt: skip
                    words = say(Symptom(part, calib_type, result.name, result.unit,
                                        result.section, shown.severity, (shown,)))  # fmt: skip
                    assert result.name not in words.full
                    assert result.name in COUNTED or "limit" in words.short, words
                    assert words.short in words.at_worst or "at worst" in words.at_worst
                    found.add(result.name)
    assert found == {test.name for test in limits.tests}


def usual_of(active) -> dict[str, float]:
    """Return numbers for everything that a test is compared with."""
    names = {active.spec.reference, active.spec.error} - {None}
    return {**dict.fromkeys(names, 0.01), **USUAL}


def test_every_test_has_plain_words() -> None:
    assert {name for name, _level in KNOWN_TESTS} == {*NOUNS, *COUNTED}


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("C05 NOISE 7.31 e- is 12 % above the expected 6.52 e- (limit 5 %)",
         "noise 12 % above the expected (limit 5 %)"),
        ("C05 NOISE 7.31 e- is 12 % above the root of the mean 6.52 e- (limit 5 %) [known: DM-1]",
         "noise 12 % above the root of the mean (limit 5 %)"),
        ("C05 NOISE 7.31 e- is above 6.8 e- [known: DM-1]",
         "noise 7.31 e-, above the limit of 6.8 e-"),
        ("C05 NOISE 7.3e+08 e- is below 1e+09 e-", "noise 7.3e+08 e-, below the limit of 1e+09 e-"),
        ("", "noise 7.3 e- (allowed 6.1 to 6.8 e-)"),
        ("C05: dead", "dead"),
        ("quite another\nsentence", "quite another sentence"),
    ],
)  # fmt: skip
def test_sentences(reason: str, short: str) -> None:
    assert say(symptom(reason)).short == short


def test_outliers_are_told_by_what_their_two_sides_mean() -> None:
    text = "C05 CR_NOISE 7 e- is 8 % {} the plain deviation without cosmic rays 6.5 e- (limit 5 %)"
    below, above = (say(symptom(text.format(side), "CR_NOISE")) for side in ("below", "above"))
    assert below.short == "outliers that are no cosmic rays: 8 % (limit 5 %)"
    assert above.short == "noise taken for cosmic rays: 8 % (limit 5 %)"


def test_differing_keywords_are_named_where_they_are_known() -> None:
    reason = "SEQUENCER: SEQFILE is a in the raw and b in the certified bias, dark"
    words = say(symptom(reason, "SEQUENCER", value=1.0))
    assert words.short == "1 sequencer keyword differs"
    assert words.full == "SEQFILE is a in the raw and b in the certified bias, dark"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (float("inf"), ""), (0.0, "0 e-"), (-0.0, "0 e-"),
     (7.314, "7.314 e-"), (24510.4, "24510 e-"), (1e9, "1e+09 e-"), (0.0012, "0.0012 e-")],
)  # fmt: skip
def test_numbers(value: float | None, text: str) -> None:
    assert number(value, "e-") == text


@pytest.mark.parametrize(
    ("limit", "text"),
    [((None, None), ""), ((1.0, None), "from 1 e-"), ((None, 2.5), "up to 2.5 e-"),
     ((-1.0, 1.0), "-1 to 1 e-")],
)  # fmt: skip
def test_limits(limit: tuple[float | None, float | None], text: str) -> None:
    assert allowed(symptom(limit=limit)) == text


def test_a_symptom_without_samples_has_no_words() -> None:
    bare = replace(symptom(), samples=())
    assert (say(bare).full, say(bare).at_worst, allowed(bare)) == ("", "", "")


@pytest.mark.parametrize("kind", CALIB_TYPES)
def test_a_closer_look_at_a_set_names_its_kind(kind: str) -> None:
    shown = replace(symptom("C05 NOISE 7.3 e- is above 6.8 e-"), calib_type=kind)
    body = message(raised(replace(noise(), symptoms=(shown,))), RULES).body
    of = f" --of {kind}" if kind in SET_TYPES else ""
    assert f"calwatch explain 2026112200001 R22_S11 C05 NOISE{of}\n" in body


@pytest.mark.parametrize("aspect", ["above", "below", "bias", ""])
@pytest.mark.parametrize("family", [family.name for family in RULES.families])
def test_titles_are_sentences_whatever_the_aspect(family: str, aspect: str) -> None:
    alarm = noise()
    text = title(replace(alarm, key=replace(alarm.key, family=family, aspect=aspect)), RULES)
    assert "{" not in text
    assert "  " not in text


@pytest.mark.parametrize("text", ["50 % {too} high", "{", "{direction", "{0} is", "{aspect.x}"])
def test_a_title_with_strange_braces_is_taken_as_it_is(text: str) -> None:
    family = Family(name="readout", title=text, playbook="readout")
    rules = Rules(name="x", version="1", persistence=RULES.persistence, families=(family,))
    assert title(noise(), rules) == text


def test_the_test_that_most_parts_fail_is_told_first() -> None:
    alarm = raft()
    first, *others = alarm.symptoms
    rare = replace(first, test="READ_NOISE_CONSISTENT")
    alarm = replace(alarm, symptoms=(rare, *others), counts={**alarm.counts, "bias NOISE": 144})
    assert "144 of 144 amplifiers: noise at worst" in message(raised(alarm), RULES).subject


def test_a_long_subject_keeps_its_beginning_and_its_end() -> None:
    alarm = replace(noise(), symptoms=(symptom(f"C05: {'very ' * 80}bad"),))
    subject = message(raised(alarm), RULES).subject
    assert len(subject) == LONGEST_SUBJECT
    assert subject.startswith("SERIOUS: LSSTCam R22_S11/C05: very")
    assert subject.endswith("..., since 2026-11-22 18:05 UTC")


def test_what_people_write_is_one_line_in_ours() -> None:
    why = "first\nsecond\x1b[31m\u2028third"
    told = Transition(What.ACKNOWLEDGED, at(1), noise(), Severity.SERIOUS, who="a\nb", why=why)
    said = message(told, RULES)
    assert "by a b: first second [31m third" in said.subject
    assert "by a b: first second [31m third" in said.body
    assert one_line(" a \t b\r\n") == "a b"


def test_a_name_that_a_shell_would_take_apart_is_quoted() -> None:
    alarm = noise()
    alarm = replace(alarm, key=replace(alarm.key, aspect="flat; reboot"))
    assert (
        "ack 'LSSTCam.readout.flat; reboot.R22_S11/C05' --by" in message(raised(alarm), RULES).body
    )


def test_an_alarm_of_a_book_says_what_its_transition_says() -> None:
    mine = book()
    for exposure in (seen(1, [AMP]), seen(2, [AMP])):
        mine.observe(exposure, exposure.end)
    (told,) = mine.transitions
    assert told.alarm.reason == reason_line(told.alarm, RULES)
    assert told.alarm.reason in message(told, RULES).body


@given(transitions)
def test_there_are_words_for_whatever_happens(told: Transition) -> None:
    said = message(told, RULES, page="page", playbook="book")
    assert 0 < len(said.subject) <= LONGEST_SUBJECT
    assert said.subject == one_line(said.subject)
    assert all(line.isprintable() for line in said.body.split("\n"))
    assert all(isinstance(word, str) and word == one_line(word) for word in said.facts.values())


@given(transitions.map(lambda told: replace(told, who="ada", why="because")))
def test_no_word_is_that_of_a_program(told: Transition) -> None:
    alarm = told.alarm
    plain = replace(
        alarm, reason="", acknowledged_why="", acknowledged_by="ada", muted_by="ada",
        muted_why="", escalate_to="bob", absorbed_by="x", counts={"bias NOISE": 2},
        symptoms=tuple(
            replace(s, unit="e-", section="4.3", test="NOISE", samples=tuple(
                replace(one, reason="", collection="c", uuid="u") for one in s.samples
            ))
            for s in alarm.symptoms
        ),
    )  # fmt: skip
    said = message(replace(told, alarm=plain), RULES)
    for text in (said.subject, said.body):
        assert not re.search(r"\b(None|NaN|nan|NONE|Severity\.|What\.|Kind\.)", text)


@given(alarms)
def test_a_reason_is_one_line(alarm: Alarm) -> None:
    reason = reason_line(alarm, RULES)
    assert reason
    assert reason == one_line(reason)
    assert not re.match(r"(WARNING|SERIOUS|CRITICAL)\b", reason)


@given(alarms, st.sampled_from(Kind))
def test_words_do_not_hang_on_what_a_rules_file_lacks(alarm: Alarm, kind: Kind) -> None:
    strange = replace(alarm, kind=kind, key=replace(alarm.key, family="made-up"))
    said = message(raised(strange), RULES)
    assert said.facts["playbook"] == "docs/playbook.md#other"
