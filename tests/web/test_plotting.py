"""How pictures get to the browser."""

from __future__ import annotations

import bokeh
from web_scene import Client


def test_bokehjs_comes_from_here_and_may_be_kept(nights: Client) -> None:
    answer = nights.get(f"/bokeh/{bokeh.__version__}/bokeh.min.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert len(answer.content) > 500_000


def test_nothing_else_does(nights: Client) -> None:
    for name in ("bokeh.js", "..%2F..%2F__init__.py", "lib", "compiler.js"):
        assert nights.get(f"/bokeh/{bokeh.__version__}/{name}").status_code == 404
    assert nights.get("/bokeh/0.0.0/bokeh.min.js").status_code == 404


def test_other_answers_are_kept_by_nobody_and_allow_no_style_of_their_own(nights: Client) -> None:
    headers = nights.get("/").headers
    assert headers["cache-control"] == "no-store"
    assert "unsafe" not in headers["content-security-policy"]
