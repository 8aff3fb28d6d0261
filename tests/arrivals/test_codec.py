"""Jobs on a topic come back as they were."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from calwatch.arrivals.codec import JobCodec
from calwatch.arrivals.job import Job, Member
from calwatch.butler.model import PhotodiodeDataset
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


def test_the_job_of_a_curve_comes_back_without_numbers_and_is_small() -> None:
    codec, job = JobCodec(), replace(make_curve_job(400), why_not="why not")
    content = codec.dump(job)
    assert len(content) < 0.5 * MESSAGE_BYTES
    back = codec.load(content)
    points = tuple(replace(point, amps={}, arrays={}) for point in job.earlier)
    assert back == replace(job, earlier=points)
    assert [type(member) for member in back.members[:1]] == [Member]


def test_what_the_photodiode_saw_comes_along() -> None:
    codec, job = JobCodec(), make_curve_job(4)
    ids = [member.exposure.exposure_id for member in job.members]
    seen = tuple(PhotodiodeDataset(number, f"u{number}", "run", "s3://b/pd.fits") for number in ids)
    pairs = tuple(zip(ids[::2], ids[1::2], strict=True))
    job = replace(job, earlier=(), photodiodes=seen, pairs=pairs)
    assert codec.load(codec.dump(job)) == job
    # One that was left there by an earlier version has none.
    content = json.loads(codec.dump(job))
    del content["photodiodes"], content["pairs"]
    assert codec.load(json.dumps(content).encode()) == replace(job, photodiodes=(), pairs=())


def test_who_expects_the_numbers_refuses_a_job_without() -> None:
    """A worker of an older version must not judge a curve of no pairs."""
    content = json.loads(JobCodec().dump(make_curve_job(2)))
    with pytest.raises(ValidationError, match="earlier"):
        TypeAdapter(Job).validate_python(content)


@pytest.mark.parametrize("earlier", [3, [3], [["a", 1.0]], [[1, 2.0, 3.0]], {"a": 1}])
def test_what_names_no_judgements_is_refused(earlier: object) -> None:
    content = json.loads(JobCodec().dump(make_job()))
    with pytest.raises(RecordError, match="not a job"):
        JobCodec().load(json.dumps({**content, "earlier": earlier}).encode())


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
