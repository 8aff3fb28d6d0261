from __future__ import annotations

import re

import pytest
from night_scene import DAY
from scenes import amps
from web_scene import AMP, Client, Scene

from calwatch.web.headers import HEADERS

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{7*7}}"


def test_an_empty_page_says_so(client: Client) -> None:
    text = client.get("/").text
    assert "No open alarm" in text
    assert "daemon: never heard of" in text


def test_open_alarms_stand_first_and_the_gravest_first(scene: Scene, client: Client) -> None:
    over = scene.raise_alarm("R43_S22/C00")
    client.form(f"/alarms/{over}/reset")
    scene.raise_alarm(AMP, more={"OVERSCAN_LEVEL": amps("LSSTCam")}, first=3)
    text = client.get("/alarms").text
    places = [text.index(word) for word in (">LSSTCam, ", f"LSSTCam {AMP}", "LSSTCam R43_S22/C00")]
    assert places == sorted(places)
    assert "1 CRITICAL, 1 SERIOUS" in text
    assert f"of {len(amps('LSSTCam'))} amplifiers" in text


def test_a_recovered_alarm_waits_to_be_acknowledged(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    scene.take(3)
    scene.take(4)
    text = client.get("/").text
    assert "waiting to be acknowledged" in text
    assert "Acknowledge and close" in text
    assert client.form(f"/alarms/{number}/acknowledge").status_code == 303
    assert "No open alarm" in client.get("/").text


def test_one_alarm_shows_everything(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    answer = client.form(f"/alarms/{number}/acknowledge", why="REB exchanged", back="alarm")
    assert answer.headers["location"] == f"/alarms/{number}#alarm-{number}"
    text = client.get(f"/alarms/{number}").text
    for word in ("REB exchanged", "Ada", "slack waiting", ">7.3<", ">6.1<", ">6.8<", ">4.3<"):
        assert word in text, word
    assert "Take acknowledgement back" in text


@pytest.mark.parametrize(
    ("action", "fields"),
    [("mute", {"for": "4h"}), ("mute", {"for": "7d", "severity": "SERIOUS"}), ("reset", {})],
)
def test_forms_do_what_they_say(scene: Scene, client: Client, action: str, fields) -> None:
    number = scene.raise_alarm()
    answer = client.form(f"/alarms/{number}/{action}", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/alarms#alarm-{number}")
    alarm = scene.store.alarm(number).alarm
    assert alarm.muted if action == "mute" else not alarm.open


def test_an_alarm_leads_to_the_trend_of_its_amplifier_and_to_its_exposures(
    scene: Scene, client: Client
) -> None:
    text = client.get(f"/alarms/{scene.raise_alarm()}").text
    where = r'href="(/amplifiers/LSSTCam/R22_S11/C05\?type=bias&amp;show=\w+)'
    assert len(set(re.findall(where, text))) == 1
    (newest, *_) = re.findall(r'href="/exposures/LSSTCam/(\d+)"', text)
    assert f"exposure={newest}" in text


def test_alarms_and_the_values_behind_one_are_had_as_csv_and_json(
    scene: Scene, client: Client
) -> None:
    number = scene.raise_alarm()
    (alarm,) = client.get("/alarms?format=json").json()["alarms"]
    assert (alarm["id"], alarm["part"], alarm["max_severity"]) == (number, AMP, "SERIOUS")
    values = client.get(f"/alarms/{number}?format=json").json()["values"]
    assert {row["part"] for row in values} == {AMP}
    assert values[0]["exposure"] > values[1]["exposure"]
    text = client.get(f"/alarms/{number}?format=csv").text
    assert len(text.splitlines()) == 1 + len(values)
    assert client.get("/alarms?format=pdf").status_code == 400


@pytest.mark.parametrize(
    ("back", "page"), [("tonight", "/"), ("list", "/alarms"), ("https://elsewhere", "/alarms")]
)
def test_a_form_leads_back_to_where_it_was(client: Client, scene: Scene, back, page) -> None:
    number = scene.raise_alarm()
    answer = client.form(f"/alarms/{number}/acknowledge", back=back)
    assert answer.headers["location"] == f"{page}#alarm-{number}"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"token": "wrong"}, 401, "not the right one"),
        ({"token": ""}, 401, "a token is needed"),
        ({"why": ""}, 400, "say why"),
        ({"who": " "}, 400, "say who you are"),
        ({"who": "A" * 101}, 400, "longer than 100"),
    ],
)
def test_a_form_that_cannot_be_is_shown_again(scene, client, fields, status, words) -> None:
    number = scene.raise_alarm()
    answer = client.form(f"/alarms/{number}/acknowledge", **{"why": "kept & shown", **fields})
    assert answer.status_code == status
    assert words in answer.text
    if fields.get("why") is None:
        assert 'value="kept &amp; shown"' in answer.text
    assert "a-long-token" not in answer.text
    assert not scene.store.alarm(number).alarm.acknowledged


def test_a_mute_needs_one_of_the_times(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    answer = client.form(f"/alarms/{number}/mute", **{"for": "9999d"})
    assert (answer.status_code, "say for how long" in answer.text) == (400, True)


def test_a_form_may_not_be_json(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    answer = client("POST", f"/alarms/{number}/reset", json={"token": "a-long-token"})
    assert answer.status_code == 400


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_there_is_no_form(scene: Scene, token: str | None) -> None:
    number = scene.raise_alarm()
    client = Client(scene.app(token))
    for path in ("/", f"/alarms/{number}"):
        assert "<form" not in client.get(path).text
    assert "calwatch alarms ack" in client.get(f"/alarms/{number}").text
    assert client.form(f"/alarms/{number}/reset").status_code == 403


def test_all_text_from_outside_is_escaped(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    client.form(f"/alarms/{number}/acknowledge", who="<b>Ada</b>", why=HOSTILE)
    for path in ("/", f"/alarms/{number}"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "<b>Ada" not in text
        assert "&lt;script&gt;alert(1)" in text
        assert "{{7*7}}" in text


@pytest.mark.parametrize("path", ["/", "/alarms/1", "/nothing", "/api/alarms", "/static/page.js"])
def test_every_answer_is_closed_to_others(scene: Scene, client: Client, path: str) -> None:
    scene.raise_alarm()
    headers = client.get(path).headers
    for name, value in HEADERS.items():
        assert headers[name] == value
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_pages_hold_no_script_and_no_style_of_their_own(scene: Scene, client: Client) -> None:
    scene.raise_alarm()
    for path in ("/", "/alarms/1", "/nothing"):
        text = client.get(path).text
        assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style", text) == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/nights/LATISS/{DAY}",
        f"/exposures/LSSTCam/{DAY}00003",
        f"/exposures/LSSTCam/{DAY}00002/R22_S11",
        f"/chain/LSSTCam/{DAY}00002/R22_S11",
        f"/focal/LSSTCam/{DAY}00002",
        "/amplifiers/LSSTCam/R22_S11/C05",
    ],
)
def test_pages_of_exposures_hold_none_either(nights: Client, path: str) -> None:
    answer = nights.get(path)
    assert answer.status_code == 200
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style", answer.text) == []
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy


def test_every_input_has_a_label(scene: Scene, client: Client) -> None:
    scene.raise_alarm()
    text = client.get("/").text
    inputs = re.findall(r'<(?:input|select) id="([^"]+)"', text)
    assert len(inputs) == 4
    assert set(inputs) == set(re.findall(r'<label for="([^"]+)"', text))


def test_the_playbook_is_linked_where_it_has_an_address(scene: Scene) -> None:
    scene.raise_alarm()
    text = Client(scene.app(playbook="https://example.org/playbook")).get("/").text
    assert 'href="https://example.org/playbook#readout"' in text
    assert "javascript" not in Client(scene.app(playbook="javascript:alert(1)")).get("/").text


def test_pages_that_do_not_exist_are_told(client: Client) -> None:
    assert client.get("/nothing").status_code == 404
    assert "there is no such page" in client.get("/nothing").text
    assert "there is no alarm 7" in client.get("/alarms/7").text
    assert client.form("/alarms/7/acknowledge").status_code == 404
    assert client.get("/static/../app.py").status_code == 404


def test_the_page_shows_a_silent_daemon_at_once(scene: Scene, client: Client) -> None:
    scene.beat(ago=5)
    assert 'class="pulse alive"' in client.get("/").text
    scene.beat(ago=61)
    text = client.get("/").text
    assert 'class="pulse silent"' in text
    assert 'aria-live="polite"' in text
