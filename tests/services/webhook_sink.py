"""A web server on loopback that keeps what is posted to it, as Slack and its kin would take it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from running import free_port


@dataclass(frozen=True)
class Post:
    path: str
    content: Any
    """Of JSON what it says; else the bytes."""


class WebhookSink:
    """Keeps every post; says no, nothing or nothing yet when it is told to."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.status = 200
        self.go_on = threading.Event()
        """While it is clear, what is posted is kept but not answered."""
        self.go_on.set()
        self.port = free_port()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = sink.status
                if 200 <= status < 300:
                    sink.posts.append(Post(self.path, _content(body)))
                sink.go_on.wait(60)
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int, seconds: float = 60.0) -> list[Post]:
        """Return the posts once there are so many."""
        deadline = time.monotonic() + seconds
        while len(self.posts) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.posts)} posts of {count}: {self.posts}")
            time.sleep(0.05)
        return list(self.posts)

    def stop(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


def _content(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@contextmanager
def sink() -> Iterator[WebhookSink]:
    server = WebhookSink()
    try:
        yield server
    finally:
        server.stop()
