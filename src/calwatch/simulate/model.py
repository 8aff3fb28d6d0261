"""What is asked of the simulator for one exposure, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONTROLLER = "O"
"""Controller of every simulated exposure: the observatory control system."""


@dataclass(frozen=True, slots=True)
class SimulatedExposure:
    """One exposure as the observatory would describe it."""

    exposure_id: int
    obs_id: str
    day_obs: int
    seq_num: int
    observation_type: str
    """``bias``, ``dark`` or ``flat``."""
    reason: str
    program: str
    group: str
    physical_filter: str
    band: str
    exposure_time: float
    dark_time: float
    """Seconds."""
    begin_mjd: float
    """TAI."""
    electrons: float
    """Level at the centre of the detector that the lamp was set to, e-; 0 without light."""
    session: str
    """``generation 1``, ``generation 2``, ``night 1``, …"""
    night: int
    """Number of the night, from 1; 0 for calibration sessions."""
    current: int
    """Place in its set, from 1."""
    maximum: int
    """Size of its set."""
    spots: float = 0.0
    """e- in the spots of light that are projected on it; 0 without any."""

    @property
    def end_mjd(self) -> float:
        """End of the exposure, TAI."""
        return self.begin_mjd + self.dark_time / 86_400.0


@dataclass(frozen=True, slots=True)
class BiasShiftEffect:
    """A step of the bias level over some rows of one amplifier, in readout order."""

    first_row: int
    end_row: int
    adu: float


@dataclass(frozen=True, slots=True)
class FrameEffects:
    """What faults do to the pixels of one frame; amplifiers by name."""

    noise_factor: Mapping[str, float] = field(default_factory=dict)
    gain_factor: Mapping[str, float] = field(default_factory=dict)
    level_jump: Mapping[str, float] = field(default_factory=dict)
    """ADU."""
    bias_shift: Mapping[str, tuple[BiasShiftEffect, ...]] = field(default_factory=dict)
    stuck: Mapping[str, int] = field(default_factory=dict)
    """ADU: a dead amplifier gives this number everywhere."""
    leak_rate: float = 0.0
    """e-/s of stray light while the exposure lasts."""
    lamp_factor: float = 1.0
    hot_pixels: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Number and e-/s of pixels that have become hot; where they lie follows from the seed."""
    lost_charge: Mapping[str, float] = field(default_factory=dict)
    """Charge lost per serial transfer besides what is always lost."""
    more_crosstalk: Mapping[str, float] = field(default_factory=dict)
    """What each source gives to all others besides what it always does."""


@dataclass(frozen=True, slots=True)
class FileEffects:
    """What faults do to the file of one frame."""

    header: Mapping[str, object] = field(default_factory=dict)
    """Keywords to overwrite."""
    drop_segments: tuple[str, ...] = ()
    """Names of amplifiers whose HDU is left out."""
    keep_fraction: float = 1.0
    """Share of the file's bytes that remain."""
