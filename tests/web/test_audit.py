"""Who changes something over HTTP, or tries to, is noted; a change is in the history, too."""

from __future__ import annotations

import ast
import inspect

from structlog.testing import capture_logs
from web_scene import TOKEN, Client, Scene

from calwatch.web import auth, headers


def test_a_change_leaves_a_row_and_a_line(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    with capture_logs() as logs:
        answer = client.post(
            f"/api/alarms/{number}/acknowledge", json={"who": "Ada", "why": "reseated"}
        )
    assert answer.status_code == 200
    history = client.get(f"/api/alarms/{number}/history").json()["history"]
    assert [(row["who"], row["why"]) for row in history if row["who"] == "Ada"] == [
        ("Ada", "reseated")
    ]
    assert all(row["at"] for row in history)
    (line,) = [line for line in logs if line["event"] == "alarm changed over HTTP"]
    assert (line["alarm"], line["action"], line["who"]) == (number, "acknowledge", "Ada")
    assert line["peer"]


def test_whoever_is_refused_leaves_a_line_without_the_token(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    before = scene.store.alarm(number)
    with capture_logs() as logs:
        wrong = client.post(
            f"/api/alarms/{number}/reset", token="a-guess-of-mine", json={"who": "x", "why": "y"}
        )
        form = client(
            "POST",
            f"/alarms/{number}/reset",
            data={"token": "a-guess-of-mine", "who": "x", "why": "y"},
        )
    assert (wrong.status_code, form.status_code) == (401, 401)
    assert scene.store.alarm(number) == before
    lines = [line for line in logs if line["event"] == "change over HTTP refused"]
    assert [line["action"] for line in lines] == ["reset", "reset"]
    assert "a-guess-of-mine" not in str(logs)
    assert TOKEN not in str(logs)


def test_every_answer_carries_the_headers(scene: Scene, client: Client) -> None:
    number = scene.raise_alarm()
    paths = ["/", "/alarms", f"/alarms/{number}", "/api/alarms", "/api/alarms/99", "/no/such/page"]
    for path in [*paths, "/static/style.css", "/healthz"]:
        answer = client.get(path)
        for name in headers.HEADERS:
            assert name in answer.headers, (path, name)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_no_address_leads_out_of_the_folders_that_are_served(client: Client) -> None:
    for way in ("..", "%2e%2e", "..%2f..", "%2e%2e%2f%2e%2e", "..%5c..", "....//"):
        for base in ("/static", "/bokeh/x", "/static/sub", "/exposures", "/chain/LATISS/1"):
            answer = client.get(f"{base}/{way}/{way}/etc/passwd")
            assert answer.status_code in (307, 400, 404, 405), (base, way)
            assert "root:" not in answer.text


def test_the_token_is_compared_in_constant_time() -> None:
    """No operator compares what was given with what is set."""
    tree = ast.parse(inspect.getsource(auth.require))
    names = [
        {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
    ]
    assert not any({"given", "token"} <= found for found in names)
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert "hmac.compare_digest" in calls
