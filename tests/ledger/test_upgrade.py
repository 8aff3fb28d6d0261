"""The schema comes from migrations, one process at a time, and never from the future."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from calwatch.errors import LedgerError
from calwatch.ledger.engine import open_engine, parse_url
from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import metadata
from calwatch.ledger.upgrade import schema_version, upgrade


def test_migrations_make_the_tables_the_code_uses(ledger_url: str) -> None:
    engine = open_engine(parse_url(ledger_url), 1.0)
    assert schema_version(engine) is None
    assert upgrade(engine)
    assert not upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
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
