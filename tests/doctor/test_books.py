"""The ledger in SQLite and PostgreSQL, with each thing wrong in turn."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy

from calwatch.doctor.books import look_at_ledger
from calwatch.doctor.model import Status
from calwatch.errors import LedgerError
from calwatch.ledger.store import Ledger


def statuses(case) -> list[tuple[Status, str]]:
    return [(one.status, one.says.partition(": ")[2] or one.says) for one in look_at_ledger(case)]


def test_sqlite(new_case, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    case = new_case()
    assert statuses(case) == [(Status.OK, "is not there yet; the daemon makes it")]
    assert not path.exists()
    Ledger.open(str(path)).close()
    version, answers = statuses(case)
    assert version == (Status.OK, "schema version 0007, as this calwatch has it")
    assert answers[1].startswith("answers and may be written; ")
    with sqlite3.connect(path) as database:
        for revision, status, words in (
            ("0004", Status.WARN, "schema version 0004; the next start brings it to 0007"),
            ("copying", Status.FAIL, "a copy into it is not finished"),
            ("0099", Status.FAIL, "schema version 0099 is of a newer calwatch (this one: 0007)"),
        ):
            database.execute("UPDATE alembic_version SET version_num = ?", [revision])
            database.commit()
            assert statuses(case)[0] == (status, words)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="not an SQLite database"):
        statuses(case)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_sqlite_without_rights(new_case, tmp_path: Path) -> None:
    Ledger.open(str(tmp_path / "ledger.db")).close()
    (tmp_path / "ledger.db").chmod(0o400)
    assert statuses(new_case()) == [(Status.FAIL, "the file may not be read and written")]


def test_sqlite_without_a_folder(new_case) -> None:
    ((status, says),) = statuses(new_case(ledger="/nowhere/ledger.db"))
    assert (status, says) == (Status.FAIL, "there is no folder /nowhere")


@pytest.mark.services
def test_postgresql(new_case, postgresql_url: str) -> None:
    case = new_case(ledger=postgresql_url)
    assert statuses(case)[0][1].endswith("is empty; the daemon makes the tables")
    Ledger.open(postgresql_url).close()
    assert [status for status, _ in statuses(case)] == [Status.OK, Status.OK]
    url = sqlalchemy.make_url(postgresql_url).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE ROLE reader LOGIN PASSWORD 'look-only'"))
        try:
            grant = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"
            connection.execute(sqlalchemy.text(grant))
            other = postgresql_url.replace("calwatch:", "reader:", 1)
            other = other.replace(str(url.password), "look-only")
            status, says = statuses(new_case(ledger=other))[-1]
            assert status is Status.FAIL
            assert says.endswith("this user may not write its tables")
            assert "look-only" not in says
        finally:
            connection.execute(sqlalchemy.text("DROP OWNED BY reader"))
            connection.execute(sqlalchemy.text("DROP ROLE reader"))
        alter = f"ALTER DATABASE {url.database} SET default_transaction_read_only = on"
        connection.execute(sqlalchemy.text(alter))
    engine.dispose()
    assert statuses(case)[-1][1].endswith("is read-only")
    with pytest.raises(LedgerError, match="user or password is wrong"):
        statuses(new_case(ledger=postgresql_url.replace(str(url.password), "wrong-word")))
    with pytest.raises(LedgerError, match="no server answers there"):
        statuses(new_case(ledger="postgresql://calwatch@127.0.0.1:9/calwatch"))
