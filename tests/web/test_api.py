from __future__ import annotations

import pytest
from scenes import amps
from web_scene import AMP, TOKEN, Client, Scene

from calwatch.errors import LedgerError
from calwatch.service.health import Finding, Need, Report


def ack(**changes: object) -> dict[str, object]:
    return {"who": "Ada", "why": "board exchanged", **changes}


def test_the_open_alarms_come_gravest_first(scene: Scene, client: Client) -> None:
    scene.raise_alarm(AMP, more={"OVERSCAN_LEVEL": amps("LSSTCam")})
    found = client.get("/api/alarms").json()["alarms"]
    assert [one["severity"] for one in found] == ["CRITICAL", "SERIOUS"]
    assert found[0]["name"] == "LSSTCam.overscan.above.LSSTCam"
    assert found[1]["members"] == [AMP]
    assert client.get("/api/alarms?instrument=LATISS").json() == {"alarms": []}


def test_what_is_over_is_given_on_demand(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    client.post(f"/api/alarms/{number}/reset", json=ack())
    assert client.get("/api/alarms").json() == {"alarms": []}
    assert [a["id"] for a in client.get("/api/alarms?open=false").json()["alarms"]] == [number]
    one = client.get(f"/api/alarms/{number}").json()
    assert one["open"] is False
    assert one["acknowledged_why"] == "board exchanged"


def test_a_life_over_http(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    at = f"/api/alarms/{number}"
    muted = client.post(f"{at}/mute", json=ack(seconds=3600, severity="serious")).json()
    assert (muted["muted"], muted["muted_severity"]) == (True, "SERIOUS")
    assert client.post(f"{at}/unmute", json={"who": "Ada"}).json()["muted"] is False
    assert client.post(f"{at}/acknowledge", json=ack()).json()["acknowledged_by"] == "Ada"
    back = client.post(f"{at}/unacknowledge", json={"who": "Bob"}).json()
    assert back["acknowledged"] is False
    client.post(f"{at}/acknowledge", json=ack(severity="SERIOUS"))
    scene.take(5)
    scene.take(6)
    history = client.get(f"{at}/history").json()["history"]
    assert [entry["what"] for entry in history] == [
        "raised", "muted", "unmuted", "acknowledged", "unacknowledged", "acknowledged", "cleared",
    ]  # fmt: skip
    assert history[0]["deliveries"][0]["channel"] == "slack"
    assert client.get("/api/history?limit=1").json()["history"] == history[-1:]
    assert client.get("/api/history?since=2999-01-01").json() == {"history": []}


@pytest.mark.parametrize(
    ("action", "body", "status", "words"),
    [
        ("acknowledge", {"who": "Ada"}, 400, "say why"),
        ("acknowledge", {"why": "so"}, 400, "say who you are"),
        ("acknowledge", ack(severity="GRAVE"), 400, "none of WARNING, SERIOUS, CRITICAL"),
        ("acknowledge", ack(severity="WARNING"), 409, "which WARNING does not cover"),
        ("acknowledge", ack(seconds=5), 400, "takes no time"),
        ("acknowledge", ack(who=5), 400, "who: must be text"),
        ("acknowledge", ack(who="A\x1b[31m"), 400, "cannot be shown"),
        ("acknowledge", ack(why="x" * 1001), 400, "longer than 1000"),
        ("acknowledge", ack(force=True), 400, "no field 'force'"),
        ("unacknowledge", ack(), 409, "nobody has acknowledged it"),
        ("unmute", ack(), 409, "is not muted"),
        ("mute", ack(), 400, "say for how long"),
        ("mute", ack(seconds=True), 400, "must be a number"),
        ("mute", ack(seconds=-1), 400, "must be a number"),
        ("mute", ack(seconds=1e300), 400, "must be a number"),
        ("mute", ack(seconds=60, severity="NONE"), 400, "severity must be"),
        ("reset", {"who": "Ada", "why": "  "}, 400, "say why"),
        ("acknowledge", [], 400, "JSON object"),
    ],
)
def test_wrong_orders_are_told(scene, client, action, body, status, words) -> None:
    number = scene.raise_alarm()
    before = scene.store.alarm(number)
    answer = client.post(f"/api/alarms/{number}/{action}", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert scene.store.alarm(number) == before


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b'{"seconds": NaN'])
def test_what_is_no_json_is_told(scene: Scene, client: Client, body: bytes) -> None:
    number = scene.raise_alarm()
    answer = client.post(f"/api/alarms/{number}/mute", content=body)
    assert answer.status_code in (400, 413)
    assert "error" in answer.json()


def test_a_long_body_is_not_read_to_its_end(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    read = 0

    async def body():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b"x" * 4096

    answer = client.post(f"/api/alarms/{number}/acknowledge", content=body())
    assert answer.status_code == 413
    assert read < 10


def test_an_alarm_that_is_over_takes_no_orders(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    client.post(f"/api/alarms/{number}/reset", json=ack())
    answer = client.post(f"/api/alarms/{number}/acknowledge", json=ack())
    assert answer.status_code == 409
    assert "is over" in answer.json()["error"]


@pytest.mark.parametrize("number", ["99", str(2**63), str(10**40)])
def test_there_is_no_such_alarm(client: Client, number: str) -> None:
    for answer in (
        client.get(f"/api/alarms/{number}"),
        client.get(f"/api/alarms/{number}/history"),
        client.post(f"/api/alarms/{number}/acknowledge", json=ack()),
    ):
        assert answer.status_code == 404
        assert "no such alarm" in answer.json()["error"] or "no alarm" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/alarms?open=perhaps", 400),
        ("/api/alarms?limit=0", 400),
        ("/api/alarms?limit=9999999999", 400),
        ("/api/alarms?limit=٣", 400),
        ("/api/history?since=yesterday", 400),
        ("/api/nothing", 404),
        ("/api/alarms/x", 404),
    ],
)
def test_wrong_questions_are_told_as_json(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_wrong_method_is_told(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    answer = client.get(f"/api/alarms/{number}/acknowledge")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("token", ["", "a-long-toke", "a-long-token2", "ä"])
def test_only_the_token_may_change(scene: Scene, client: Client, token: str) -> None:
    number = scene.raise_alarm()
    headers = {"Authorization": f"Bearer {token}".encode()}
    answer = client("POST", f"/api/alarms/{number}/reset", json=ack(), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert scene.store.alarm(number).alarm.open


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_nobody_may(scene: Scene, token: str | None) -> None:
    number = scene.raise_alarm()
    answer = Client(scene.app(token)).post(f"/api/alarms/{number}/reset", token="", json=ack())
    assert answer.status_code == 403
    assert "no token is set" in answer.json()["error"]


def test_the_pulse_tells_the_age_of_the_last_beat(scene: Scene, client: Client) -> None:
    told = client.get("/api/heartbeat").json()
    assert (told["alive"], told["age_seconds"]) == (False, None)
    scene.beat(ago=12)
    told = client.get("/api/heartbeat").json()
    assert (told["alive"], told["age_seconds"]) == (True, 12.0)
    scene.beat(ago=100)
    assert client.get("/api/heartbeat").json()["alive"] is False
    assert client.get("/healthz").status_code == 200  # no restart of the page would help
    silent = client.get("/readyz")
    assert silent.status_code == 503
    assert silent.json()["checks"][0]["says"] == "the daemon last spoke 100 s ago"


def test_without_alarms_the_daemon_itself_is_asked(scene: Scene) -> None:
    scene.beat(ago=100)  # of a time when there were alarms
    findings: list[Finding] = []
    app = scene.app(state=lambda: Report(scene.clock.now(), "all", findings), enabled=False)
    assert Client(app).get("/api/heartbeat").json()["age_seconds"] == 0.0
    findings.append(Finding("event loop", False, "stands still", Need.HEALTHY))
    assert Client(app).get("/api/heartbeat").json()["alive"] is False
    findings.clear()
    app = scene.app(state=lambda: Report(scene.clock.now(), "all", findings))
    assert Client(app).get("/api/heartbeat").json()["age_seconds"] == 100.0


def test_a_ledger_out_of_reach_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args, **_more):
        raise LedgerError("ledger: the disk is full")

    client = Client(scene.app())
    monkeypatch.setattr(type(scene.store), "alarms", away)
    monkeypatch.setattr(type(scene.store), "open_alarms", away)
    answer = client.get("/api/alarms")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "ledger: the disk is full"}
    assert client.get("/").status_code == 503


def test_a_mistake_of_ours_shows_nothing_of_the_inside(scene, monkeypatch) -> None:
    def broken(*_args, **_more):
        raise ZeroDivisionError("secret")

    client = Client(scene.app())
    monkeypatch.setattr(type(scene.store), "alarms", broken)
    answer = client.get("/api/alarms")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_answers_are_plain_json(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    told = client.get(f"/api/alarms/{number}").json()
    assert told["symptoms"][0]["samples"][-1]["value"] == 7.3
    assert (told["id"], told["name"]) == (number, f"LSSTCam.readout.above.{AMP}")
