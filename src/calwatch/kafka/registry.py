"""The schema registry, through Confluent's REST interface."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from calwatch.errors import CalwatchError, StopError, WaitError
from calwatch.kafka.connection import check_url

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_MOST_BYTES = 8 * 1024 * 1024
"""Of one answer. Our own schemas, the widest that are known to us, have a quarter of one."""
_CACHED = 512
"""Schemas kept; a service sees a few dozen."""
_UNKNOWN_SECONDS = 30.0
"""A schema id that the registry does not know is asked for again only after so long."""
_NOT_FOUND = frozenset({40401, 40402, 40403})
"""Error codes of the interface: no such subject, version, schema."""

Schema = dict[str, Any]


class RegistryError(WaitError):
    """The schema registry is out of reach or answers what it should not."""


class UnknownSchemaError(CalwatchError):
    """The registry has no schema of that id, or it is no Avro record."""


class RefusedSchemaError(StopError):
    """The registry does not accept a schema."""


class SchemaRegistry:
    """A client of one registry; to be used in ``async with``.

    Parameters
    ----------
    url
        Such as ``http://host:8081``; a user and password in it are sent as basic authentication.
    timeout
        Seconds that one answer may take.
    transport
        Instead of the network.
    clock
        Seconds that only go forward.

    Raises
    ------
    StopError
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            check_url(url)
        except ValueError as error:
            raise StopError(f"schema registry: {error}") from None
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self.name = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        """The address as it may be shown: without a password."""
        auth = httpx.BasicAuth(parts.username, parts.password or "") if parts.username else None
        self._client = httpx.AsyncClient(
            auth=auth,
            timeout=timeout,
            transport=transport,
            headers={"Accept": f"{_MEDIA_TYPE}, application/json", "Content-Type": _MEDIA_TYPE},
        )
        self._clock = clock
        self._schemas: OrderedDict[int, Schema] = OrderedDict()
        self._unknown: OrderedDict[int, tuple[float, str]] = OrderedDict()

    async def __aenter__(self) -> SchemaRegistry:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def schema(self, schema_id: int) -> Schema:
        """Return the schema of an id.

        Schemas never change, so they are kept. An id that is not known is remembered for a short
        while, so that a flood of bad messages does not become a flood of questions.

        Raises
        ------
        UnknownSchemaError
            If there is none, or it is no Avro record.
        RegistryError
            If the registry is out of reach.
        """
        known = self._schemas.get(schema_id)
        if known is not None:
            self._schemas.move_to_end(schema_id)
            return known
        until, cause = self._unknown.get(schema_id, (0.0, ""))
        if cause and self._clock() < until:
            raise UnknownSchemaError(cause)
        try:
            found = await self._fetch(schema_id)
        except UnknownSchemaError as error:
            _keep(self._unknown, schema_id, (self._clock() + _UNKNOWN_SECONDS, str(error)))
            raise
        _keep(self._schemas, schema_id, found)
        return found

    async def register(self, subject: str, schema: Schema) -> int:
        """Register a schema and return its id; the same schema always gets the same id.

        Raises
        ------
        RefusedSchemaError
            If the registry does not accept it.
        RegistryError
            If the registry is out of reach.
        """
        path = f"/subjects/{_quoted(subject)}/versions"
        answer = await self._ask("POST", path, {"schema": _text(schema)})
        if answer is None:
            raise RegistryError(f"schema registry {self.name}: cannot register {subject}")
        return self._id(answer)

    async def latest(self, subject: str) -> Schema | None:
        """Return the newest schema of a subject, None if the registry has no such subject.

        Raises
        ------
        RegistryError
            If the registry is out of reach.
        RefusedSchemaError
            If what stands there is no Avro record.
        """
        answer = await self._ask("GET", f"/subjects/{_quoted(subject)}/versions/latest")
        if answer is None:
            return None
        try:
            return _record(answer)
        except ValueError as error:
            raise RefusedSchemaError(
                f"schema registry {self.name}: the newest schema of {subject} {error}"
            ) from None

    async def lookup(self, subject: str, schema: Schema) -> int | None:
        """Return the id under which a subject has this schema, None if it has not.

        Raises
        ------
        RegistryError
            If the registry is out of reach.
        """
        answer = await self._ask("POST", f"/subjects/{_quoted(subject)}", {"schema": _text(schema)})
        return None if answer is None else self._id(answer)

    async def _fetch(self, schema_id: int) -> Schema:
        answer = await self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer is None:
            raise UnknownSchemaError(f"schema registry {self.name}: there is no schema {schema_id}")
        try:
            return _record(answer)
        except ValueError as error:
            raise UnknownSchemaError(
                f"schema registry {self.name}: schema {schema_id} {error}"
            ) from None

    async def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """Ask, and read the answer up to a size.

        Raises
        ------
        RegistryError
            If it is longer.
        """
        async with self._client.stream(method, self.name + path, json=body) as response:
            content = bytearray()
            if not _too_long(response):
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > _MOST_BYTES:
                        break
            if _too_long(response) or len(content) > _MOST_BYTES:
                raise RegistryError(
                    f"schema registry {self.name}: {method} {path}: answers with more than "
                    f"{_MOST_BYTES} bytes"
                )
            return httpx.Response(
                response.status_code, content=bytes(content), request=response.request
            )

    def _id(self, answer: dict[str, Any]) -> int:
        number = answer.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            raise RegistryError(f"schema registry {self.name}: answers without a schema id")
        return number

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """Ask, and return the answer; None if what was asked for does not exist."""
        try:
            response = await self._answer(method, path, body)
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            raise RegistryError(f"schema registry {self.name}: {cause}") from error
        answer = _json(response)
        if response.is_success and answer is not None:
            return answer
        code = (answer or {}).get("error_code")
        if response.status_code == 404 and code in _NOT_FOUND:
            return None
        text = str((answer or {}).get("message", "")) or response.reason_phrase
        where = f"schema registry {self.name}: {method} {path}"
        # A refusal is told as such only by a registry; a proxy in between answers anything.
        if response.status_code in (409, 422) and code is not None:
            raise RefusedSchemaError(f"{where}: refused: {text}")
        raise RegistryError(f"{where}: answers {response.status_code} {text}".rstrip())


def _too_long(response: httpx.Response) -> bool:
    try:
        return int(response.headers.get("Content-Length", "0")) > _MOST_BYTES
    except ValueError:
        return False


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _text(schema: Schema) -> str:
    """Write a schema, its fields in their own order."""
    return json.dumps(schema, separators=(",", ":"), allow_nan=False)


def _json(response: httpx.Response) -> dict[str, Any] | None:
    try:
        content = response.json()
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _record(answer: dict[str, Any]) -> Schema:
    """Return the Avro record of an answer.

    Raises
    ------
    ValueError
        Saying what it is instead.
    """
    kind = answer.get("schemaType") or "AVRO"
    if kind != "AVRO":
        raise ValueError(f"is {kind}, not Avro")
    if answer.get("references"):
        raise ValueError("refers to other schemas, which is not supported")
    try:
        schema = json.loads(answer["schema"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("cannot be read") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("is no record")
    return schema


def _keep(cache: OrderedDict[int, Any], key: int, value: object) -> None:
    """Keep the newest so many."""
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > _CACHED:
        cache.popitem(last=False)
