"""Progress bars on the terminal: on the error stream, and none where it is no terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def counting_bars(*, transient: bool = False) -> Progress:
    """Return bars that count: what, how many of how many, and since when.

    Parameters
    ----------
    transient
        Leave nothing behind on the screen.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=transient, disable=not console.is_terminal)
