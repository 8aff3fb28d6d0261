"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, in a thread of their own.

A thread, because it must be able to say that the event loop stands still. The page is another
server: this one also runs where there is no page, such as in the workers of a fleet.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app

from calwatch.errors import StopError
from calwatch.service.health import Report

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ANY_HOST = "0.0.0.0"  # noqa: S104  (Prometheus and the kubelet ask from other hosts)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 30
    """Seconds after which a connection that says nothing is closed."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's)
        """Log nothing: somebody asks every few seconds."""


def answers(
    report: Callable[[], Report], registry: CollectorRegistry = REGISTRY
) -> WSGIApplication:
    """Return the application.

    Parameters
    ----------
    report
        Gives the state of the daemon.
    registry
        Whose metrics are shown.
    """
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            shown: Iterable[bytes] = metrics(environ, start)
            return shown
        if path in ("/healthz", "/readyz"):
            found = report()
            good = found.healthy if path == "/healthz" else found.ready
            status = "200 OK" if good else "503 Service Unavailable"
            body = json.dumps(found.document(), indent=1) + "\n"
            start(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
            return [body.encode()]
        start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"/metrics, /healthz and /readyz are here\n"]

    return answer


def serve_answers(app: WSGIApplication, port: int, host: str = ANY_HOST) -> WSGIServer:
    """Serve in a thread that ends with the process.

    Parameters
    ----------
    app
        From `answers`.
    port
        0 for any that is free.
    host
        Where to listen.

    Raises
    ------
    StopError
        If the port is in use.
    """
    try:
        server = make_server(host, port, app, _Server, _Quiet)
    except OSError as error:
        raise StopError(
            f"metrics_port: {host}:{port}: {error.strerror or error}; set another "
            "(CALWATCH_METRICS_PORT), or none"
        ) from error
    threading.Thread(target=server.serve_forever, name="calwatch-answers", daemon=True).start()
    return server
