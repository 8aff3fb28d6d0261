"""Whether the brokers still let us in: whoever is shut out hears nothing, too."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

SECONDS = 30.0
"""After so long without a message it is asked."""


class Silence:
    """Watches how long a consumer has heard nothing.

    aiokafka itself would go on for ever with a password or a certificate that is good no more.

    Parameters
    ----------
    consumer
        Has been started.
    seconds
        After so long without a message the brokers are asked anything.
    """

    def __init__(self, consumer: AIOKafkaConsumer, seconds: float = SECONDS) -> None:
        self._consumer = consumer
        self._seconds = seconds
        self._since = asyncio.get_running_loop().time()

    async def listen(self, *, heard: bool) -> None:
        """Take in whether a poll gave messages, and ask if it is time.

        Raises
        ------
        KafkaError
            If no broker answers.
        """
        now = asyncio.get_running_loop().time()
        if not heard and now - self._since >= self._seconds:
            await self._consumer.topics()
            heard = True
        if heard:
            self._since = now
