"""A server on Java: small, and quick to start once its classes have been read and kept."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from running import Process

OPTIONS = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class JavaProcess(Process):
    """A server that keeps its loaded classes in a file beside its jars at its first orderly end.

    Every later start reads them from there, which takes half the time. Java itself sees whether the
    file still fits the jars, and goes without where it does not.
    """

    def __init__(
        self, home: Path, words: Sequence[object], folder: Path, ready: Callable[[], bool]
    ) -> None:
        super().__init__([], folder, ready)
        self._words = [str(word) for word in words]
        self._kept = home.with_suffix(".classes")
        self._new = home.with_name(f"{home.name}.{uuid.uuid4().hex[:8]}")

    def start(self) -> float:
        """Start it unless it runs; return the seconds until it answered."""
        share = "SharedArchiveFile" if self._kept.exists() else "ArchiveClassesAtExit"
        where = self._kept if self._kept.exists() else self._new
        self.command = ["java", *OPTIONS, f"-XX:{share}={where}", "-Xlog:cds=off", *self._words]
        return super().start()

    def _end(self, sign: signal.Signals) -> None:
        super()._end(sign)
        if self._new.exists():
            if sign == signal.SIGTERM:
                self._new.replace(self._kept)
            self._new.unlink(missing_ok=True)
