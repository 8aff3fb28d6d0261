"""What is judged is found in InfluxDB again, by the way that Sasquatch takes it there."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
import sasquatch
from fakes import NOON, make_exposure, make_job, make_result, merge
from sasquatch import channel_to, publish
from telegraf_server import telegraf

from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.publish.channel import Channel
from calwatch.publish.schemas import build_schemas
from calwatch.verify.model import Verdict

pytestmark = pytest.mark.services

EXPOSURES = range(1, 6)
DETECTORS = range(3)
RECORDS = len(EXPOSURES) * (len(DETECTORS) + 1)


def level(number: int, detector: int) -> float:
    """The number put into amplifier C10."""
    return 10.0 * number + detector + 0.1


def take_a_night(ledger: Ledger) -> None:
    for number in EXPOSURES:
        kind = "flat" if number == 5 else "bias"
        exposure = make_exposure(number, kind=kind, physical_filter="SDSSr_65mm", band="r")
        for detector in DETECTORS:
            job = make_job(number, detector, kind=kind, physical_filter="SDSSr_65mm", band="r")
            verdict = Verdict.FAIL if (number, detector) == (2, 1) else Verdict.PASS
            result = make_result(job, verdict, value=level(number, detector))
            ledger.record(result, exposure, NOON)
        recorded = ledger.results("LATISS", exposure.exposure_id)
        ledger.record_exposure(
            merge(recorded.results, exposure),
            exposure,
            NOON,
            expected=list(DETECTORS),
            last_judgement_id=recorded.last_judgement_id,
        )


async def publish_again(ledger: Ledger, channel: Channel) -> None:
    await channel.open()
    found = [channel.encoder.encode(stored) for stored in Outbox(ledger).stored("LATISS")]
    assert len(found) == RECORDS
    assert await channel.send(found) == [None] * RECORDS
    await channel.close()


def test_a_night_is_found_in_influxdb_once(
    tmp_path: Path, kafka_server, schema_registry, influxdb
) -> None:
    prefix = f"lsst.cp.s{uuid.uuid4().hex[:8]}"
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", publishing=True)
    take_a_night(ledger)

    def channel() -> Channel:
        schemas = build_schemas(prefix=prefix)
        return channel_to(kafka_server.bootstrap, schema_registry.url, schemas)

    asyncio.run(publish(ledger, channel()))
    influxdb.create_database(prefix)

    def points(record: str) -> int:
        return sasquatch.points(influxdb, prefix, f"{prefix}.{record}")

    def all_there(number: int, record: str) -> bool:
        return sasquatch.all_there(influxdb, prefix, f"{prefix}.{record}", number)

    topics = [prefix.replace(".", r"\.")]
    with telegraf(
        influxdb, kafka_server, schema_registry, topics=topics, database=prefix
    ) as connector:
        n_biases = 4 * len(DETECTORS)
        assert all_there(n_biases, "bias"), connector.log()
        assert all_there(len(DETECTORS), "flat"), connector.log()
        assert all_there(len(EXPOSURES), "exposure"), connector.log()

        first, last = (f"'{make_exposure(n).end_utc:%Y-%m-%dT%H:%M:%SZ}'" for n in (1, 4))
        rows = influxdb.query(
            f'SELECT mean("C10_MEAN") FROM "{prefix}"."autogen"."{prefix}.bias" '
            f"WHERE time >= {first} AND time <= {last} AND \"instrument\"='LATISS' "
            'GROUP BY time(30s), "detector" FILL(none)'
        )
        found = {(row["time"], row["detector"]): row["mean"] for row in rows}
        expected = {
            (round(make_exposure(n).end_utc.timestamp() * 1e9), str(d)): level(n, d)
            for n in range(1, 5)
            for d in DETECTORS
        }
        assert found == pytest.approx(expected, abs=1e-12)
        failed = influxdb.query(
            f'SELECT sum("n_amp_fail") FROM "{prefix}"."autogen"."{prefix}.bias" '
            'GROUP BY "detector"'
        )
        assert {row["detector"]: row["sum"] for row in failed} == {"0": 0, "1": 16, "2": 0}
        tags = influxdb.query(f'SHOW TAG KEYS ON "{prefix}" FROM "{prefix}.bias"')
        assert {row["tagKey"] for row in tags} == {
            "instrument", "detector", "physical_filter", "band", "dataset_tag",
        }  # fmt: skip
        fields = influxdb.query(f'SHOW FIELD KEYS ON "{prefix}" FROM "{prefix}.bias"')
        assert {row["fieldType"] for row in fields} == {"float", "string"}

        asyncio.run(publish_again(ledger, channel()))
        # One more, so that we know when what was sent again has gone through.
        late = make_job(99)
        ledger.record(make_result(late, value=1.0), late.exposure, NOON)
        asyncio.run(publish(ledger, channel()))
        assert all_there(n_biases + 1, "bias"), connector.log()
        assert points("flat") == len(DETECTORS)
        assert points("exposure") == len(EXPOSURES)
        series = influxdb.query(f'SHOW SERIES ON "{prefix}" FROM "{prefix}.bias"')
        assert len(series) == len(DETECTORS) + 1  # the late one has no filter of the others'
        errors = [line for line in connector.log().splitlines() if "level=ERROR" in line]
        assert errors == []
    ledger.close()
