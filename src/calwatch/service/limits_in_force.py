"""The limits that are judged by, and taking new ones while the daemon runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from calwatch.errors import LimitsError
from calwatch.verify.limits import Limits, load_limits
from calwatch.verify.limits_changes import changes

Listener = Callable[[Limits], None]


class LimitsInForce:
    """One set of limits at a time, for everybody in the daemon.

    Parameters
    ----------
    source
        Name of a profile, or path of a file.

    Raises
    ------
    LimitsError
        If they are wrong.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._current = load_limits(source)
        self._listeners: list[Listener] = []
        self._reloading = asyncio.Lock()
        self._log: Any = structlog.get_logger("calwatch")

    @property
    def current(self) -> Limits:
        """The limits in force; may be asked from any thread."""
        return self._current

    def listen(self, listener: Listener) -> None:
        """Have somebody told of new limits, in the event loop."""
        self._listeners.append(listener)

    async def reload(self) -> None:
        """Read the file again, and put what it says in force, whole or not at all.

        Whoever calls meanwhile waits, so that of two readings the later one stands.
        """
        async with self._reloading:
            await self._reload()

    async def _reload(self) -> None:
        old = self._current
        try:
            new = await asyncio.to_thread(load_limits, self._source)
            found = changes(old, new)
            if found and new.label == old.label:
                raise LimitsError(
                    f"{new.source}: what it says has changed and its version has not: verdicts "
                    f"name their limits by it, so give it another one than {old.version!r}"
                )
        except LimitsError as error:
            self._log.error("new limits refused, the old ones go on", reason=str(error))
            return
        if not found:
            self._log.info("limits read again: nothing has changed", limits=old.label)
            return
        self._current = new
        for listener in self._listeners:
            listener(new)
        self._log.info(
            "new limits in force",
            limits=new.label,
            digest=new.digest,
            before=old.label,
            changes=[str(change) for change in found],
        )
