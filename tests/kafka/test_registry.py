"""What the client of the registry makes of every answer.

The registry here is a double, for answers that a real one gives only when it is ill; the client is
held to a real registry by the tests that start one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from calwatch.errors import StopError
from calwatch.kafka.registry import (
    RefusedSchemaError,
    RegistryError,
    SchemaRegistry,
    UnknownSchemaError,
)

SCHEMA = {"type": "record", "name": "r", "fields": [{"name": "x", "type": "double"}]}
Answer = Callable[[httpx.Request], httpx.Response]


def known(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"schema": json.dumps(SCHEMA), "id": 7})


def refuses(status: int, code: int | None = None, text: str = "no") -> Answer:
    content = {"error_code": code, "message": text} if code is not None else {}
    return lambda request: httpx.Response(status, json=content)


def ask(answer: Answer, question, url: str = "http://r:8081", **options):
    """Ask a registry that answers so."""

    async def go():
        transport = httpx.MockTransport(answer)
        async with SchemaRegistry(url, transport=transport, **options) as registry:
            return await question(registry)

    return asyncio.run(go())


def test_a_schema_is_asked_for_once() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return known(request)

    async def twice(registry: SchemaRegistry):
        return await registry.schema(7), await registry.schema(7)

    assert ask(answer, twice) == (SCHEMA, SCHEMA)
    assert asked == ["http://r:8081/schemas/ids/7"]


def test_an_unknown_id_is_asked_for_again_only_after_a_while() -> None:
    asked, now = [], [0.0]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return refuses(404, 40403)(request)

    async def often(registry: SchemaRegistry) -> list[int]:
        counts = []
        for now[0] in (0.0, 29.0, 31.0):
            with pytest.raises(UnknownSchemaError, match="no schema 9"):
                await registry.schema(9)
            counts.append(len(asked))
        return counts

    assert ask(answer, often, clock=lambda: now[0]) == [1, 1, 2]


def test_the_caches_are_bounded() -> None:
    async def many(registry: SchemaRegistry) -> int:
        for number in range(600):
            await registry.schema(number)
        return len(registry._schemas)

    assert ask(known, many) == 512


@pytest.mark.parametrize(
    "answer",
    [
        refuses(500),
        refuses(503, 50003),
        refuses(401),
        refuses(404),  # of a proxy, not of a registry
        lambda request: httpx.Response(404, text="<html>nothing here</html>"),
        lambda request: httpx.Response(200, text="<html>hello</html>"),
    ],
)
def test_a_registry_that_is_ill_is_no_unknown_schema(answer: Answer) -> None:
    with pytest.raises(RegistryError, match="http://r:8081"):
        ask(answer, lambda registry: registry.schema(7))


def test_no_answer_at_all() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("")

    with pytest.raises(RegistryError, match="http://r:8081: ConnectTimeout"):
        ask(answer, lambda registry: registry.schema(7))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ({"schema": "{"}, "cannot be read"),
        ({}, "cannot be read"),
        ({"schema": '"string"'}, "no record"),
        ({"schema": "{}", "schemaType": "JSON"}, "is JSON"),
        ({"schema": json.dumps(SCHEMA), "references": [{"name": "a"}]}, "refers"),
    ],
)
def test_a_schema_that_is_no_avro_record(content: dict, cause: str) -> None:
    with pytest.raises(UnknownSchemaError, match=cause):
        ask(lambda request: httpx.Response(200, json=content), lambda r: r.schema(7))


def test_registering_sends_the_schema_as_text_under_its_subject() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, json.loads(request.content)))
        return known(request)

    assert ask(answer, lambda registry: registry.register("a.b-value", SCHEMA)) == 7
    ((method, path, body),) = seen
    assert (method, path) == ("POST", "/subjects/a.b-value/versions")
    assert json.loads(body["schema"]) == SCHEMA


@pytest.mark.parametrize(("status", "code"), [(409, 409), (422, 42201)])
def test_a_refused_schema_stops(status: int, code: int) -> None:
    with pytest.raises(RefusedSchemaError, match="retyped"):
        ask(refuses(status, code, "retyped"), lambda r: r.register("s", SCHEMA))


def test_an_answer_without_an_id() -> None:
    with pytest.raises(RegistryError, match="without a schema id"):
        ask(lambda request: httpx.Response(200, json={}), lambda r: r.register("s", SCHEMA))


def test_a_subject_that_is_not_there() -> None:
    async def both(registry: SchemaRegistry):
        return await registry.latest("s"), await registry.lookup("s", SCHEMA)

    assert ask(refuses(404, 40401), both) == (None, None)
    assert ask(known, both) == (SCHEMA, 7)


def test_a_password_in_the_url_is_sent_and_never_shown() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers["Authorization"]))
        return refuses(500)(request)

    with pytest.raises(RegistryError) as caught:
        ask(answer, lambda registry: registry.schema(7), "http://me:s3cret@r:8081/")
    assert "s3cret" not in str(caught.value)
    assert seen == [("http://r:8081/schemas/ids/7", "Basic bWU6czNjcmV0")]


@pytest.mark.parametrize("url", ["", "r:8081", "ftp://r", "http://", "http://r:x"])
def test_a_wrong_url_stops(url: str) -> None:
    with pytest.raises(StopError, match="schema registry"):
        SchemaRegistry(url)


@pytest.mark.parametrize("told", [True, False])
def test_an_answer_without_end_is_not_read_to_its_end(told: bool) -> None:
    read = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            nonlocal read
            while read < 1 << 30:
                read += 1 << 20
                yield bytes(1 << 20)

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"Content-Length": str(1 << 30)} if told else {}
        return httpx.Response(200, headers=headers, stream=Endless())

    with pytest.raises(RegistryError, match="more than 8388608 bytes"):
        ask(answer, lambda registry: registry.schema(1))
    assert read <= 16 << 20


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_json_that_is_nested_without_end_is_no_answer(text: str) -> None:
    with pytest.raises(RegistryError, match="answers 200"):
        ask(lambda _: httpx.Response(200, text=text), lambda registry: registry.schema(1))
    with pytest.raises(UnknownSchemaError, match="cannot be read"):
        ask(
            lambda _: httpx.Response(200, json={"schema": text}),
            lambda registry: registry.schema(1),
        )
