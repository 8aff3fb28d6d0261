"""Jobs on a topic come back as they were."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.job import Member
from calwatch.errors import RecordError

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from fakes import make_curve_job, make_job


def test_a_job_comes_back_as_it_was() -> None:
    codec, job = JobCodec(), make_job(3, detector=94)
    assert codec.load(codec.dump(job)) == job


def test_a_time_that_is_not_known_stays_so() -> None:
    codec, job = JobCodec(), make_job(end_tai=math.nan)
    back = codec.load(codec.dump(job))
    assert math.isnan(back.exposure.end_tai)
    assert replace(back.exposure, end_tai=0.0) == replace(job.exposure, end_tai=0.0)


MESSAGE_BYTES = 1_048_576
"""What aiokafka and brokers take as they come."""


def test_the_job_of_a_curve_comes_back_and_is_no_larger_than_kafka_takes() -> None:
    codec, job = JobCodec(), make_curve_job(30)
    content = codec.dump(job)
    assert len(content) < 0.55 * MESSAGE_BYTES
    back = codec.load(content)
    assert back == job
    assert [type(member) for member in back.members[:1]] == [Member]


def test_a_number_that_is_none_stays_so() -> None:
    codec, job = JobCodec(), make_curve_job(1)
    amps = {"C00": {"PAIR_MEAN": math.nan, "PAIR_VARIANCE": None}, "C01": {}}
    arrays = {"covariances": [[[math.nan, 1.5], [0.0, -2.0]]]}
    [point] = job.earlier
    odd = replace(job, earlier=(replace(point, amps=amps, arrays=arrays),), why_not="why not")
    back = codec.load(codec.dump(odd))
    assert (back.why_not, back.members) == (odd.why_not, odd.members)
    [found] = back.earlier
    assert math.isnan(found.amps["C00"]["PAIR_MEAN"])
    assert (found.amps["C00"]["PAIR_VARIANCE"], found.amps["C01"]) == (None, {})
    values = np.asarray(found.arrays["covariances"], np.float64)
    np.testing.assert_array_equal(values, arrays["covariances"])


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
