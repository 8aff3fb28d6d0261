"""What a worker notes beside the result, by the real judge on real files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calwatch.service.judge import Judge
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.notes import READ, WORKER_STEPS, take_notes
from calwatch.service.worker import Done, Failed, _answer

BIAS = (1, "bias", 1)
CUT_OFF = (3, "bias", 8)


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    """Forget what other tests of this process have noted."""
    take_notes()


def judge(nights, **changes) -> Judge:
    return Judge(JudgeSettings(camera=nights.camera_file, **changes))


def test_every_step_of_a_detector_is_timed(nights) -> None:
    answer = _answer(judge(nights), nights.jobs[BIAS])
    assert isinstance(answer, Done)
    assert set(answer.notes.seconds) == set(WORKER_STEPS)
    assert min(answer.notes.seconds.values()) > 0
    assert not answer.notes.failures
    assert take_notes().seconds == {}  # nothing is left for the next job


def test_what_makes_a_verdict_unknown_is_named(nights) -> None:
    answer = _answer(judge(nights), nights.jobs[CUT_OFF])
    assert isinstance(answer, Done)
    assert dict(answer.notes.failures) == {"RawError": 1}
    assert set(answer.notes.seconds) == {READ}


def test_a_raised_error_is_not_noted_twice(nights) -> None:
    job = nights.jobs[BIAS]
    away = replace(job, raw=replace(job.raw, uri="/nowhere/raw.fits"))
    answer = _answer(judge(nights, wait_for_files=True), away)
    assert isinstance(answer, Failed)
    assert not answer.notes.failures  # whoever gets the error counts it
    answer = _answer(judge(nights), away)
    assert dict(answer.notes.failures) == {"UnreachableFileError": 1}
