"""Everything that may be wrong with a ledger is said in words that name it and the cause."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from fakes import NOON, make_job, make_result
from sqlalchemy import event

from calwatch.errors import LedgerError
from calwatch.ledger.engine import LockedLedgerError, parse_url, shown_url
from calwatch.ledger.store import Ledger


def put(ledger: Ledger, number: int = 1) -> bool:
    job = make_job(number)
    return ledger.record(make_result(job), job.exposure, NOON)


def fill(ledger: Ledger) -> None:
    for number in range(2, 100):
        put(ledger, number)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://me:word@host/db", "only sqlite and postgresql"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("://nonsense", "cannot be read"),
        ("postgresql://host:port/db", "cannot be read"),
    ],
)
def test_urls_that_are_none(url: str, words: str) -> None:
    with pytest.raises(LedgerError, match=words) as caught:
        Ledger.open(url)
    assert ":word@" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_path_is_an_sqlite_file(tmp_path: Path) -> None:
    ledger = Ledger.open(str(tmp_path / "ledger.db"))
    assert put(ledger)
    ledger.close()
    assert (tmp_path / "ledger.db").exists()


def test_passwords_are_not_shown() -> None:
    assert "word" not in shown_url(parse_url("postgresql://me:word@host/db"))


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"ledger postgresql.*me:\*\*\*@.*no server") as caught:
        Ledger.open("postgresql://me:word@127.0.0.1:1/db")
    assert "word" not in str(caught.value)


@pytest.mark.services
def test_wrong_password_and_wrong_database(postgresql_url: str) -> None:
    with pytest.raises(LedgerError, match="password is wrong") as caught:
        Ledger.open(postgresql_url.replace("s3cret-word", "another-word"))
    assert "another-word" not in str(caught.value)
    with pytest.raises(LedgerError, match="no such database"):
        Ledger.open(postgresql_url + "_none")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"none/ledger.db: its folder is missing"):
        Ledger.open(f"sqlite:///{tmp_path}/none/ledger.db")


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"SIMPLE  =                    T" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db: the file is not an SQLite database"):
        Ledger.open(str(path))


def test_locked_by_another(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(str(path), busy_seconds=0.05, lock_attempts=2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LockedLedgerError, match=r"ledger\.db: another process holds its lock"):
        put(ledger)
    other.execute("COMMIT")
    other.close()
    assert put(ledger)
    ledger.close()


def test_a_lock_that_passes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(str(path), busy_seconds=0.01, lock_attempts=50)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.2, other.execute, ["COMMIT"])
    release.start()
    assert put(ledger)
    release.join()
    other.close()
    ledger.close()


def test_read_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(str(path)).close()
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    ledger = Ledger.open(url)
    with pytest.raises(LedgerError, match="it is read-only"):
        put(ledger)
    ledger.close()


def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(str(path))
    assert put(ledger, 1)

    @event.listens_for(ledger._engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    ledger._engine.dispose()
    with pytest.raises(LedgerError, match=r"ledger\.db: the disk is full"):
        fill(ledger)
    ledger.close()
    again = Ledger.open(str(path))
    kept = len(again.judged_keys("LATISS"))
    assert kept >= 1
    assert put(again, 99)
    assert len(again.judged_keys("LATISS")) == kept + 1
    again.close()
