"""The ends of the Kafka source that need no broker; the rest is tried with a real one."""

from __future__ import annotations

import asyncio
import socket

import pytest
from prometheus_client import CollectorRegistry

from calwatch.arrivals.counters import IntakeCounters
from calwatch.arrivals.decode import Decoder
from calwatch.arrivals.kafka import KafkaSource, KafkaSourceError, SourceState, _Box
from calwatch.arrivals.source import Arrival
from calwatch.arrivals.topics import topics_of
from calwatch.kafka.connection import KafkaConnection


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_brokers_out_of_reach_are_named_and_it_may_be_tried_again(nobody: str) -> None:
    source = KafkaSource(
        KafkaConnection(bootstrap_servers=nobody),
        topics_of(["LATISS"]),
        Decoder(None, {}),  # neither is asked before there is a broker
        None,
        IntakeCounters(CollectorRegistry()),
    )

    async def first() -> None:
        await anext(source.arrivals())

    for _ in range(2):
        with pytest.raises(KafkaSourceError, match=nobody):
            asyncio.run(first())
        assert source.state == SourceState(problem="nobody listens there")


def test_a_box_holds_each_arrival_once_and_not_too_many() -> None:
    async def use() -> None:
        box = _Box()
        box.put([])
        assert not box.filled.is_set()
        box.put([Arrival("LATISS", 1), Arrival("LATISS", 1)])
        box.put([Arrival("LATISS", 1), Arrival("LATISS", 2)])
        assert box.filled.is_set()
        assert box.take() == [Arrival("LATISS", 1), Arrival("LATISS", 2)]
        assert not box.filled.is_set()
        box.put([Arrival("LATISS", number) for number in range(5000)])
        assert box.take() == [Arrival()]
        box.put([Arrival("LATISS", 3)])
        assert box.take() == [Arrival("LATISS", 3)]

    asyncio.run(use())
