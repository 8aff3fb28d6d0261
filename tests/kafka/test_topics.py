"""Topics that cannot be made are all named, with the broker's reason.

The broker's answer is a double here: a real one refuses only where it has access rules. That topics
are made where they may be is tested with a real one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from calwatch.errors import StopError
from calwatch.kafka.topics import _make

AUTHORIZATION, EXISTS = 29, 36


@dataclass
class DoubleAdmin:
    """Answers the making of topics with error codes."""

    codes: dict[str, tuple[int, str | None]]
    asked: list[Any] = field(default_factory=list)

    async def create_topics(self, new: list[Any]) -> Any:
        self.asked += new
        return SimpleNamespace(topic_errors=[(name, *rest) for name, rest in self.codes.items()])


def test_all_that_are_refused_are_named() -> None:
    admin = DoubleAdmin(
        {
            "lsst.cp.calwatch.bias": (AUTHORIZATION, None),
            "lsst.cp.calwatch.dark": (0, None),
            "lsst.cp.calwatch.flat": (AUTHORIZATION, "not by you"),
        }
    )
    with pytest.raises(StopError) as caught:
        asyncio.run(_make(admin, [NewTopic(name, 1, 3) for name in admin.codes]))
    assert str(caught.value).splitlines() == [
        "Kafka: 2 topics are missing (or not to be seen) and cannot be made by this user: "
        "make them, or let the user Describe them (ACL)",
        "  lsst.cp.calwatch.bias: TopicAuthorizationFailedError",
        "  lsst.cp.calwatch.flat: not by you",
    ]


def test_a_topic_that_someone_else_just_made_is_there() -> None:
    admin = DoubleAdmin({"a": (EXISTS, None)})
    asyncio.run(_make(admin, [NewTopic("a", 1, 2)]))
    assert [new.name for new in admin.asked] == ["a"]
