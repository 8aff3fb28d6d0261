"""A job as JSON, for the topic that spreads jobs over hosts."""

from __future__ import annotations

import json

from pydantic import TypeAdapter, ValidationError

from calwatch.arrivals.job import Job
from calwatch.errors import RecordError


class JobCodec:
    """Writes and reads jobs; what is read is checked field by field."""

    def __init__(self) -> None:
        self._adapter = TypeAdapter(Job)

    def dump(self, job: Job) -> bytes:
        """Return a job as JSON (with the word NaN for a time that an exposure does not have)."""
        return json.dumps(self._adapter.dump_python(job, mode="json")).encode()

    def load(self, content: bytes) -> Job:
        """Return the job that `dump` wrote.

        Raises
        ------
        RecordError
            If it is no job.
        """
        try:
            return self._adapter.validate_python(json.loads(content))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise RecordError(f"not a job: {place}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not a job: {error}") from error
