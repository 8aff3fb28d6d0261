"""How the daemon's log looks: one JSON object a line, or words for a person."""

from __future__ import annotations

import logging
import sys

import structlog

from calwatch.settings import LogSettings


def set_up_logs(settings: LogSettings) -> None:
    """Send structured log lines to standard error.

    Parameters
    ----------
    settings
        ``json`` for machines, ``console`` for a person; and the lowest level shown.
    """
    words: structlog.typing.Processor
    if settings.format == "json":
        words = structlog.processors.JSONRenderer()
    else:
        words = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            words,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The libraries below speak through logging; only what they warn of is worth a line.
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr)
