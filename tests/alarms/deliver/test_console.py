"""Notices on the terminal."""

from __future__ import annotations

import asyncio

import pytest
from deliveries import delivery

from calwatch.alarms.deliver.console import ConsoleChannel
from calwatch.alarms.words import Message


def test_a_line_a_notice() -> None:
    lines: list[str] = []
    channel = ConsoleChannel("terminal", lines.append)

    async def run() -> None:
        await channel.open()
        await channel.send(delivery())
        await channel.send(delivery(repeat=True))
        await channel.resend([])
        await channel.tell(Message("LATISS today:\n62 exposures", "", {}))
        await channel.close()

    asyncio.run(run())
    assert channel.name == "terminal"
    assert lines == [
        "2026-11-22 18:00 UTC  [SERIOUS] raised: R22_S11/C05",
        "2026-11-22 18:00 UTC  [SERIOUS] raised: R22_S11/C05 (may be a repeat)",
        "LATISS today: 62 exposures",
    ]


def test_what_looks_like_markup_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(ConsoleChannel().tell(Message("[red]62[/red] " + "x" * 200, "", {})))
    assert capsys.readouterr().err == "[red]62[/red] " + "x" * 200 + "\n"
