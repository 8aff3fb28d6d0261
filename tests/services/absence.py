"""What a test does that needs a real server where there is none."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(service: str, reason: str) -> NoReturn:
    """Skip by name with the reason, or fail where every service is required."""
    text = f"{service}: {reason}"
    if os.environ.get("CALWATCH_REQUIRE_SERVICES") == "1":
        pytest.fail(text)
    pytest.skip(text)
