"""A job as JSON, for the topic that spreads jobs over hosts."""

from __future__ import annotations

import json
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from calwatch.arrivals.job import Job
from calwatch.errors import RecordError
from calwatch.verify.sets.model import Earlier


class JobCodec:
    """Writes and reads jobs; what is read is checked field by field.

    Of the judgements that a set is made of only the exposures are written: whoever reads it finds
    their numbers in the ledger. A reader that expects them refuses it.
    """

    def __init__(self) -> None:
        self._adapter = TypeAdapter(Job)
        self._earlier = TypeAdapter(tuple[tuple[int, float], ...])

    def dump(self, job: Job) -> bytes:
        """Return a job as JSON (with the word NaN for a time that an exposure does not have)."""
        content = self._adapter.dump_python(replace(job, earlier=()), mode="json")
        content["earlier"] = [[point.exposure_id, point.exposure_time] for point in job.earlier]
        return json.dumps(content).encode()

    def load(self, content: bytes) -> Job:
        """Return the job that `dump` wrote, without numbers.

        Raises
        ------
        RecordError
            If it is no job.
        """
        try:
            read = json.loads(content)
            earlier = read.pop("earlier", ()) if isinstance(read, dict) else ()
            job = self._adapter.validate_python(read)
            points = self._earlier.validate_python(earlier)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise RecordError(f"not a job: {place}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not a job: {error}") from error
        return replace(
            job, earlier=tuple(Earlier(number, job.detector, s, {}) for number, s in points)
        )
