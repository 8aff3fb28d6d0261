"""The exposure of a job as verdicts know it, and the result of a job that was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import UNMEASURED
from calwatch.camera.model import Camera
from calwatch.service.judge_settings import JudgeSettings
from calwatch.verify.exposure import Exposure, unknown_result
from calwatch.verify.limits import Limits
from calwatch.verify.model import DetectorResult


def unmeasured(job: Job, reason: str, settings: JudgeSettings, limits: Limits) -> DetectorResult:
    """Return the UNKNOWN result of a job of which nothing could be measured."""
    camera = settings.camera_of(job.exposure.instrument)
    names = {detector.number: detector.name for detector in camera.detectors}
    name = names.get(job.detector, str(job.detector))
    chain = replace(job.chain, fingerprint=job.chain.fingerprint + UNMEASURED)
    exposure = exposure_of(replace(job, chain=chain), camera, limits)
    return unknown_result(exposure, job.detector, name, reason, limits)


def exposure_of(
    job: Job,
    camera: Camera,
    limits: Limits,
    *,
    sequencer: Mapping[str, Any] | None = None,
    missing: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
) -> Exposure:
    """Return what a verdict needs to know of the exposure of a job."""
    return Exposure(
        instrument=job.exposure.instrument,
        exposure_id=job.exposure.exposure_id,
        calib_type=job.calib_type,
        end_utc=job.exposure.end_utc,
        observation_reason=job.exposure.observation_reason,
        sequencer=sequencer or {},
        missing=job.chain.missing if missing is None else missing,
        optional=camera.optional_calibrations,
        provenance={
            "collection": job.chain.collection,
            "fingerprint": job.chain.fingerprint,
            "chain": {name: asdict(dataset) for name, dataset in job.chain.datasets.items()},
            "physical_filter": job.exposure.physical_filter,
            "limits_digest": limits.digest,
            "raw": {"uuid": job.raw.uuid, "run": job.raw.run, "uri": job.raw.uri},
            **_members(job),
        },
        warnings=tuple(warnings),
    )


def _members(job: Job) -> dict[str, Any]:
    """Return the exposures of a set, and where their files are."""
    if not job.members:
        return {}
    return {
        "observation_type": job.exposure.observation_type.strip().lower(),
        "members": [member.exposure.exposure_id for member in job.members],
        "raws": [member.raw.uri for member in job.members],
        # The columns of arrays such as residuals: one for each judgement that it is made of.
        **({"made_of": [point.exposure_id for point in job.earlier]} if job.earlier else {}),
    }
