"""One piece of work: everything a worker needs to judge one detector of an exposure or a set."""

from __future__ import annotations

from dataclasses import dataclass

from calwatch.butler.model import Chain, ExposureRecord, PhotodiodeDataset, RawDataset
from calwatch.verify.sets.model import Earlier


@dataclass(frozen=True, slots=True)
class Member:
    """One exposure of a set, with its raw file of the detector."""

    exposure: ExposureRecord
    raw: RawDataset


@dataclass(frozen=True, slots=True)
class Job:
    """One exposure, or one set of exposures, and detector. Plain data: it crosses a process border.

    A set is judged under its last exposure.
    """

    exposure: ExposureRecord
    calib_type: str
    """One of `calwatch.verify.metrics.CALIB_TYPES`: which tests apply."""
    detector: int
    raw: RawDataset
    chain: Chain
    members: tuple[Member, ...] = ()
    """All exposures of a set, the oldest first; none for a single exposure."""
    earlier: tuple[Earlier, ...] = ()
    """Earlier judgements that the set is made of, where it needs no pixels: which they are, and
    their numbers as soon as a worker is to have them (`calwatch.service.numbers`)."""
    pairs: tuple[tuple[int, int], ...] = ()
    """Of a sequence: first and second exposure id of each pair."""
    photodiodes: tuple[PhotodiodeDataset, ...] = ()
    """What the photodiode saw of the members, where the light is wanted of it."""
    why_not: str = ""
    """Why the set cannot be measured; empty if it can."""
