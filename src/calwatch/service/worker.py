"""What runs inside one worker process: take a job, do it, send the result back."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from calwatch.errors import CalwatchError, RecordError
from calwatch.service.notes import Notes, take_notes


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has set itself up."""


@dataclass(frozen=True, slots=True)
class Renew:
    """The order to take new arguments."""

    renew: Callable[..., None]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The job gave a result."""

    result: Any
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True, slots=True)
class Failed:
    """The job (or the setting up) raised an error."""

    error: CalwatchError
    """As raised; anything that is not ours arrives as a RecordError naming it."""
    trace: str
    """Traceback for the log where the error was not one of ours, else empty."""
    notes: Notes = field(default_factory=Notes)


def work_for_ever(
    connection: Connection,
    work: Callable[[Any], Any],
    initializer: Callable[..., None] | None,
    arguments: tuple[Any, ...],
) -> None:
    """Serve jobs from a connection until it closes: the body of a worker process.

    SIGINT, SIGTERM and SIGHUP are ignored: they reach the whole process group from a terminal, and
    only the parent decides when a worker ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        if not _send(connection, _set_up(initializer, arguments)):
            return
        while True:
            job = connection.recv()
            if isinstance(job, Renew):
                answer: Ready | Done | Failed = _set_up(job.renew, job.arguments)
            else:
                answer = _answer(work, job)
            if not _send(connection, answer):
                return
    except (EOFError, ConnectionError):  # the daemon has ended, or was killed
        return


def _set_up(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> Ready | Failed:
    try:
        if initializer is not None:
            initializer(*arguments)
    except Exception as error:
        return _failed(error)
    return Ready()


def _answer(work: Callable[[Any], Any], job: Any) -> Done | Failed:
    try:
        result = work(job)
    except Exception as error:
        return replace(_failed(error), notes=take_notes())
    return Done(result, take_notes())


def _failed(error: Exception) -> Failed:
    if isinstance(error, CalwatchError):
        return Failed(error, "")
    trace = "".join(traceback.format_exception(error))
    return Failed(RecordError(f"unexpected {type(error).__name__}: {error}"), trace)


def _send(connection: Connection, message: Ready | Done | Failed) -> bool:
    """Send a message; tell whether there is still somebody to send to."""
    try:
        connection.send(message)
    except (BrokenPipeError, ConnectionError):
        return False
    except Exception as error:  # the result cannot be pickled
        connection.send(_failed(error))
    return True
