"""Collection names of a simulated repository, by DMTN-222 §2."""

from __future__ import annotations

from dataclasses import dataclass

TAGS = {1: "initialSet", 2: "freshSet"}
"""Generation to tag."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of certified calibrations."""

    number: int
    instrument: str
    day_obs: int
    """Day of the session it is built from."""

    @property
    def ticket_chain(self) -> str:
        """CHAINED collection of its ticket."""
        return f"{self.instrument}/calib/DM-{10_000 + self.number}"

    def run(self, calib_type: str) -> str:
        """RUN collection that holds the calibrations of one type."""
        return f"{self._base}/{calib_type}Gen.{self.day_obs}a"

    def certified(self, calib_type: str) -> str:
        """CALIBRATION collection in which they are certified."""
        return f"{self._base}/{calib_type}.{self.day_obs}a"

    @property
    def _base(self) -> str:
        return f"{self.ticket_chain}/{TAGS[self.number]}"


def raw_run(instrument: str) -> str:
    """RUN collection of the raws."""
    return f"{instrument}/raw/all"


def top_chain(instrument: str) -> str:
    """CHAINED collection in which calibrations are looked up."""
    return f"{instrument}/calib"
