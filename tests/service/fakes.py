"""Results, exposures and jobs without pixels, for the tests of the ledger and the daemon.

A module rather than fixtures, because worker processes must be able to import the work.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from calwatch.arrivals.job import Job, Member
from calwatch.butler.model import (
    CertifiedDataset,
    Chain,
    ExposureRecord,
    PhotodiodeDataset,
    RawDataset,
)
from calwatch.errors import LimitsError, RawError, UnreachableFileError
from calwatch.verify.model import (
    AmpResult,
    DetectorResult,
    ExposureResult,
    TestResult,
    Verdict,
    algorithm_of,
    worst,
)
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.needs import NEEDS

TestResult.__test__ = False
AMPS = tuple(f"C{n:02d}" for n in (*range(10, 18), *range(7, -1, -1)))
NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def make_exposure(number: int = 1, instrument: str = "LATISS", kind: str = "bias", **changes):
    """Return one exposure record; higher numbers are later."""
    fields = {
        "instrument": instrument,
        "exposure_id": 2026112000000 + number,
        "obs_id": f"AT_O_20261120_{number:06d}",
        "observation_type": kind,
        "observation_reason": kind,
        "physical_filter": "empty~empty",
        "band": "unknown",
        "day_obs": 20261120,
        "seq_num": number,
        "exposure_time": 0.0,
        "dark_time": 0.05,
        "science_program": "BLOCK-1",
        "begin_tai": 61000.0 + number / 1000,
        "end_tai": 61000.0005 + number / 1000,
        "end_utc": NOON + timedelta(seconds=30 * number),
    }
    return ExposureRecord(**{**fields, **changes})


def make_raw(exposure: ExposureRecord, detector: int = 0) -> RawDataset:
    """Return the raw file of one detector."""
    name = f"{exposure.exposure_id}-{detector}"
    return RawDataset(exposure.exposure_id, detector, f"raw-{name}", "raw/all", f"/raw/{name}.fits")


def make_chain(fingerprint: str = "f0") -> Chain:
    """Return a chain with one certified bias."""
    bias = CertifiedDataset(
        "bias", 0, f"bias-{fingerprint}", "run", "certified", 60000.0, None, "/bias.fits"
    )
    return Chain("LATISS/calib", {"bias": bias}, {}, fingerprint)


def make_job(number: int = 1, detector: int = 0, fingerprint: str = "f0", **changes) -> Job:
    """Return one job."""
    exposure = make_exposure(number, **changes)
    raw = make_raw(exposure, detector)
    return Job(exposure, exposure.observation_type, detector, raw, make_chain(fingerprint))


def make_curve_job(pairs: int, detector: int = 0) -> Job:
    """Return the job of a photon transfer curve, with what the ledger has of its pairs."""
    digits = random.Random(pairs)
    flats = [make_exposure(number + 1, kind="flat") for number in range(2 * pairs)]
    members = tuple(Member(flat, make_raw(flat, detector)) for flat in flats)
    need = NEEDS["ptc"]

    def number() -> float:
        return float(f"{digits.gauss(0.0, 100.0):.7g}")

    points = tuple(
        Earlier(
            flat.exposure_id,
            detector,
            1.0,
            {amp: {metric: digits.gauss(1e4, 1e3) for metric in need.metrics} for amp in AMPS},
            {"covariances": [[[number() for _ in range(8)] for _ in range(8)] for _ in AMPS]},
        )
        for flat in flats[1::2]
    )
    return Job(flats[-1], "ptc", detector, members[-1].raw, make_chain(), members, points)


def make_result(
    job: Job,
    verdict: Verdict = Verdict.PASS,
    reason: str = "",
    metrics: Sequence[str] = ("MEAN", "NOISE"),
    value: float = 0.1,
    amps: Sequence[str] = AMPS,
) -> DetectorResult:
    """Return one result; amplifier ``i`` has ``value + i`` for every metric."""
    test = TestResult("NOISE", verdict, value, (None, 10.0), "electron", "4.2", "", True, reason)
    chain = {
        kind: {
            "uuid": entry.uuid,
            "run": entry.run,
            "collection": entry.collection,
            "begin_tai": entry.begin_tai,
            "end_tai": entry.end_tai,
        }
        for kind, entry in job.chain.datasets.items()
    }
    return DetectorResult(
        instrument=job.exposure.instrument,
        exposure_id=job.exposure.exposure_id,
        detector=job.detector,
        detector_name=f"R00_S{job.detector:02d}",
        calib_type=job.calib_type,
        verdict=verdict,
        reason=reason,
        amps={
            name: AmpResult(dict.fromkeys(metrics, value + i), {"NOISE": test}, verdict)
            for i, name in enumerate(amps)
        },
        detector_metrics={"SHIFTS": value},
        detector_tests={},
        provenance={
            "chain": chain,
            "fingerprint": job.chain.fingerprint,
            "collection": job.chain.collection,
            "raw": {"uuid": job.raw.uuid, "uri": job.raw.uri},
            "steps_applied": [],
            "steps_not_applied": {},
        },
        algorithm=algorithm_of(job.calib_type),
        limits="dmtn101 2026-11-22",
    )


def unknown(job: Job, reason: str) -> DetectorResult:
    """Return an UNKNOWN result."""
    return make_result(job, Verdict.UNKNOWN, reason, amps=())


def merge(results: Sequence[DetectorResult], exposure: ExposureRecord) -> ExposureResult:
    """Merge verdicts and nothing else."""
    counts = {v.value: sum(r.verdict is v for r in results) for v in Verdict}
    return ExposureResult(
        exposure.instrument,
        exposure.exposure_id,
        results[0].calib_type,
        worst([r.verdict for r in results]),
        "",
        counts,
        {"MEAN": 1.0},
        {},
        tuple(f"{r.detector_name} C00 NOISE" for r in results if r.verdict is Verdict.FAIL),
    )


def calib_types(instrument: str, calib_type: str) -> tuple[str, ...]:
    """Every type of exposure needs a bias."""
    return ("bias",)


class FakeRepository:
    """A Butler that lives in memory; its parts may be changed while the daemon runs."""

    def __init__(self) -> None:
        self.records: list[ExposureRecord] = []
        self.raw_files: list[RawDataset] = []
        self.photodiode_files: list[PhotodiodeDataset] = []
        self.fingerprint = "f0"
        self.errors: list[Exception] = []
        self.chain_errors: dict[int, Exception] = {}
        self.looks = 0

    def take(self, number: int, detectors: Sequence[int] = (0,), **changes) -> ExposureRecord:
        """Have one exposure taken."""
        exposure = make_exposure(number, **changes)
        self.records.append(exposure)
        self.raw_files += [make_raw(exposure, detector) for detector in detectors]
        return exposure

    def refresh(self) -> None:
        """Remember nothing, as ever."""

    def exposures(
        self,
        instrument,
        *,
        exposure_ids=None,
        where="",
        observation_types=None,
        since_day_obs=None,
    ):
        self.looks += 1
        if self.errors:
            raise self.errors.pop(0)
        return [
            e
            for e in self.records
            if e.instrument == instrument
            and (exposure_ids is None or e.exposure_id in exposure_ids)
            and (observation_types is None or e.observation_type in observation_types)
            and (since_day_obs is None or e.day_obs >= since_day_obs)
        ]

    def raws(self, instrument, exposure_ids):
        wanted = set(exposure_ids)
        return [raw for raw in self.raw_files if raw.exposure_id in wanted]

    def photodiodes(self, instrument, exposure_ids):
        wanted = set(exposure_ids)
        return [one for one in self.photodiode_files if one.exposure_id in wanted]

    def chains(self, exposure, calib_types, detectors, collection=None):
        if exposure.exposure_id in self.chain_errors:
            raise self.chain_errors[exposure.exposure_id]
        return {detector: make_chain(self.fingerprint) for detector in detectors}


def work(job: Job) -> DetectorResult:
    """Judge by the exposure's reason word: what is written there happens."""
    word, _, argument = job.exposure.observation_reason.partition(":")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "die_once" and not Path(argument).exists():
        Path(argument).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "numbers" and not all(point.amps and point.arrays for point in job.earlier):
        return make_result(job, Verdict.FAIL, "a pair came without its numbers")
    if word == "sleep":
        time.sleep(float(argument))
    if word == "raw":
        raise RawError(argument)
    if word == "away":
        raise UnreachableFileError(argument)
    if word == "away_once" and not Path(argument).exists():
        Path(argument).touch()
        raise UnreachableFileError(f"{argument} is not there yet")
    if word == "bug":
        raise ZeroDivisionError(argument)
    if word == "odd":
        return replace(make_result(job), provenance={"fingerprint": "f0", "odd": {1, 2}})
    if word == "fail":
        return make_result(job, Verdict.FAIL, "NOISE too high")
    if word == "no_chain" and job.chain.fingerprint == "f0":
        return make_result(job, Verdict.UNKNOWN, "no bias certified")
    return make_result(job)


def bad_limits() -> None:
    """Set up a worker, in vain."""
    raise LimitsError("limits.yaml: line 3: no such test")


def whoami(job: tuple[int, int]) -> tuple[int, int, int]:
    """Return (worker, detector, number) of a job (detector, number)."""
    time.sleep(0.01)
    return (os.getpid(), *job)


def unpicklable(job: object) -> object:
    """Return what cannot cross a process border."""
    return lambda: None


_word = ""


def set_word(word: str) -> None:
    """Set up a worker, or renew it, with a word that `say` gives back."""
    global _word
    if word == "refused":
        raise LimitsError("no such word")
    _word = word


def say(job: int) -> tuple[int, str]:
    """Return (worker, word); a negative job kills the worker, a large one takes its time."""
    if job < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3 if job >= 100 else 0)
    return os.getpid(), _word
