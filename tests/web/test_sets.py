"""Sets on every page: beside the exposures they end with, and never mixed up with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from episodes import make_alarm, make_transition
from night_scene import DAY, EVENING, take_nights
from set_scene import (
    BENT,
    DETECTOR,
    DETECTORS,
    FIRST,
    LAST,
    ODD,
    PAIRS,
    SEQUENCE,
    WRONG_GAIN,
    take_sets,
)
from web_scene import Client, HandClock, make_scene

from calwatch.ledger.alarms import Written
from calwatch.ledger.store import Ledger
from calwatch.web.set_points import Looked

PTC = f"/exposures/LSSTCam/{SEQUENCE}/{DETECTOR}?of=ptc"
FLAT = f"/exposures/LSSTCam/{SEQUENCE}"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('sets') / 'ledger.db'}")
    take_nights(ledger, DETECTORS)
    take_sets(ledger)
    yield Client(make_scene(ledger, HandClock(EVENING)).app())
    ledger.close()


def text(sets: Client, path: str) -> str:
    answer = sets.get(path)
    assert answer.status_code == 200, answer.text[-500:]
    return " ".join(answer.text.split())


def test_a_night_has_its_sets_after_its_exposures(sets: Client) -> None:
    page = text(sets, f"/nights/LSSTCam/{DAY}")
    for words in ("12 sets, 1 UNKNOWN, 11 PASS", "1 set, 1 FAIL", "30 exposures and 16 sets"):
        assert words in page, words
    assert page.index(">flat <") < page.index(">gain <") < page.index(">ptc <")
    assert f'href="/exposures/LSSTCam/{SEQUENCE}?of=ptc"' in page
    assert f"</span>{FIRST}–{LAST} <small>({2 * PAIRS})</small>" in page
    assert f"</span>{ODD} <small>(1)</small>" in page


def test_a_set_that_was_never_good_is_not_late(sets: Client) -> None:
    checks = {
        row["calib_type"]: row for row in sets.get("/?format=json").json()["checks"]
        if row["instrument"] == "LSSTCam"
    }  # fmt: skip
    assert list(checks)[:4] == ["bias", "dark", "flat", "gain"]
    assert (checks["ptc"]["good"], checks["ptc"]["late"]) == (None, "no")
    assert (checks["gain"]["last"], checks["gain"]["good"]) == (DAY * 100000 + ODD, SEQUENCE)
    assert checks["flat"]["last"] == DAY * 100000 + ODD


@pytest.mark.parametrize("form", ["csv", "json"])
def test_sets_are_had_beside_exposures(sets: Client, form: str) -> None:
    answer = sets.get(f"/nights/LSSTCam/{DAY}?format={form}&table=exposures")
    if form == "json":
        rows = answer.json()["exposures"]
    else:
        rows = list(csv.DictReader(io.StringIO(answer.text)))
    mine = [row for row in rows if str(row["exposure"]) == str(SEQUENCE)]
    found = {row["calib_type"]: (row["verdict"], str(row["members"] or "")) for row in mine}
    every = str(2 * PAIRS)
    assert found == {
        "flat": ("PASS", ""), "gain": ("PASS", "2"), "ptc": ("FAIL", every),
        "linearity": ("FAIL", every),
    }  # fmt: skip


def test_an_exposure_leads_to_its_sets_and_is_itself_as_before(sets: Client) -> None:
    page = text(sets, FLAT)
    assert "<h1>LSSTCam flat" in page
    assert "2 of 2 detectors passed." in page
    for kind in ("gain", "ptc", "linearity"):
        assert f'href="{FLAT}?of={kind}"' in page
    assert "PTC_GAIN" not in page
    assert "Judged together" not in text(sets, f"/exposures/LSSTCam/{DAY * 100000 + 1}")


def test_a_member_leads_to_a_set_that_ends_later(sets: Client) -> None:
    page = text(sets, f"/exposures/LSSTCam/{DAY * 100000 + FIRST}")
    assert f'href="{FLAT}?of=ptc"' in page
    assert f"ptc <small>to {SEQUENCE}</small>" in page


def test_the_page_of_a_set_leads_to_its_members_and_keeps_to_itself(sets: Client) -> None:
    page = text(sets, f"{FLAT}?of=ptc")
    assert "<h1>LSSTCam ptc" in page
    assert f"R22_S11: {WRONG_GAIN} PTC_GAIN" in page
    assert f"Its {2 * PAIRS} exposures" in page
    assert f'href="/exposures/LSSTCam/{DAY * 100000 + FIRST}"' in page
    assert f'href="{FLAT}/{DETECTOR}?of=ptc"' in page
    assert f'href="/focal/LSSTCam/{SEQUENCE}?of=ptc"' in page
    assert f"type=ptc&amp;show=PTC_GAIN&amp;exposure={SEQUENCE}" in page


def test_pairs_lead_to_each_other_and_to_no_flat(sets: Client) -> None:
    page = text(sets, f"{FLAT}?of=gain")
    assert f'rel="prev" href="/exposures/LSSTCam/{SEQUENCE - 2}?of=gain"' in page
    assert f'rel="next" href="/exposures/LSSTCam/{SEQUENCE + 1}?of=gain"' in page
    assert f'rel="next" href="/exposures/LSSTCam/{SEQUENCE + 1}"' in text(sets, FLAT)


def test_a_lone_flat_says_why_it_is_no_pair(sets: Client) -> None:
    page = text(sets, f"/exposures/LSSTCam/{DAY * 100000 + ODD}?of=gain")
    assert "a flat alone makes no pair" in page
    assert "Its 1 exposure<" in page


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{FLAT}?of=ptcs", "of: 'ptcs' is no set, but gain, cti, ptc,"),
        (f"{FLAT}?of=flat", "of: 'flat' is no set"),
        (
            f"{FLAT}?of=crosstalk",
            f"no crosstalk that ends with exposure {SEQUENCE} has been judged",
        ),
        (f"{FLAT}/{DETECTOR}?of=crosstalk", "has been judged"),
        (f"/chain/LSSTCam/{SEQUENCE}/{DETECTOR}?of=nothing", "is no set"),
        (f"/focal/LSSTCam/{SEQUENCE}?of=nothing", "is no set"),
        (f"/amplifiers/LSSTCam/{DETECTOR}/C00?of=nothing", "is no set"),
        (f"{FLAT}/{DETECTOR}/picture", "there is no picture of a flat"),
        (f"{FLAT}/R22_S12/picture?of=gain", "there is no picture of a gain"),
    ],
)
def test_a_set_that_does_not_exist_is_told(sets: Client, path: str, words: str) -> None:
    answer = sets.get(path)
    assert answer.status_code == 404
    assert words in answer.text.replace("&#39;", "'")


def test_a_detector_of_a_set_has_its_tests_members_and_picture(sets: Client) -> None:
    page = text(sets, PTC)
    assert f"<h1>LSSTCam {DETECTOR} in ptc" in page
    assert f"{FLAT}/{DETECTOR}/picture?of=ptc" in page
    assert f"Its {2 * PAIRS} exposures" in page
    assert "Raw file" not in page
    assert f'href="/chain/LSSTCam/{SEQUENCE}/{DETECTOR}?of=ptc"' in page
    assert "Raw file" in text(sets, f"{FLAT}/{DETECTOR}")
    assert "data-picture" not in text(sets, f"{FLAT}/{DETECTOR}")


def test_what_the_curve_shows_is_had_as_json(sets: Client) -> None:
    told = sets.get(f"{PTC}&format=json").json()
    rows = [row for row in told["points"] if row["amp"] == WRONG_GAIN]
    assert [row["used"] for row in rows] == ["yes"] * (PAIRS - 1) + ["no"]
    assert rows[-1]["exposure"] == SEQUENCE
    failed = [row for row in told["tests"] if row["verdict"] == "FAIL"]
    assert [(row["part"], row["test"]) for row in failed] == [(WRONG_GAIN, "PTC_GAIN")]


@pytest.mark.parametrize("change", ["left out", "judged since"])
def test_marks_stay_with_their_pairs(
    sets: Client, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What was fitted goes by the pair, whatever the ledger has beside."""
    where = {kind: PTC.replace("ptc", kind) for kind in ("ptc", "linearity")}

    def marks(kind: str, name: str) -> dict[int, object]:
        told = sets.get(f"{where[kind]}&format=json&amp={WRONG_GAIN}").json()
        return {row["exposure"]: row[name] for row in told["points"]}

    before = {"ptc": marks("ptc", "used"), "linearity": marks("linearity", "residual")}
    third = DAY * 100000 + FIRST + 5
    real_pairs, real_columns = Looked.pairs, Looked.columns
    if change == "left out":  # the ledger has it no more
        monkeypatch.setattr(
            Looked, "pairs",
            lambda self, names: [p for p in real_pairs(self, names) if p.exposure_id != third],
        )  # fmt: skip
    else:  # it was not there when the others were fitted

        def columns(self, values):
            made_of = self.result.provenance["made_of"]
            at = made_of.index(third)
            rest = {**self.result.provenance, "made_of": [*made_of[:at], *made_of[at + 1 :]]}
            less = replace(self, result=replace(self.result, provenance=rest))
            return real_columns(less, np.delete(values, at, axis=1))

        monkeypatch.setattr(Looked, "columns", columns)
    after = {"ptc": marks("ptc", "used"), "linearity": marks("linearity", "residual")}
    others = {
        kind: {k: v for k, v in found.items() if k != third} for kind, found in before.items()
    }
    assert {
        kind: {k: v for k, v in found.items() if k != third} for kind, found in after.items()
    } == (others)
    assert after["ptc"].get(third) == (None if change == "left out" else "")
    assert third not in after["linearity"]


def test_without_the_names_of_pairs_nothing_is_guessed(
    sets: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looked, "columns", lambda _self, _values: {})
    told = sets.get(f"{PTC}&format=json").json()
    assert {row["used"] for row in told["points"]} == {""}
    assert sets.get(PTC.replace("ptc", "linearity") + "&format=json").json()["points"] == []


def test_the_light_of_linearity_is_told(sets: Client) -> None:
    page = text(sets, PTC.replace("ptc", "linearity"))
    assert "<dt>Light</dt><dd>by the exposure time</dd>" in page
    assert "LIGHT_BY_PHOTODIODE" in page
    assert "<dt>Light</dt>" not in text(sets, PTC)


def test_one_amplifier_can_stand_before_the_others(sets: Client) -> None:
    page = text(sets, f"{PTC}&amp={BENT}")
    assert f"<option selected>{BENT}</option>" in page
    assert f"picture?of=ptc&amp;amp={BENT}" in page
    assert f"{PAIRS} of {16 * PAIRS} rows" in page
    assert sets.get(f"{PTC}&amp=C99").status_code == 400


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{FLAT}/{DETECTOR}/picture?of=ptc", "photon transfer curve"),
        (f"{FLAT}/{DETECTOR}/picture?of=ptc&amp=C03&scheme=dark", "photon transfer curve of C03"),
        (f"{FLAT}/{DETECTOR}/picture?of=linearity", "residual of the linearity"),
        (f"/exposures/LSSTCam/{DAY}00016/{DETECTOR}/picture?of=defects", "new defects"),
        (
            f"/exposures/LSSTCam/{DAY}00012/{DETECTOR}/picture?of=crosstalk",
            "crosstalk that is left",
        ),
        (f"/focal/LSSTCam/{SEQUENCE}/picture?of=ptc", "PTC_GAIN"),
    ],
)
def test_every_picture_is_drawn(sets: Client, path: str, words: str) -> None:
    answer = sets.get(path)
    assert answer.status_code == 200
    assert words in answer.text


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (f"{FLAT}/{DETECTOR}?of=linearity", 16 * (PAIRS - 1)),
        (f"/exposures/LSSTCam/{DAY}00016/{DETECTOR}?of=defects", 4),
        (f"/exposures/LSSTCam/{DAY}00012/{DETECTOR}?of=crosstalk", 15 * 15),
    ],
)
def test_the_other_pictures_are_had_as_tables(sets: Client, path: str, count: int) -> None:
    assert len(sets.get(f"{path}&format=json").json()["points"]) == count
    rows = list(csv.DictReader(io.StringIO(sets.get(f"{path}&format=csv&table=points").text)))
    assert len(rows) == count


@pytest.mark.parametrize(
    ("path", "words", "status"),
    [
        (f"/exposures/LSSTCam/{DAY}00016/R22_S12?of=defects", "There is no new defect.", 200),
        (f"/exposures/LSSTCam/{DAY}00012/R22_S12?of=crosstalk", "coefficients are not kept", 404),
    ],
)
def test_what_cannot_be_drawn_is_said_in_words(
    sets: Client, path: str, words: str, status: int
) -> None:
    page = text(sets, path)
    assert words in page
    assert "data-picture" not in page
    assert sets.get(path.replace("?", "/picture?")).status_code == status


def test_the_focal_plane_of_a_set_is_its_own(sets: Client) -> None:
    page = text(sets, f"/focal/LSSTCam/{SEQUENCE}?of=ptc&show=PTC_A00")
    assert '<input type="hidden" name="of" value="ptc">' in page
    assert f'/focal/LSSTCam/{SEQUENCE}/picture?show=PTC_A00&amp;by=verdict&amp;of=ptc"' in page
    assert f'href="{FLAT}/{DETECTOR}?of=ptc"' in page
    rows = sets.get(f"/focal/LSSTCam/{SEQUENCE}?of=ptc&format=json").json()["amplifiers"]
    assert (rows[0]["amp"], rows[0]["test"], rows[0]["verdict"]) == (WRONG_GAIN, "PTC_GAIN", "FAIL")
    assert "PTC_GAIN" not in text(sets, f"/focal/LSSTCam/{SEQUENCE}")
    bare = sets.get(f"/focal/LSSTCam/{SEQUENCE}?of=ptc&show=PTC_POINTS&format=json").json()
    assert {row["value"] for row in bare["amplifiers"]} == {PAIRS - 1}


def test_the_day_of_a_set_on_the_focal_plane(sets: Client) -> None:
    assert "in the gain sets of" in text(sets, f"/focal/LSSTCam/day/{DAY}/gain")


def test_the_newest_focal_plane_is_that_of_an_exposure(sets: Client) -> None:
    where = sets.get("/focal?instrument=LSSTCam").headers["location"]
    assert where == f"/focal/LSSTCam/{DAY * 100000 + ODD}"


def test_the_chain_of_a_set_leads_back_to_it(sets: Client) -> None:
    page = text(sets, f"/chain/LSSTCam/{SEQUENCE}/{DETECTOR}?of=ptc")
    assert f'href="{FLAT}/{DETECTOR}?of=ptc"' in page
    assert "took its last exposure on" in page


@pytest.mark.parametrize("word", ["type", "of"])
def test_an_amplifier_shows_the_trend_of_a_set(sets: Client, word: str) -> None:
    where = f"/amplifiers/LSSTCam/{DETECTOR}/{WRONG_GAIN}?{word}=ptc&exposure={SEQUENCE}"
    rows = sets.get(f"{where}&format=json").json()["values"]
    assert [(row["exposure"], row["verdict"]) for row in rows] == [(SEQUENCE, "FAIL")]
    page = text(sets, where)
    assert f'href="{FLAT}/{DETECTOR}?of=ptc"' in page
    assert "The ptc set" in page
    assert "No image of it is kept" not in page


def test_a_lone_flat_does_not_hide_the_gains_before_it(sets: Client) -> None:
    where = f"/amplifiers/LSSTCam/{DETECTOR}/C00?type=gain&format=json"
    assert len(sets.get(where).json()["values"]) == PAIRS


def test_an_amplifier_still_shows_the_exposure_itself(sets: Client) -> None:
    where = f"/amplifiers/LSSTCam/{DETECTOR}/C00?type=flat&exposure={SEQUENCE}"
    assert "The frame of flat" in text(sets, where)
    assert "The frame of flat" in text(sets, where.replace("type=flat", "type=bias"))


@pytest.mark.parametrize(("kind", "behind"), [("ptc", "?of=ptc"), ("bias", "")])
def test_an_alarm_leads_to_the_set_that_raised_it(scene, client, kind: str, behind: str) -> None:
    alarm = make_alarm()
    alarm = replace(alarm, symptoms=(replace(alarm.symptoms[0], calib_type=kind),))
    written = Written({"n": 1}, [alarm], [make_transition(alarm)])
    scene.store.step("LSSTCam", lambda _: written, "test")
    page = client.get("/alarms/1").text
    assert f'href="/exposures/LSSTCam/{alarm.exposure_id}{behind}"' in page
