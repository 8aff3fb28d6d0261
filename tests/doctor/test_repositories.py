"""The Butler and its certified chain, well and with each thing wrong in turn."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from calwatch.butler.lookup import Span
from calwatch.butler.repository import Repository
from calwatch.doctor import repositories
from calwatch.doctor.model import Finding, Status
from calwatch.doctor.repositories import _certified, look_at_butler
from calwatch.errors import RepositoryError


def told(findings: list[Finding], status: Status) -> str:
    return "\n".join(one.says for one in findings if one.status is status)


def test_all_is_well_but_for_what_has_never_been_made(new_case) -> None:
    """The simulated camera has calibrations of its first detector only."""
    found = list(look_at_butler(new_case()))
    says = told(found, Status.OK)
    assert "MiniCam: opens, 2 detectors" in says
    assert "the newest ended 1.0 h ago" in says
    lacking = told(found, Status.WARN).splitlines()
    assert all(" for 1 of 2 detectors (1): " in line for line in lacking), lacking
    assert {line.split(":")[0].split(" in ")[0] for line in lacking} == {
        "MiniCam bias", "MiniCam dark", "MiniCam flat",
    }  # fmt: skip
    assert told(found, Status.FAIL) == ""


def test_all_is_well(new_case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Repository, "detectors", lambda *_: {0: "R00_S00"})
    found = list(look_at_butler(new_case()))
    assert "1 detectors of the camera are not registered: 1" in told(found, Status.WARN)
    says = told(found, Status.OK)
    for kind in ("bias: ", "dark: ", "flat in "):
        assert f"MiniCam {kind}" in says
    assert "for 1 detectors (MiniCam/calib)" in says


def test_a_clock_that_is_behind(new_case) -> None:
    at = new_case().now() - timedelta(hours=1, minutes=5)
    found = [one for one in look_at_butler(new_case(at=at)) if one.status is Status.FAIL]
    assert "the newest exposure ended 300 s from now" in found[0].says
    assert "clock" in found[0].advice


def test_nothing_new(new_case) -> None:
    at = new_case().now() + timedelta(days=30)
    found = list(look_at_butler(new_case(at=at)))
    assert "no bias, dark or flat in the days that are looked at" in told(found, Status.WARN)
    assert "MiniCam flat: none was taken" in told(found, Status.SKIPPED)


def test_before_anything_was_certified(new_case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "AHEAD", timedelta(days=999))
    at = new_case().now() - timedelta(days=300)
    found = list(look_at_butler(new_case(at=at)))
    says = told(found, Status.FAIL)
    assert "MiniCam bias: no bias for 2 of 2 detectors (0, 1): " in says
    assert all(one.advice for one in found if one.status is Status.FAIL)


def test_a_chain_that_is_none(new_case) -> None:
    with pytest.raises(Exception, match="has no collection 'MiniCam/nothing'"):
        list(look_at_butler(new_case(collection="MiniCam/nothing")))


def test_another_instrument_and_another_repository(new_case, tmp_path: Path, nights) -> None:
    (only,) = look_at_butler(new_case(instruments=("LATISS",), camera=""))
    assert only.status is Status.FAIL
    assert "LATISS is not registered (there: MiniCam)" in only.says
    with pytest.raises(RepositoryError, match="cannot open this Butler repository"):
        list(look_at_butler(new_case(repo=str(tmp_path))))
    root = nights.registry(tmp_path)
    (root / "gen3.sqlite3").write_bytes(b"not a database at all" * 99)
    with pytest.raises(RepositoryError):
        list(look_at_butler(new_case(repo=str(root))))
    shutil.rmtree(root)


def test_what_is_certified_for_some_and_for_how_long(new_case, nights) -> None:

    case = new_case()
    now = nights.jobs[3, "bias", 1].exposure.end_tai
    with Repository.open(nights.root) as repository:
        chain = repository.chains_at("MiniCam", Span(now, now), ["bias", "ptc"], [0])[0]
    ending = replace(chain.datasets["bias"], end_tai=now + 2.5)
    soon = replace(chain, datasets={**chain.datasets, "bias": ending})
    lacking = replace(chain, datasets={}, missing={"ptc": "no ptc certified", "crosstalk": "none"})
    found = list(_certified("X bias", {0: soon, 1: lacking, 2: chain}, {"crosstalk"}, now))
    warnings = told(found, Status.WARN)
    assert "X bias: no ptc for 1 of 3 detectors (1): no ptc certified" in warnings
    assert "X bias: the validity of bias ends 20" in warnings
    assert "crosstalk" not in warnings
    assert case.settings.collection is None
