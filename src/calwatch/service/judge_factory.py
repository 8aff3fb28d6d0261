"""What the daemon judges with, without what judges: no kernel is imported in its own process.

The workers' functions are named here and imported there, so that workers can be started first and
set themselves up while the daemon opens ledger and Butler.
"""

from __future__ import annotations

from calwatch.arrivals.job import Job
from calwatch.camera.model import Camera
from calwatch.isr.switches import needed_calibrations
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.judging import JudgeFactory
from calwatch.service.limits_in_force import LimitsInForce
from calwatch.service.unmeasured import unmeasured
from calwatch.verify.limits import Limits
from calwatch.verify.merge import merge_exposure
from calwatch.verify.model import DetectorResult
from calwatch.verify.sets.needs import NEEDS, needed_of_set


def judge_factory(settings: JudgeSettings, in_force: LimitsInForce | None = None) -> JudgeFactory:
    """Return the functions the daemon judges with.

    Parameters
    ----------
    settings
        What workers need to know.
    in_force
        The limits; those that the settings name, for good, if None.

    Raises
    ------
    LimitsError
        If the limits are wrong.
    """
    limits = in_force or LimitsInForce(settings.limits)
    return JudgeFactory(
        work=work,
        calib_types=lambda instrument, calib_type: _needed(
            settings.camera_of(instrument), calib_type
        ),
        unknown=lambda job, reason: unmeasured(job, reason, settings, limits.current),
        merge=lambda results, exposure: merge_exposure(results, limits.current, exposure.end_utc),
        initializer=start_worker,
        arguments=worker_arguments(settings, limits.current),
        renew=renew_worker,
    )


def _needed(camera: Camera, name: str) -> tuple[str, ...]:
    """Return the certified calibrations of a type of exposure, or of a set by its name."""
    return needed_of_set(camera, name) if name in NEEDS else needed_calibrations(camera, name)


def worker_arguments(settings: JudgeSettings, limits: Limits) -> tuple[JudgeSettings, Limits]:
    """Return what a worker is set up with.

    It is given the limits and not only their name: all judge by the same, whatever becomes of the
    file.
    """
    return settings, limits


def start_worker(settings: JudgeSettings, limits: Limits) -> None:
    """Set up the judge of a worker process."""
    from calwatch.service import judge

    judge.start_worker(settings, limits)


def renew_worker(_settings: JudgeSettings, limits: Limits) -> None:
    """Have a worker process judge by other limits from now on."""
    from calwatch.service import judge

    judge.renew_worker(limits)


def work(job: Job) -> DetectorResult:
    """Judge one job in a worker process.

    Raises
    ------
    CalwatchError
        As `calwatch.service.judge.Judge`.
    """
    from calwatch.service import judge

    return judge.work(job)
