"""A ledger of the simulated nights, and no setting from outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calwatch.ledger.store import Ledger
from calwatch.verify.limits import load_limits
from calwatch.verify.merge import merge_exposure

OURS = ("KAFKA_", "SCHEMA_MANAGER_", "CALWATCH_")
OF_THE_TESTS = "CALWATCH_REQUIRE_SERVICES"


@pytest.fixture(autouse=True)
def _no_setting_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(OURS) and name != OF_THE_TESTS:
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def url(nights, verdicts, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ledger with all three nights."""
    url = f"sqlite:///{tmp_path_factory.mktemp('judged') / 'ledger.db'}"
    ledger = Ledger.open(url)
    limits = load_limits("dmtn101")
    for which, result in verdicts.items():
        record = nights.jobs[which].exposure
        ledger.record(result, record, record.end_utc)
        found = ledger.results(result.instrument, result.exposure_id)
        merged = merge_exposure(found.results, limits, record.end_utc)
        ledger.record_exposure(
            merged, record, record.end_utc, expected=(0,), last_judgement_id=found.last_judgement_id
        )
    ledger.close()
    return url


@pytest.fixture
def config(nights, url: str, tmp_path: Path) -> Path:
    """A configuration over that ledger."""
    path = tmp_path / "calwatch.yaml"
    path.write_text(
        f"repo: /nowhere\ninstruments: [MiniCam]\ncamera: {nights.camera_file}\nledger: {url}\n"
    )
    return path
