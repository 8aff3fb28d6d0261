"""From the bytes of a message to what it says; whatever is wrong with them is told, not raised.

Messages are read by the schema they were written with, resolved against our own types of the fields
that are needed: a field that is added, moved, widened or taken away elsewhere does no harm.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import fastavro
from fastavro.read import SchemaResolutionError

from calwatch.arrivals import s3, sal
from calwatch.arrivals.model import Expectation, Ignored, Notice, Reason, plain
from calwatch.arrivals.topics import Kind, Topic
from calwatch.kafka.registry import UnknownSchemaError
from calwatch.kafka.wire import WireError, unframe

LARGEST_BYTES = 256 * 1024
"""Of one message. A SAL event has a few hundred, a bucket's notification a few thousand."""
_PLANS = 256
_WIDEST = 5000
"""Values in one message. A SAL event has some tens."""
_MOST_IDLE = 16
"""Of them such as take no bytes, so that within an array a byte never stands for many values."""

Said = Notice | Expectation | Ignored


class Schemas(Protocol):
    """Who knows the schemas; `calwatch.kafka.registry.SchemaRegistry` does."""

    async def schema(self, schema_id: int) -> dict[str, Any]:
        """Return the schema of an id."""
        ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read what was written with one schema."""

    writer: Any
    reader: Any


class Decoder:
    """Reads messages of the topics that tell of exposures.

    Parameters
    ----------
    schemas
        The registry.
    cameras
        Those that are watched.
    limit_seconds
        How long after the end of readout the detectors of an exposure are due.
    largest_bytes
        A message that is longer is not read.
    """

    def __init__(
        self,
        schemas: Schemas,
        cameras: sal.Cameras,
        *,
        limit_seconds: float = sal.LIMIT_SECONDS,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self._schemas = schemas
        self._cameras = cameras
        self._limit_seconds = limit_seconds
        self._largest_bytes = largest_bytes
        self._plans: OrderedDict[tuple[Kind, int], _Plan | Ignored] = OrderedDict()

    async def read(self, topic: Topic, value: bytes | None, now: datetime) -> list[Said]:
        """Return all that a message says.

        Parameters
        ----------
        topic
            Where it came from.
        value
            Its bytes; the key is of no interest.
        now
            Aware.

        Raises
        ------
        WaitError
            If the schema registry is out of reach.
        """
        if not value:
            return [Ignored(Reason.EMPTY, "the message is empty")]
        if len(value) > self._largest_bytes:
            text = f"the message has {len(value)} bytes, more than {self._largest_bytes}"
            return [Ignored(Reason.TOO_LARGE, text)]
        if topic.kind is Kind.BUCKET:
            records = s3.read_notifications(value)
            if isinstance(records, Ignored):
                return [records]
            return list(s3.understand(records, self._cameras, now))
        record = await self._record(topic, value)
        if isinstance(record, Ignored):
            return [record]
        limit = self._limit_seconds
        return [sal.understand(topic, record, self._cameras, now=now, limit_seconds=limit)]

    async def _record(self, topic: Topic, value: bytes) -> Mapping[str, Any] | Ignored:
        """Return the needed fields of an event."""
        try:
            schema_id, payload = unframe(value)
        except WireError as error:
            return Ignored(Reason.TRUNCATED if value[0] == 0 else Reason.WRONG_MAGIC, str(error))
        plan = await self._plan(topic.kind, schema_id)
        return plan if isinstance(plan, Ignored) else _decoded(plan, payload)

    async def _plan(self, kind: Kind, schema_id: int) -> _Plan | Ignored:
        """Return how to read a schema; only what can never change is remembered."""
        key = (kind, schema_id)
        known = self._plans.get(key)
        if known is not None:
            self._plans.move_to_end(key)
            return known
        try:
            schema = await self._schemas.schema(schema_id)
        except UnknownSchemaError as error:
            return Ignored(Reason.UNKNOWN_SCHEMA, plain(str(error)))
        plan = self._plans[key] = _make_plan(kind, schema_id, schema)
        while len(self._plans) > _PLANS:
            self._plans.popitem(last=False)
        return plan


def _make_plan(kind: Kind, schema_id: int, schema: Mapping[str, Any]) -> _Plan | Ignored:
    head = {name: schema[name] for name in ("type", "name", "namespace") if name in schema}
    try:
        # Defaults and descriptions of the writer play no part in reading, so they cannot be wrong.
        fields = [{"name": f["name"], "type": f["type"]} for f in schema["fields"]]
        names = {field["name"] for field in fields}
        absent = [name for name in sal.needed_names(kind) if name not in names]
        if absent:
            text = f"schema {schema_id} ({schema.get('name')}) has no {', '.join(absent)}"
            return Ignored(Reason.MISSING_FIELD, plain(text))
        _check_narrow(head | {"fields": fields})
        _check_bounded(head | {"fields": fields}, {}, ())
        writer = fastavro.parse_schema(head | {"fields": fields})
        # The reader takes the writer's name: which event it is, the topic says. It takes the fields
        # that are not needed too: what fastavro skips it does not hold to the message's end.
        ours = sal.FIELDS[kind]
        mine = {field["name"] for field in ours}
        rest = [field for field in fields if field["name"] not in mine]
        return _Plan(writer, fastavro.parse_schema(head | {"fields": [*ours, *rest]}))
    except Exception as error:  # whatever may stand in a registry
        text = f"schema {schema_id} cannot be used: {type(error).__name__}: {error}"
        return Ignored(Reason.UNKNOWN_SCHEMA, plain(text))


def _decoded(plan: _Plan, payload: bytes) -> Mapping[str, Any] | Ignored:
    stream = io.BytesIO(payload)
    try:
        record = fastavro.schemaless_reader(stream, plan.writer, plan.reader)
    except SchemaResolutionError as error:
        return Ignored(Reason.WRONG_TYPE, plain(str(error)))
    except Exception as error:  # whatever bytes may do to a decoder
        text = f"the Avro data cannot be read: {type(error).__name__}: {error}"
        return Ignored(Reason.TRUNCATED, plain(text))
    rest = len(payload) - stream.tell()
    if rest:
        return Ignored(Reason.TRAILING_BYTES, f"{rest} bytes follow the Avro data")
    if not isinstance(record, Mapping):
        return Ignored(Reason.WRONG_TYPE, "the Avro data is no record")
    return record


def _check_bounded(schema: Any, named: dict[str, Any], inside: tuple[str, ...]) -> None:
    """Refuse schemas by which a short message could take for ever, or overflow the stack.

    These are types that contain themselves, and arrays whose items take no bytes.

    Raises
    ------
    ValueError
        Saying which.
    """
    if isinstance(schema, list):
        for branch in schema:
            _check_bounded(branch, named, inside)
    elif isinstance(schema, str):
        if _short(schema) in inside:
            raise ValueError(f"{schema} contains itself")
    else:
        kind = schema["type"]
        if "name" in schema and isinstance(kind, str):
            named[_short(schema["name"])] = schema
            inside = (*inside, _short(schema["name"]))
        if kind in ("record", "error"):
            for field in schema["fields"]:
                _check_bounded(field["type"], named, inside)
        elif kind == "array":
            _check_bounded(schema["items"], named, inside)
            if _takes_nothing(schema["items"], named):
                raise ValueError("an array has items that take no bytes")
        elif kind == "map":
            _check_bounded(schema["values"], named, inside)
        elif not isinstance(kind, str):
            _check_bounded(kind, named, inside)


def _check_narrow(schema: Any) -> None:
    """Refuse schemas that say with a few lines that one message is made of very many values.

    A record may name another twice, and that one yet another: each line doubles the values.

    Raises
    ------
    ValueError
        If there are more values than any event has, or more of them that take no bytes.
    """
    _, idle = _Sizes().of(schema)
    if idle > _MOST_IDLE:
        raise ValueError(f"more than {_MOST_IDLE} values of a message take no bytes")


class _Sizes:
    """Counts the values in one message, those of arrays and maps once, each named type once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, schema: Any) -> tuple[int, int]:
        """Return how many values there are, and how many of them take no bytes.

        Raises
        ------
        ValueError
            If there are too many, or two types have one name: which is meant would be a guess.
        """
        values, idle = self._of(schema)
        if values > _WIDEST:
            raise ValueError(f"one message has more than {_WIDEST} values")
        return values, idle

    def _of(self, schema: Any) -> tuple[int, int]:
        if isinstance(schema, list):
            branches = {number: self.of(branch) for number, branch in enumerate(schema)}
            idle = [none for number, (_, none) in branches.items() if schema[number] != "null"]
            values = [some for some, _ in branches.values()]
            return 1 + max(values, default=0), max(idle, default=0)
        if isinstance(schema, str):
            return self._known.get(_short(schema), (1, int(schema == "null")))
        kind = schema["type"]
        if not isinstance(kind, str) or "name" not in schema:
            return self._inside(kind, schema)
        name = _short(str(schema["name"]))
        if name in self._known:
            raise ValueError(f"two types are named {name[:60]}")
        self._known[name] = (1, 0)  # a type within itself is told of elsewhere
        self._known[name] = self._inside(kind, schema)
        return self._known[name]

    def _inside(self, kind: Any, schema: Any) -> tuple[int, int]:
        if kind in ("record", "error"):
            parts = [self.of(field["type"]) for field in schema["fields"]]
            idle = sum(nothing for _, nothing in parts) + (not parts)
            return 1 + sum(values for values, _ in parts), idle
        if kind in ("array", "map"):
            values, idle = self.of(schema["items" if kind == "array" else "values"])
            return 1 + values, idle
        if kind == "fixed":
            return 1, int(not schema["size"] > 0)
        return self.of(kind)


def _takes_nothing(schema: Any, named: Mapping[str, Any]) -> bool:
    """Tell whether values of a schema may take no bytes."""
    if isinstance(schema, list):
        return False
    if isinstance(schema, str):
        other = named.get(_short(schema))
        return schema == "null" if other is None else _takes_nothing(other, named)
    kind = schema["type"]
    if kind in ("record", "error"):
        return all(_takes_nothing(field["type"], named) for field in schema["fields"])
    if kind == "fixed":
        return not schema["size"] > 0
    return False if kind in ("array", "map", "enum") else _takes_nothing(kind, named)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
