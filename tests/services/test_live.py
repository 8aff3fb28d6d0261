"""The whole way, with nothing in place of anything: an event on Kafka becomes numbers on Kafka.

``calwatch run`` as a process of its own on a simulated Butler repository; the observatory's events
written by Confluent's serializer, what is published read by Confluent's deserializer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live import Live, until

from calwatch.butler.repository import Repository
from calwatch.ledger.store import Ledger
from calwatch.simulate.live import add_exposures

pytestmark = pytest.mark.services


@pytest.fixture
def live(nights, tmp_path: Path, kafka_server, schema_registry) -> Iterator[Live]:
    root = nights.registry(tmp_path)
    deployment = Live(root, tmp_path, nights.camera_file, kafka_server, schema_registry)
    deployment.root = root
    deployment.start()
    yield deployment
    if deployment.process is not None and deployment.process.poll() is None:
        deployment.process.kill()
        deployment.process.wait()
    print(deployment.log.read_text())


def take(live: Live, biases: int) -> list[Any]:
    """Take and ingest exposures; return their records."""
    new = add_exposures(live.root, biases=biases, darks=0, flats=0)
    with Repository.open(live.root) as repository:
        return repository.exposures("MiniCam", exposure_ids=new)


def test_an_event_becomes_numbers_and_nothing_is_lost(live: Live) -> None:
    exposures = take(live, 2)
    for record in exposures:
        for _twice in range(2):
            live.sal.ingested("MiniCam", record.obs_id, "R00", "S00", component="MNOODS")
    live.sal.raw(live.sal.topic("MNOODS", "logevent_imageInOODS"), b"garbage")
    live.sal.flush()

    records = live.published("bias", 2)
    ledger = Ledger.open(str(live.ledger_path))
    assert [r["exposure_id"] for r in records] == [e.exposure_id for e in exposures]
    for record, exposure in zip(records, exposures, strict=True):
        assert record["timestamp"] == exposure.end_utc.timestamp()
        assert (record["instrument"], record["detector"]) == ("MiniCam", "0")
        (result,) = ledger.results("MiniCam", exposure.exposure_id).results
        assert record["verdict"] == result.verdict.value
        for amp, of_amp in result.amps.items():
            for name in ("MEAN", "NOISE", "CR_NOISE", "READ_NOISE"):
                if name in of_amp.metrics:
                    assert record[f"{amp}_{name}"] == of_amp.metrics[name]
    merged = live.published("exposure", 2)
    assert [m["exposure_id"] for m in merged] == [e.exposure_id for e in exposures]
    until(
        lambda: live.metric("calwatch_events_undecodable_total") == 1, "the garbage in the counts"
    )

    ready = httpx.get(f"http://127.0.0.1:{live.port}/readyz")
    says = {check["name"]: check["says"] for check in ready.json()["checks"]}
    assert ready.status_code == 200, says
    assert says["workers"] == "1 of 1 live"
    assert "logevent_imageInOODS[0] at 5, 0 behind" in says["kafka"]
    assert httpx.get(f"http://127.0.0.1:{live.port}/healthz").status_code == 200
    assert live.metric("calwatch_exposures_judged_total") == 2
    assert live.metric("calwatch_step_seconds_count") >= 2 * 5

    # An exposure was read out and its file never comes.
    live.sal.readout("MN_O_20260401_000001", component="MNCamera")
    live.sal.flush()
    (missing,) = live.published("completeness", 1)
    assert missing["exposure_id"] == 2026040100001
    assert missing["n_missing"] == missing["n_expected"] == 2.0

    # While nobody is there an exposure is taken and its event sent; then all of it is found.
    assert live.end() == 0
    (later,) = take(live, 1)
    live.sal.ingested("MiniCam", later.obs_id, "R00", "S00", component="MNOODS")
    live.sal.flush()
    live.start()
    records = live.published("bias", 3)
    assert records[2]["exposure_id"] == later.exposure_id
    assert len({r["event_id"] for r in records}) == 3
    assert live.end() == 0
    assert "Traceback" not in live.log.read_text()


def test_an_event_that_is_ahead_of_its_file_is_waited_for(live: Live) -> None:
    truth_before = {path.name for path in (live.root / "raws").rglob("*.fits")}
    with Repository.open(live.root) as repository:
        last = max(e.day_obs for e in repository.exposures("MiniCam"))
    expected = f"MN_O_{last + 1}_000001"
    live.sal.ingested("MiniCam", expected, "R00", "S00", component="MNOODS")
    live.sal.flush()
    until(lambda: live.metric("calwatch_events_noted_total") >= 1, "the notice")
    (record,) = take(live, 1)
    assert record.obs_id == expected
    assert record.obs_id not in truth_before
    (found,) = live.published("bias", 1)
    assert found["exposure_id"] == record.exposure_id
    assert live.end() == 0
