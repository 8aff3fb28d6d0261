"""What ``calwatch replay`` makes of its options, and of servers that are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from calwatch.cli.main import cli
from calwatch.errors import StopError, WaitError
from calwatch.ledger.store import Ledger

sys.path[:0] = [str(Path(__file__).parents[1] / "service")]

from fakes import NOON, make_job, make_result  # noqa: E402  (found only now)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger.open(url)
    job = make_job(1)
    ledger.record(make_result(job), job.exposure, NOON)
    ledger.close()
    path = tmp_path / "calwatch.yaml"
    path.write_text(f"repo: /nowhere\ninstruments: [LATISS]\nledger: {url}\n")
    return path


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka and a registry that do not answer."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("SCHEMA_MANAGER_REGISTRY_URL", "http://127.0.0.1:9")


def replay(config: Path, *words: str):
    command = ["replay", "--config", str(config), *words]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def test_it_needs_kafka(config: Path) -> None:
    with pytest.raises(StopError, match="KAFKA_BOOTSTRAP_SERVERS"):
        replay(config, "-I", "LATISS")


def test_it_needs_a_registry(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    with pytest.raises(StopError, match="SCHEMA_MANAGER_REGISTRY_URL"):
        replay(config, "-I", "LATISS")


@pytest.mark.usefixtures("kafka")
@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["-I", "LSSTCam"], "has nothing of LSSTCam"),
        (["-I", "LATISS", "--from", "20261121"], "has nothing of LATISS"),
        (["-I", "LATISS", "--exposure", "7"], "has nothing of LATISS"),
        (["-I", "LATISS", "--from", "2026"], "--from: 2026 is not a day"),
        (["-I", "LATISS", "--to", "20261132"], "--to: 20261132 is not a day"),
        (["-I", "NoCam"], "NoCam"),
    ],
)
def test_wrong_use_is_told(config: Path, words: list[str], cause: str) -> None:
    with pytest.raises(StopError, match=cause):
        replay(config, *words)


@pytest.mark.usefixtures("kafka")
def test_a_registry_out_of_reach_is_exit_3(config: Path) -> None:
    with pytest.raises(WaitError, match=r"schema registry http://127\.0\.0\.1:9") as caught:
        replay(config, "-I", "LATISS")
    assert caught.value.exit_code == 3
