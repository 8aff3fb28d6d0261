"""The variance of a corrected exposure, without making it where the engine knows what it is of."""

from __future__ import annotations

from calwatch.isr.model import IsrResult
from calwatch.isr.stream.engine import StreamedResult
from calwatch.isr.variance_terms import VarianceTerms, plain_terms


def terms_of_variance(isr: IsrResult) -> VarianceTerms:
    """Return what the variance is the sum of; the reference engine has it of every pixel."""
    if isinstance(isr, StreamedResult):
        return isr.variance_parts.terms(isr.image)
    return plain_terms(isr.variance)
