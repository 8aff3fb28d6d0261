from __future__ import annotations

from pathlib import Path

import pytest

from calwatch.butler.lookup import Span
from calwatch.butler.repository import Repository
from calwatch.errors import NameRuleError, StopError
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend
from calwatch.offline.datasets import CalibrationFile, put_calibrations
from calwatch.offline.tag import tag

BASE = "MiniCam/calib/DM-1/mini"
TAGGED = "MiniCam/calib_tagged/inUse"


@pytest.fixture
def filled(root: Path, calibration: Path) -> Path:
    for rerun, begin in (("20260101a", "2026-01-01"), ("20260201a", "2026-02-01")):
        run, certified = f"{BASE}/biasGen.{rerun}", f"{BASE}/bias.{rerun}"
        files = [CalibrationFile("bias", number, calibration) for number in (0, 1)]
        put_calibrations(root, run, files)
        certify(root, run, "bias", certified, begin)
        prepend(root, "MiniCam/calib", [certified])
    return root


def test_what_is_valid_then_is_tagged_and_may_be_replaced(filled: Path) -> None:
    runs = []
    for at in ("2026-01-15", "2026-02-15"):
        assert tag(filled, "MiniCam/calib", TAGGED, "bias", at) == 2
        with Repository.open(filled) as repository:
            # A tagged collection answers for any time.
            chain = repository.chains_at("MiniCam", Span(0, 0), ["bias"], [1], "", TAGGED)[1]
        data = chain.datasets["bias"]
        assert (data.collection, data.begin_tai, data.end_tai) == (TAGGED, None, None)
        runs.append(data.run)
    assert runs == [f"{BASE}/biasGen.20260101a", f"{BASE}/biasGen.20260201a"]


def test_wrong_use_is_told_in_words(filled: Path) -> None:
    with pytest.raises(NameRuleError, match="calib_tagged"):
        tag(filled, "MiniCam/calib", "mine", "bias", "2026-01-15")
    with pytest.raises(StopError, match="no bias valid at 2025-01-15"):
        tag(filled, "MiniCam/calib", TAGGED, "bias", "2025-01-15")
    with pytest.raises(StopError, match="no dataset type 'dark'"):
        tag(filled, "MiniCam/calib", TAGGED, "dark", "2026-01-15")
    with pytest.raises(StopError, match="no collection 'nowhere'"):
        tag(filled, "nowhere", TAGGED, "bias", "2026-01-15")
    assert tag(filled, "MiniCam/calib", "mine", "bias", "2026-01-15", force_name=True) == 2
