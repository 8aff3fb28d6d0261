"""After a silence the brokers are asked, and not more often than that."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaError

from calwatch.kafka.silence import Silence


class Consumer:
    """Counts how often it is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self._error = error

    async def topics(self) -> set[str]:
        self.asked += 1
        if self._error is not None:
            raise self._error
        return set()


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time is set by hand."""

    now = 1000.0

    def time(self) -> float:
        return self.now


def listen(consumer: Consumer, *polls: tuple[float, bool]) -> list[int]:
    """Poll after so many seconds, with or without a message; return how often it was asked."""
    asked = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Clock)
        silence = Silence(consumer, 30.0)
        for seconds, heard in polls:
            loop.now += seconds
            await silence.listen(heard=heard)
            asked.append(consumer.asked)

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(scene())
    return asked


def test_it_is_asked_once_a_silence() -> None:
    polls = [(10, False), (19, False), (1, False), (1, False), (28, False), (1, False)]
    assert listen(Consumer(), *polls) == [0, 0, 1, 1, 1, 2]


def test_messages_are_an_answer() -> None:
    assert listen(Consumer(), *[(29, False), (1, True), (29, False), (1, True)] * 3)[-1] == 0


def test_no_answer_is_raised() -> None:
    with pytest.raises(KafkaError, match="shut out"):
        listen(Consumer(KafkaError("shut out")), (31, False))
