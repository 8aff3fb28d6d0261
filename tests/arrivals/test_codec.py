"""Jobs on a topic come back as they were."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from calwatch.arrivals.codec import JobCodec
from calwatch.errors import RecordError

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from fakes import make_job


def test_a_job_comes_back_as_it_was() -> None:
    codec, job = JobCodec(), make_job(3, detector=94)
    assert codec.load(codec.dump(job)) == job


def test_a_time_that_is_not_known_stays_so() -> None:
    codec, job = JobCodec(), make_job(end_tai=math.nan)
    back = codec.load(codec.dump(job))
    assert math.isnan(back.exposure.end_tai)
    assert replace(back.exposure, end_tai=0.0) == replace(job.exposure, end_tai=0.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "not a job"), (b"\xff", "not a job"), (b"[]", "not a job"), (b"null", "not a job")],
)
def test_anything_else_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        JobCodec().load(content)


def test_the_field_that_is_wrong_is_named() -> None:
    codec = JobCodec()
    content = json.loads(codec.dump(make_job()))
    content["exposure"]["day_obs"] = "yesterday"
    with pytest.raises(RecordError, match=r"exposure\.day_obs"):
        codec.load(json.dumps(content).encode())


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff"])
def test_hostile_json_is_no_job_and_no_crash(content: bytes) -> None:
    with pytest.raises(RecordError, match="not a job"):
        JobCodec().load(content)
