"""How a picture gets to the browser: as JSON from an address of its own, drawn by BokehJS.

The page itself holds no script of the picture, so the content policy need allow none within pages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bokeh
from bokeh.embed import json_item
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from calwatch.plots.look import Scheme, scheme_of
from calwatch.web.headers import HEADERS

BUNDLES = ("bokeh.min.js",)
_FILES = Path(bokeh.__file__).parent / "server" / "static" / "js"
_FOR_EVER = "public, max-age=31536000, immutable"
POLICY = HEADERS["Content-Security-Policy"].replace(
    "style-src 'self'; img-src 'self'", "style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""Of pages with pictures: BokehJS writes style elements, and its icons are within them."""


def routes() -> list[Route]:
    """Return the address of BokehJS."""
    return [Route(f"/bokeh/{bokeh.__version__}/{{name}}", bokeh_file, name="bokeh")]


async def bokeh_file(request: Request) -> Response:
    """Give a file of BokehJS; its address changes with its version, so browsers may keep it."""
    name = request.path_params["name"]
    if name not in BUNDLES:
        return Response(status_code=404)
    return FileResponse(
        _FILES / name, media_type="text/javascript", headers={"Cache-Control": _FOR_EVER}
    )


def wanted_scheme(request: Request) -> Scheme:
    """Return the colours that the browser asks for by ``?scheme=dark``."""
    return scheme_of(request.query_params.get("scheme", ""))


def picture(plot: Any) -> Response:
    """Answer with a figure for ``Bokeh.embed.embed_item``."""
    return Response(json.dumps(json_item(plot)), media_type="application/json")


def allow_pictures(answer: Response) -> Response:
    """Let the page that is answered draw pictures."""
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
