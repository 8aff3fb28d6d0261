"""The page beside the daemon: a companion that runs in the daemon's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from calwatch.errors import StopError

GRACE_SECONDS = 3
"""A request that is being answered at the end may take so long."""
_BACKLOG = 128


class _Server(uvicorn.Server):
    """uvicorn, which leaves the signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port in use is told before anything starts.

    Parameters
    ----------
    host
        Address or name; it may be an IPv6 one.
    port
        0 for any that is free.

    Raises
    ------
    StopError
        If it cannot be: the port is in use, or the address is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _name, address = found[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StopError(f"web.host: {host}: {error.strerror or error}") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise StopError(
            f"web.port: {host}:{port}: {error.strerror or error}; "
            "set another (CALWATCH_WEB__PORT), or none for no page"
        ) from error
    return made


async def serve(app: ASGIApp, listening: socket.socket, stop: asyncio.Event) -> None:
    """Answer requests until told to stop.

    Parameters
    ----------
    app
        The application.
    listening
        From `listen`. It is closed at the end only, so that after a failure the same can serve on.
    stop
        Set when the daemon ends.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=200,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = _Server(config)
    host, port = listening.getsockname()[:2]
    structlog.get_logger("calwatch").info("page", host=host, port=port)
    # uvicorn closes the sockets it is given.
    serving = asyncio.create_task(server.serve(sockets=[listening.dup()]))
    ending = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([serving, ending], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        ending.cancel()
        if stop.is_set():
            listening.close()
        if not serving.done():
            serving.cancel()
            await asyncio.wait([serving])
