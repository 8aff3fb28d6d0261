"""Runs all checks at once, each for a limited time; none keeps another from being run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from calwatch.doctor.model import Check, Finding, Status
from calwatch.redaction import redact

_ADVICE = "mend what the message names"


class _Running:
    """One check in a thread of its own, which nobody has to wait for."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, name=check.name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = list(self.check.ask())
        except Exception as error:
            says = str(error) or type(error).__name__
            self._found = [Finding(self.check.name, Status.FAIL, says, _ADVICE)]

    def findings(self, until: float, seconds: float) -> list[Finding]:
        self._thread.join(max(until - time.monotonic(), 0.0))
        if self._thread.is_alive():
            says = f"no answer within {seconds:g} s"
            return [Finding(self.check.name, Status.FAIL, says, "is it up, and is the way to it?")]
        return self._found


def examine(checks: Sequence[Check], seconds: float) -> Iterator[Finding]:
    """Run the checks side by side and yield what they find, in their order.

    Parameters
    ----------
    checks
        What to look at.
    seconds
        Each may take so long.
    """
    until = time.monotonic() + seconds
    running = [_Running(check) for check in checks]
    for one in running:
        for finding in one.findings(until, seconds):
            yield _without(finding)


def _without(finding: Finding) -> Finding:
    """Return a finding without secrets, wherever they turned up."""
    return replace(finding, says=redact(finding.says), advice=redact(finding.advice))
