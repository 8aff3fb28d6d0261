"""The schema comes from migrations, one process at a time, and never from the future."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from episodes import make_alarm, make_transition
from fakes import NOON, make_exposure, make_job, make_result, merge
from sqlalchemy import Connection, delete, select, text

from calwatch.errors import LedgerError
from calwatch.ledger import store
from calwatch.ledger.alarms import AlarmStore, Written
from calwatch.ledger.engine import open_engine, parse_url, writing
from calwatch.ledger.outbox import AlarmTold, Outbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import brief, metadata, outbox
from calwatch.ledger.upgrade import _config, schema_version, upgrade
from calwatch.verify.brief import brief_of, to_plain


@contextmanager
def migrating(ledger_url: str) -> Iterator[tuple[Connection, object]]:
    """Give a connection and a configuration to migrate with."""
    engine = open_engine(parse_url(ledger_url), 1.0)
    with writing(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        yield connection, config
    engine.dispose()


def everything(connection: Connection, tables: list[str]) -> dict[str, list[tuple]]:
    return {
        name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name} ORDER BY 1"))]
        for name in tables
    }


def test_migrations_make_the_tables_the_code_uses(ledger_url: str) -> None:
    engine = open_engine(parse_url(ledger_url), 1.0)
    assert schema_version(engine) is None
    assert upgrade(engine)
    assert not upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_postgresql_does_not_compress_what_is_compressed(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    engine = open_engine(parse_url(ledger_url), 1.0)
    if engine.dialect.name != "postgresql":
        engine.dispose()
        return
    with engine.connect() as connection:
        stored = connection.execute(
            text(
                "SELECT attrelid::regclass::text, attname FROM pg_attribute "
                "WHERE attstorage = 'e' AND attnum > 0 AND attrelid::regclass::text NOT LIKE 'pg_%'"
            )
        )
        assert {tuple(row) for row in stored} == {
            ("measured_array", "values"), ("judgement", "document"), ("brief", "content"),
        }  # fmt: skip
    engine.dispose()


def test_a_schema_from_the_future_is_refused(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    engine = open_engine(parse_url(ledger_url), 1.0)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="'later' is not known") as caught:
        Ledger.open(ledger_url)
    assert caught.value.exit_code == 3


def test_many_may_open_an_empty_ledger_at_once(ledger_url: str) -> None:
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            Ledger.open(ledger_url).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def record(ledger: Ledger, number: int) -> None:
    job = make_job(number)
    assert ledger.record(make_result(job, value=float(number)), job.exposure, NOON)
    exposure = make_exposure(number)
    recorded = ledger.results("LATISS", exposure.exposure_id)
    ledger.record_exposure(
        merge(recorded.results, exposure), exposure, NOON, expected=[0], last_judgement_id=number
    )


def test_a_ledger_without_alarms_keeps_all_it_has(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the version before wrote is there, and the outbox goes on from its last number."""
    with migrating(ledger_url) as (connection, config):
        command.upgrade(config, "0002")
    old = Ledger(open_engine(parse_url(ledger_url), 1.0), publishing=True)
    with monkeypatch.context() as patch:
        # As a version did that had no table of briefs.
        rows = store._belonging
        patch.setattr(store, "_belonging", lambda *given: {**rows(*given), brief: []})
        record(old, 1)
        record(old, 2)
    sent = delete(outbox).where(outbox.c.id > 2)
    old.write(lambda c: c.execute(sent), "test")
    old.close()
    tables = ["judgement", "measurement", "provenance", "exposure_verdict", "outbox"]
    with migrating(ledger_url) as (connection, _):
        before = everything(connection, tables)
    assert [len(rows) for rows in before.values()] == [2, 6, 2, 2, 2]

    ledger = Ledger.open(ledger_url, publishing=True, alarming=True)
    with migrating(ledger_url) as (connection, _):
        after = everything(connection, tables)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert [row[:-1] for row in after.pop("outbox")] == before.pop("outbox")
    assert after == before
    written = ledger.read(lambda c: c.execute(select(brief.c.judgement_id, brief.c.content)).all())
    expected = [to_plain(brief_of(make_result(make_job(n), value=float(n)))) for n in (1, 2)]
    assert [row.content for row in written] == [json.loads(json.dumps(one)) for one in expected]
    alarm = make_alarm()
    work = Written({}, [alarm], [make_transition(alarm)])
    AlarmStore(ledger).step("LSSTCam", lambda _: work, "test")
    *_, last = Outbox(ledger).pending(9)
    assert (last.outbox_id, type(last.stored.told)) == (5, AlarmTold)
    record(ledger, 3)
    assert [one.exposure_id for one in AlarmStore(ledger).queued(9)] == [
        make_exposure(3).exposure_id
    ]
    ledger.close()


def test_every_step_can_be_taken_back(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    with migrating(ledger_url) as (connection, config):
        command.downgrade(config, "0002")
        command.upgrade(config, "head")
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        command.downgrade(config, "base")
        assert everything(connection, ["alembic_version"]) == {"alembic_version": []}
