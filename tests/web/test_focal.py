"""The focal plane over HTTP: the page, its picture, its table."""

from __future__ import annotations

import csv
import io
import json

import pytest
from night_scene import BEFORE, BROKEN, DAY, DETECTORS, NOISY
from web_scene import Client

SECOND = f"/focal/LSSTCam/{DAY}00002"
DETECTOR, AMP = NOISY.split("/")


def rows(client: Client, path: str) -> list[dict]:
    join = "&" if "?" in path else "?"
    return client.get(f"{path}{join}format=json").json()["amplifiers"]


def test_the_worst_come_first_and_all_are_there(nights: Client) -> None:
    found = rows(nights, SECOND)
    assert len(found) == 16 * len(DETECTORS)
    assert (found[0]["detector"], found[0]["amp"], found[0]["verdict"]) == (DETECTOR, AMP, "FAIL")
    assert found[0]["distance"] > 1
    failed = [row for row in found if row["verdict"] == "FAIL"]
    assert {row["detector"][:3] for row in failed} == {"R22", "R30"}
    assert found[: len(failed)] == failed
    warned = [row for row in found if row["verdict"] == "WARNING"]
    assert [(row["detector"], row["amp"]) for row in warned] == [("R22_S11", "C07")]


def test_the_page_names_the_worst_and_leads_on(nights: Client) -> None:
    page = nights.get(f"{SECOND}?show=NOISE&by=distance")
    assert page.status_code == 200
    assert f'data-picture="{SECOND}/picture?show=NOISE&amp;by=distance"' in page.text
    where = f"/amplifiers/LSSTCam/{DETECTOR}/{AMP}?type=bias&amp;show=NOISE"
    assert f'href="{where}&amp;exposure={DAY}00002"' in page.text
    assert "'unsafe-inline'" in page.headers["content-security-policy"]
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_picture_is_a_figure_with_every_amplifier(nights: Client) -> None:
    answer = nights.get(f"{SECOND}/picture?scheme=dark")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["doc"]["version"]
    text = json.dumps(answer.json())
    assert text.count("R22_S11") >= 16
    assert "CustomJS" not in text


def test_the_worst_of_a_day_says_in_which_exposure_it_was(nights: Client) -> None:
    found = {(r["detector"], r["amp"]): r for r in rows(nights, f"/focal/LSSTCam/day/{DAY}/bias")}
    assert found["R30_S00", "C00"]["exposure"] == int(f"{DAY}00002")
    assert found["R30_S00", "C00"]["verdict"] == "FAIL"
    assert found[BROKEN, "C00"]["verdict"] == "PASS"
    earlier = rows(nights, f"/focal/LSSTCam/day/{BEFORE}/bias")
    assert [row["verdict"] for row in earlier].count("FAIL") == 1


def test_a_number_without_a_limit_is_shown_by_value(nights: Client) -> None:
    found = rows(nights, f"{SECOND}?show=MEDIAN")
    assert len(found) == 16 * len(DETECTORS)
    assert {row["verdict"] for row in found} == {""}
    assert found[0]["distance"] is None
    assert nights.get(f"{SECOND}/picture?show=MEDIAN").status_code == 200


def test_all_tests_have_no_value_in_common_but_a_distance(nights: Client) -> None:
    page = nights.get(f"{SECOND}?show=all&by=value")
    assert '<option value="distance" selected>' in page.text
    near = [row for row in rows(nights, f"{SECOND}?by=distance") if row["verdict"] == "PASS"]
    assert all(row["distance"] < 1 for row in near)


def test_csv_has_the_same(nights: Client) -> None:
    answer = nights.get(f"{SECOND}?format=csv")
    assert "attachment" in answer.headers["content-disposition"]
    first = next(csv.DictReader(io.StringIO(answer.text)))
    assert (first["detector"], first["amp"]) == (DETECTOR, AMP)


def test_the_shortest_way_leads_to_the_newest_exposure(nights: Client) -> None:
    answer = nights.get("/focal?instrument=LATISS")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/focal/LATISS/{DAY}00005")
    assert nights.get("/focal").headers["location"] == f"/focal/LSSTCam/{DAY}00007"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (f"{SECOND}?show=NOTHING", 400, "is none of all, MEAN, NOISE"),
        (f"{SECOND}?by=colour", 400, "must be one of verdict, distance, value"),
        ("/focal/LSSTCam/5", 404, "exposure 5 has not been judged"),
        ("/focal/LSSTCam/99999999999999999999", 404, "has not been judged"),
        ("/focal/LSSTCam/day/99999999999999999999/bias", 404, "no bias of 9999"),
        ("/focal/LSSTCam/day/99999999999999999999/bias/picture", 404, "no bias of 9999"),
        ("/focal/Nothing/5", 404, "no instrument"),
        (f"/focal/LATISS/day/{DAY}/flat", 404, "no flat of 20261122 has been judged"),
        (f"{SECOND}/picture?show=NOTHING", 400, "is none of"),
    ],
)
def test_what_is_not_there_is_told(nights: Client, path: str, status: int, words: str) -> None:
    answer = nights.get(path)
    assert (answer.status_code, words in answer.text) == (status, True)
