"""Notices on the terminal, one line each: what there is where nothing else is set up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from calwatch.alarms.deliver.channel import Delivery, Numbered
from calwatch.alarms.deliver.telling import told
from calwatch.alarms.words import Message


def terminal() -> Callable[[str], None]:
    """Return what writes a line to the standard error stream, as it is."""
    console = Console(stderr=True)

    def write(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return write


class ConsoleChannel:
    """Writes lines.

    Parameters
    ----------
    name
        What the settings call it.
    write
        Takes one line; the standard error stream if None.
    """

    def __init__(self, name: str = "console", write: Callable[[str], None] | None = None) -> None:
        self.name = name
        self._write = write or terminal()

    async def open(self) -> None:
        """Nothing is needed."""

    async def send(self, delivery: Delivery) -> None:
        """Write when it happened and its subject."""
        again = " (may be a repeat)" if delivery.repeat else ""
        at = delivery.transition.at
        self._write(f"{at:%Y-%m-%d %H:%M} UTC  {told(delivery).subject}{again}")

    async def tell(self, message: Message) -> None:
        """Write the subject of something that is no transition, such as the daily summary."""
        self._write(" ".join(message.subject.split()))

    async def resend(self, alarms: Sequence[Numbered]) -> None:
        """Do nothing: a terminal forgets nothing."""

    async def close(self) -> None:
        """Nothing is held."""
