"""The cause of an error of the Butler or of what lies beneath it, fit for a message."""

from __future__ import annotations


def cause(error: Exception) -> str:
    """Return an error in one line: database drivers add the statement and a link below it."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
