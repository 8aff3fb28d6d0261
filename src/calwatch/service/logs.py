"""How the daemon's log looks: one JSON object a line, or words for a person."""

from __future__ import annotations

import logging
import sys

import structlog

from calwatch.redaction import RedactingFormatter, install_hooks, keep_environment, redacted
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
            _without_secrets,
            words,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The libraries below speak through logging; only what they warn of is worth a line.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler])
    keep_environment()
    install_hooks()


def _without_secrets(
    logger: structlog.typing.WrappedLogger,  # noqa: ARG001  (the signature is structlog's)
    method: str,  # noqa: ARG001
    line: structlog.typing.EventDict,
) -> structlog.typing.EventDict:
    return dict(redacted(line))
