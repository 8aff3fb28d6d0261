"""The numbers that some sets are made of: read from the ledger when a worker is to have them."""

from __future__ import annotations

from dataclasses import replace

from calwatch.arrivals.job import Job
from calwatch.ledger.sets import earlier_numbers
from calwatch.ledger.store import Ledger
from calwatch.verify.sets.needs import NEEDS, need_name


def with_numbers(ledger: Ledger, job: Job) -> Job:
    """Return a job with what the ledger has of the judgements that it is made of.

    Not before a worker is to have it: those of a photon transfer curve are 17 kB a pair, and a look
    finds the curves of all detectors at once.

    Raises
    ------
    LedgerError
        If the ledger is out of reach.
    """
    if not job.earlier:
        return job
    need = NEEDS[need_name(job.calib_type, job.exposure.observation_type.strip().lower())]
    found = earlier_numbers(
        ledger,
        job.exposure.instrument,
        {point.exposure_id: point.exposure_time for point in job.earlier},
        need.metrics,
        need.numbers_of,
        arrays=need.arrays,
        detectors=[job.detector],
    )
    return replace(job, earlier=tuple(found.get(job.detector, ())))
