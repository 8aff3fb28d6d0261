"""Which certified calibration applies to an exposure: the Butler's rule, in plain data.

Collections are searched in the order of the flattened chain and the first that holds a match wins,
for each calibration type and data ID apart. In a CALIBRATION collection a dataset matches if its
validity range [begin, end) overlaps the exposure's timespan; in a RUN or TAGGED collection it
always does. Two different matches in one collection give no answer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from calwatch.butler.model import CertifiedDataset
from calwatch.butler.times import tai_text
from calwatch.errors import ChainError


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, TAI MJD."""

    begin: float
    end: float

    def __str__(self) -> str:
        return tai_text(self.begin)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dataset of the right type and data ID somewhere in the chain."""

    dataset: CertifiedDataset
    """Its URI is empty: that is asked for the chosen one only."""

    def applies(self, span: Span) -> bool:
        """Whether the validity range overlaps the exposure's timespan.

        An exposure without length (a bias) is an instant, which the begin of a range includes and
        its end does not.
        """
        begin = -math.inf if self.dataset.begin_tai is None else self.dataset.begin_tai
        end = math.inf if self.dataset.end_tai is None else self.dataset.end_tai
        if span.begin >= span.end:
            return begin <= span.begin < end
        return begin < span.end and span.begin < end

    def distance(self, span: Span) -> float:
        """Days between the validity range and the exposure; 0 if it applies."""
        if self.applies(span):
            return 0.0
        begin, end = self.dataset.begin_tai, self.dataset.end_tai
        if begin is not None and begin >= span.end:
            return begin - span.end
        return max(0.0, span.begin - end) if end is not None else 0.0

    def __str__(self) -> str:
        data = self.dataset
        return f"{data.calib_type} {data.uuid} in {data.collection}, valid {validity_text(data)}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One candidate and why it was or was not chosen."""

    dataset: CertifiedDataset
    chosen: bool
    reason: str


def choose(candidates: Sequence[Candidate], span: Span) -> Candidate | None:
    """Return the first candidate in chain order that applies, or None.

    Parameters
    ----------
    candidates
        All of one type and one data ID, in chain order.
    span
        The exposure's timespan.

    Raises
    ------
    ChainError
        If two different datasets apply in the same collection; the message names both.
    """
    first: Candidate | None = None
    for candidate in candidates:
        if first is not None and candidate.dataset.collection != first.dataset.collection:
            break
        if not candidate.applies(span):
            continue
        if first is None:
            first = candidate
        elif candidate.dataset.uuid != first.dataset.uuid:
            raise ChainError(f"overlapping certifications at {span}: {first}; and {candidate}")
    return first


def explain(candidates: Sequence[Candidate], span: Span) -> list[Explanation]:
    """Return every candidate in chain order, each with the reason of its fate."""
    try:
        chosen = choose(candidates, span)
    except ChainError as exc:
        return [Explanation(candidate.dataset, False, str(exc)) for candidate in candidates]
    told = []
    for candidate in candidates:
        if candidate is chosen:
            reason = f"the first in the chain that is valid at {span}"
        elif not candidate.applies(span):
            reason = f"not valid at {span}"
        else:
            reason = "valid, but later in the chain than the one chosen"
        told.append(Explanation(candidate.dataset, candidate is chosen, reason))
    return told


def why_none(
    calib_type: str, where: str, detector: int, candidates: Sequence[Candidate], span: Span
) -> str:
    """Say what exists when nothing applies."""
    if not candidates:
        return f"no {calib_type} certified in {where} for detector {detector}"
    nearest = min(candidates, key=lambda candidate: candidate.distance(span))
    count = f"{len(candidates)} {_plural(calib_type, len(candidates))}"
    return (
        f"{count} certified in {where} for detector {detector}, none valid at {span}; "
        f"nearest: {nearest}"
    )


def fingerprint(datasets: Mapping[str, CertifiedDataset]) -> str:
    """Return 16 hex digits that change if any entry of a chain changes."""
    lines = sorted(
        "|".join(
            (name, data.uuid, data.run, data.collection, repr(data.begin_tai), repr(data.end_tai))
        )
        for name, data in datasets.items()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def validity_text(data: CertifiedDataset) -> str:
    """Return a validity range as text, such as ``[2026-01-01T00:00:00, open) TAI``."""
    begin, end = tai_text(data.begin_tai), tai_text(data.end_tai)
    return "always" if begin == end == "open" else f"[{begin}, {end}) TAI"


def in_chain_order(candidates: Iterable[Candidate], order: Sequence[str]) -> list[Candidate]:
    """Sort candidates by the flattened chain, then by begin of validity and UUID."""
    place = {name: number for number, name in enumerate(order)}

    def key(candidate: Candidate) -> tuple[int, float, str]:
        data = candidate.dataset
        begin = -math.inf if data.begin_tai is None else data.begin_tai
        return place[data.collection], begin, data.uuid

    return sorted(candidates, key=key)


def _plural(word: str, count: int) -> str:
    if count == 1 or (word.endswith("s") and word != "bias"):
        return word
    return "biases" if word == "bias" else f"{word}s"
