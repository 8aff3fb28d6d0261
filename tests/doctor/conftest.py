"""Cases: a configuration that is well, and changes to it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from calwatch.doctor.model import Case
from calwatch.settings import load_settings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / name) for name in ("services", "service", "alarms", "ledger")]

NewCase = Callable[..., Case]


@pytest.fixture
def new_case(nights, tmp_path: Path) -> NewCase:
    """Make a case of the simulated camera, an hour after its last exposure."""
    ends = [job.exposure.end_utc for job in nights.jobs.values()]
    now = max(ends).astimezone(UTC) + timedelta(hours=1)

    def make(at: datetime = now, role: str = "all", connection: Any = None, **changes: Any) -> Case:
        content = {
            "repo": str(nights.root),
            "instruments": ("MiniCam",),
            "camera": nights.camera_file,
            "ledger": f"sqlite:///{tmp_path / 'ledger.db'}",
        }
        return Case(load_settings(None, **content | changes), connection, role, lambda: at)

    return make
