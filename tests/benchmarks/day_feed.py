"""Playing a day: exposures are taken and announced at an even pace, in a process of its own."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from day_camera import Observatory
from day_plan import OTHER_EVERY, OTHER_FILES, UNREADABLE_EVERY, Exposure, Notice, notices
from sal import Sal
from whole_camera import INSTRUMENT

SUBNAME = "day"
LATE_SECONDS = 15.0
WAVEFRONT = "WFOODS"


@dataclass(frozen=True)
class Order:
    """What is to be played, and how quickly."""

    observatory: Observatory
    plan: Sequence[Exposure]
    bootstrap: str
    registry_url: str
    seconds: float


@dataclass
class Fed:
    """What was sent."""

    events: Counter[str] = field(default_factory=Counter)
    """By topic."""
    seconds: float = 0.0
    behind: float = 0.0
    """By how many seconds the last exposure was late."""


class Feeder:
    """Sends the events of exposures."""

    def __init__(self, order: Order) -> None:
        self._observatory = order.observatory
        self._sal = Sal({"bootstrap.servers": order.bootstrap}, order.registry_url, SUBNAME)
        self._chance = random.Random(2)
        self._numbers = [d.number for d in order.observatory.camera.detectors]
        self._coming: list[tuple[float, Path, Path]] = []
        self.fed = Fed()

    def play(self, exposure: Exposure) -> None:
        """Take one exposure: what is announced early, its files, and all other events."""
        todo = notices(exposure, self._numbers, self._chance)
        for notice in todo:
            if notice.early:
                self._send(exposure, notice)
        self._sal.flush()
        if any(n.early and n.detector is not None for n in todo):
            time.sleep(0.2)  # the daemon looks, and finds nothing
        for at, to in self._observatory.take(exposure):
            self._coming.append((time.monotonic() + LATE_SECONDS, at, to))
        for notice in todo:
            if not notice.early:
                self._send(exposure, notice)
        self._others(exposure.number)
        self._sal.flush()
        self.bring()

    def bring(self, everything: bool = False) -> None:
        """Bring the files whose time has come."""
        now = time.monotonic()
        for one in list(self._coming):
            when, at, to = one
            if everything or when <= now:
                at.rename(to)
                self._coming.remove(one)

    def _send(self, exposure: Exposure, notice: Notice) -> None:
        obs_id = self._observatory.obs_id(exposure.number)
        if notice.detector is None:
            kind = exposure.kind if exposure.is_calibration else "object"
            self._sal.readout(obs_id, kind.upper())
            self._count("MTCamera", "logevent_endReadout")
            return
        detector = self._observatory.camera.detector(notice.detector)
        component = WAVEFRONT if detector.purpose == "WAVEFRONT" else "MTOODS"
        if notice.failed:
            number = f"{self._observatory.day_obs}{exposure.number:05d}"
            words = ("R??", f"S{detector.number:02d}", 1, "ingest failure: database is locked")
            self._sal.ingested(INSTRUMENT, number, *words, component=component)
        else:
            place = (detector.raft, detector.slot)
            self._sal.ingested(INSTRUMENT, obs_id, *place, component=component)
        self._count(component)

    def _others(self, number: int) -> None:
        if number % OTHER_EVERY == 0:
            name = f"CC_O_{self._observatory.day_obs}_{number:06d}"
            for place in range(OTHER_FILES):
                sensor = f"S{place // 3}{place % 3}"
                self._sal.ingested("LSSTComCam", name, "R22", sensor, component="CCOODS")
                self._count("CCOODS")
        if number % UNREADABLE_EVERY == 0:
            words = ("UNDEF", "??", "R??", "S??", 2, "metadata failure: no header")
            self._sal.ingested(*words)
            self._count("MTOODS")

    def _count(self, component: str, event: str = "logevent_imageInOODS") -> None:
        self.fed.events[f"lsst.{SUBNAME}.{component}.{event}"] += 1


def feed(order: Order) -> Fed:
    """Play all of it."""
    feeder = Feeder(order)
    began = time.monotonic()
    for place, exposure in enumerate(order.plan):
        due = began + place * order.seconds / len(order.plan)
        while (wait := due - time.monotonic()) > 0:
            time.sleep(min(wait, 0.5))
            feeder.bring()
        feeder.play(exposure)
        feeder.fed.behind = time.monotonic() - due
    time.sleep(LATE_SECONDS)
    feeder.bring(everything=True)
    feeder.fed.seconds = time.monotonic() - began
    return feeder.fed
