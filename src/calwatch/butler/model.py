"""What the Butler says, as plain data that can cross a process border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ExposureRecord:
    """One exposure dimension record."""

    instrument: str
    exposure_id: int
    obs_id: str
    observation_type: str
    observation_reason: str
    physical_filter: str
    band: str
    day_obs: int
    seq_num: int
    exposure_time: float
    dark_time: float
    """Seconds."""
    science_program: str
    begin_tai: float
    end_tai: float
    """TAI as Modified Julian Date; NaN if the record has no timespan."""
    end_utc: datetime | None
    """The same end in UTC (aware): the timestamp of every metric of this exposure."""


@dataclass(frozen=True, slots=True)
class RawDataset:
    """One raw file of one detector."""

    exposure_id: int
    detector: int
    uuid: str
    run: str
    uri: str


@dataclass(frozen=True, slots=True)
class PhotodiodeDataset:
    """What the photodiode saw of one exposure."""

    exposure_id: int
    uuid: str
    run: str
    uri: str
    """Empty where the datastore has no file."""


@dataclass(frozen=True, slots=True)
class CertifiedDataset:
    """One certified calibration and why it applies."""

    calib_type: str
    detector: int | None
    uuid: str
    run: str
    collection: str
    """The CALIBRATION collection in which it is certified."""
    begin_tai: float | None
    end_tai: float | None
    """Validity range as TAI MJD; None where open."""
    uri: str
    physical_filter: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """The certified chain of one exposure and one detector."""

    collection: str
    """The chain that was searched, such as ``LATISS/calib``."""
    datasets: Mapping[str, CertifiedDataset]
    """By calibration type; a type that was searched and not found is absent here."""
    missing: Mapping[str, str]
    """Types that gave nothing, with the reason (``no dark certified for …``, overlap, …)."""
    fingerprint: str
    """SHA-256 (first 16 hex digits) over type, UUID, RUN, collection and validity of each entry."""
