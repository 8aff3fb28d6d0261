from __future__ import annotations

from pathlib import Path

import pytest

from calwatch.errors import NameRuleError, StopError
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend, set_chain
from calwatch.offline.datasets import put_calibration

BASE = "MiniCam/calib/DM-1/mini"
BIAS, DARK = f"{BASE}/bias.20260101a", f"{BASE}/dark.20260101a"


@pytest.fixture
def filled(root: Path, calibration: Path) -> Path:
    for calib_type, certified in (("bias", BIAS), ("dark", DARK)):
        run = f"{BASE}/{calib_type}Gen.20260101a"
        put_calibration(root, run, calib_type, 0, calibration)
        certify(root, run, calib_type, certified)
    return root


def test_the_last_one_put_in_front_is_first(filled: Path) -> None:
    assert prepend(filled, "MiniCam/calib/DM-1", [BIAS]) == (BIAS,)
    assert prepend(filled, "MiniCam/calib/DM-1", [DARK]) == (DARK, BIAS)
    assert prepend(filled, "MiniCam/calib/DM-1", [BIAS]) == (BIAS, DARK)
    assert set_chain(filled, "MiniCam/calib/DM-1", [DARK]) == (DARK,)
    assert set_chain(filled, "MiniCam/calib", ["MiniCam/calib/DM-1"]) == ("MiniCam/calib/DM-1",)


@pytest.mark.parametrize(
    ("chain", "collections", "words"),
    [
        ("mine", [BIAS], "chain 'mine'"),
        (BIAS, [DARK], "name of a certified"),
        ("MiniCam/calib", ["mine"], "'mine'"),
        ("MiniCam/calib/DM-2", [BIAS], "another ticket"),
        ("LATISS/calib", [BIAS], "another instrument"),
    ],
)
def test_names_are_held_to_the_rules(
    filled: Path, chain: str, collections: list[str], words: str
) -> None:
    with pytest.raises(NameRuleError, match=words):
        set_chain(filled, chain, collections)


def test_what_cannot_be_chained_is_named(filled: Path) -> None:
    with pytest.raises(StopError, match="no collection 'MiniCam/calib/DM-9'"):
        prepend(filled, "MiniCam/calib", ["MiniCam/calib/DM-9"])
    with pytest.raises(StopError, match="name the collections"):
        set_chain(filled, "MiniCam/calib", [])
    prepend(filled, "MiniCam/calib/DM-1", [BIAS])
    set_chain(filled, "MiniCam/calib", ["MiniCam/calib/DM-1"])
    with pytest.raises(StopError, match=r"(?i)cycle"):
        set_chain(filled, "MiniCam/calib/DM-1", ["MiniCam/calib"], force_name=True)
    with pytest.raises(StopError, match=BIAS):
        set_chain(filled, BIAS, [DARK], force_name=True)
