"""The page served for a browser."""

from __future__ import annotations

import asyncio
import threading

from calwatch.web.serve import listen, serve


class Served:
    """The page, served by a loop of its own in a thread, as the daemon serves it."""

    def __init__(self, app, port: int = 0) -> None:
        self._app = app
        self._listening = listen("127.0.0.1", port)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(serve(self._app, self._listening, self._stop))
        finally:
            self._loop.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
