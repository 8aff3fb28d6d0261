"""One piece of work: everything a worker needs to judge one detector of one exposure."""

from __future__ import annotations

from dataclasses import dataclass

from calwatch.butler.model import Chain, ExposureRecord, RawDataset


@dataclass(frozen=True, slots=True)
class Job:
    """One exposure and detector. Plain data: it crosses a process border."""

    exposure: ExposureRecord
    calib_type: str
    """``bias``, ``dark`` or ``flat``: which tests apply."""
    detector: int
    raw: RawDataset
    chain: Chain
