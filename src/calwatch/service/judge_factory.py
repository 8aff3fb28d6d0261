"""What the daemon judges with, without what judges: no kernel is imported in its own process.

The workers' functions are named here and imported there, so that workers can be started first and
set themselves up while the daemon opens ledger and Butler.
"""

from __future__ import annotations

from calwatch.arrivals.job import Job
from calwatch.isr.switches import needed_calibrations
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.judging import JudgeFactory
from calwatch.service.unmeasured import unmeasured
from calwatch.verify.limits import load_limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult


def judge_factory(settings: JudgeSettings) -> JudgeFactory:
    """Return the functions the daemon judges with.

    Raises
    ------
    LimitsError
        If the limits are wrong.
    """
    limits = load_limits(settings.limits)
    return JudgeFactory(
        work=work,
        calib_types=lambda instrument, calib_type: needed_calibrations(
            settings.camera_of(instrument), calib_type
        ),
        unknown=lambda job, reason: unmeasured(job, reason, settings, limits),
        merge=lambda results, exposure: merge_exposure(results, limits, exposure.end_utc),
        initializer=start_worker,
        arguments=(settings,),
    )


def start_worker(settings: JudgeSettings) -> None:
    """Set up the judge of a worker process."""
    from calwatch.service import judge

    judge.start_worker(settings)


def work(job: Job) -> DetectorResult:
    """Judge one job in a worker process.

    Raises
    ------
    CalwatchError
        As `calwatch.service.judge.Judge`.
    """
    from calwatch.service import judge

    return judge.work(job)
