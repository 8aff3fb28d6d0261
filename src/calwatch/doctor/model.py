"""What is looked at, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from calwatch.kafka.connection import KafkaConnection
from calwatch.settings import Settings


class Status(StrEnum):
    """How it is."""

    OK = "OK"
    WARN = "WARN"
    """It works, but not well, or not for long."""
    FAIL = "FAIL"
    """The daemon cannot do its work, or part of it."""
    SKIPPED = "SKIPPED"
    """It is not used, or cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    status: Status
    says: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Check:
    """Looks at one thing."""

    name: str
    ask: Callable[[], Iterable[Finding]]
    """Findings; an error that it raises is one, too."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the checks are given."""

    settings: Settings
    connection: KafkaConnection | None
    role: str
    now: Callable[[], datetime]
    """The time (aware)."""


def ok(check: str, says: str) -> Finding:
    """Return that something is well."""
    return Finding(check, Status.OK, says)


def warn(check: str, says: str, advice: str) -> Finding:
    """Return that something is not well."""
    return Finding(check, Status.WARN, says, advice)


def fail(check: str, says: str, advice: str) -> Finding:
    """Return that something is wrong."""
    return Finding(check, Status.FAIL, says, advice)


def skipped(check: str, says: str) -> Finding:
    """Return that something is not looked at."""
    return Finding(check, Status.SKIPPED, says)


def some(words: Iterable[object], most: int = 4) -> str:
    """Name a few of many."""
    named = [str(word) for word in words]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more
