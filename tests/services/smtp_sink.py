"""A mail server on loopback that keeps every letter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from running import free_port


@dataclass
class SmtpSink:
    port: int
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answer: str = "250 OK"
    """What it says to a letter; it keeps those to which it says 250."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            letter = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
            self.recipients.append(list(envelope.rcpt_tos))
        return self.answer

    def url(self, to: str = "calibration@example.org") -> str:
        """Return what apprise is given."""
        return f"mailto://127.0.0.1:{self.port}?from=calwatch@example.org&to={to}"


@contextmanager
def sink() -> Iterator[SmtpSink]:
    found = SmtpSink(free_port())
    controller = Controller(found, hostname="127.0.0.1", port=found.port)
    controller.start()
    try:
        yield found
    finally:
        controller.stop()
