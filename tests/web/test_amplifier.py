"""One amplifier over HTTP: its trend, what happened, its frame."""

from __future__ import annotations

from datetime import timedelta

import pytest
from night_scene import BEFORE, DAY, NOISY
from report_scene import Scene as Camera
from scenes import at
from web_scene import Client, Scene

DETECTOR, AMP = NOISY.split("/")
HERE = f"/amplifiers/LSSTCam/{DETECTOR}/{AMP}"
ASKED = f"?type=bias&show=NOISE&exposure={DAY}00002"


def test_the_values_come_newest_first_with_limits_and_results(nights: Client) -> None:
    values = nights.get(f"{HERE}{ASKED}&format=json").json()["values"]
    assert [row["exposure"] for row in values] == [
        *(int(f"{DAY}0000{number}") for number in (3, 2, 1)),
        *(int(f"{BEFORE}0000{number}") for number in (2, 1)),
    ]
    assert [row["verdict"] for row in values] == ["FAIL"] * 4 + ["PASS"]
    assert all(row["lower"] < row["upper"] for row in values)
    assert values[0]["value"] > values[0]["upper"]


def test_a_change_of_the_certified_chain_is_told(nights: Client) -> None:
    (change,) = nights.get(f"{HERE}{ASKED}&format=json&table=events").json()["events"]
    assert change["kind"] == "calibration"
    assert change["words"] == "another certified bias, defects, ptc"
    assert change["at"].startswith("2026-11-22T18:01")


def test_the_page_has_its_pictures_and_says_what_they_say(nights: Client) -> None:
    text = nights.get(f"{HERE}{ASKED}").text
    for picture in ("trend", "frame", "profile/row", "profile/column"):
        assert f'data-picture="{HERE}/{picture}?type=bias' in text
    assert "another certified bias" in text
    assert f'href="/exposures/LSSTCam/{DAY}00002/{DETECTOR}"' in text


@pytest.mark.parametrize("picture", ["trend", "frame", "profile/row", "profile/column"])
def test_every_picture_is_a_figure(nights: Client, picture: str) -> None:
    answer = nights.get(f"{HERE}/{picture}{ASKED}")
    assert answer.status_code == 200
    assert answer.json()["doc"]["roots"]


def test_the_raft_stands_beside_it(nights: Client) -> None:
    assert "raft, median" in nights.get(f"{HERE}/trend{ASKED}").text


def test_a_flat_is_shown_through_its_filter(nights: Client) -> None:
    asked = f"{HERE}?type=flat&exposure={DAY}00007"
    values = nights.get(f"{asked}&format=json").json()["values"]
    assert {row["physical_filter"] for row in values} == {"i_39"}
    everything = nights.get(f"{asked}&filter=&format=json").json()["values"]
    assert {row["physical_filter"] for row in everything} == {"g_6", "i_39"}


def test_a_frame_without_an_image_says_why(nights: Client) -> None:
    text = nights.get(f"/amplifiers/LATISS/0/C03?type=dark&exposure={DAY}00005").text
    assert "No image of it is kept" in text
    assert "data-picture" in text
    assert "/frame" not in text
    frame = nights.get(f"/amplifiers/LATISS/0/C03/frame?exposure={DAY}00005")
    assert (frame.status_code, "no image is kept" in frame.text) == (404, True)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/amplifiers/LSSTCam/R99_S00/C00", 404, "has no detector"),
        ("/amplifiers/LSSTCam/94/C99", 404, "has no amplifier"),
        ("/amplifiers/Nothing/0/C00", 404, "no instrument"),
        (f"{HERE}?type=fringe", 400, "is none of bias, dark, flat"),
        (f"{HERE}?show=NOTHING", 400, "is none of"),
        (f"{HERE}?days=0", 400, "must be a number from 1"),
        (f"{HERE}?days=%C2%B2", 400, "must be a number from 1"),
        (f"{HERE}?filter=x", 400, "is none of"),
        (f"{HERE}?exposure=7", 404, "has not been judged"),
        (f"{HERE}?exposure=abc", 404, "has not been judged"),
    ],
)
def test_what_makes_no_sense_is_told(nights: Client, path: str, status: int, words: str) -> None:
    answer = nights.get(path)
    assert (answer.status_code, words in answer.text) == (status, True)


def test_an_alarm_of_the_newest_exposure_is_told(client: Client, scene: Scene) -> None:
    """It is raised after that exposure has ended."""
    camera = Camera(scene.ledger, "LSSTCam", (DETECTOR,))
    for number in (1, 2):
        taken = camera.take(number, day=int(f"{at(0):%Y%m%d}"), bad={NOISY: {"NOISE": 1.4}})
    minutes = (taken.end_utc - at(0)) // timedelta(minutes=1)
    alarm = scene.store.alarm(scene.raise_alarm(NOISY, first=minutes - 1)).alarm
    assert alarm.since <= taken.end_utc < alarm.opened_at
    events = client.get(f"{HERE}?type=bias&show=NOISE&format=json&table=events").json()["events"]
    assert [one["kind"] for one in events] == ["alarm"]
    assert NOISY in events[0]["words"]
