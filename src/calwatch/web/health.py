"""``/healthz`` and ``/readyz``: whether the work goes on, for whatever restarts and routes."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calwatch.web.api import site_of


def routes() -> list[Route]:
    """Return the two addresses."""
    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def healthz(request: Request) -> Response:
    """Answer 503 if only a restart of the daemon will help."""
    report = await asyncio.to_thread(site_of(request).state)
    return JSONResponse(report.document(), 200 if report.healthy else 503)


async def readyz(request: Request) -> Response:
    """Answer 503 if new exposures would not be judged now."""
    report = await asyncio.to_thread(site_of(request).state)
    return JSONResponse(report.document(), 200 if report.ready else 503)
