"""A copied ledger is the ledger: it answers the same, goes on the same, and is never half a one."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import postgresql
import pytest
from fakes import make_exposure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import Life, everything, lived
from sqlalchemy import text, update

from calwatch.errors import LedgerError, StopError
from calwatch.ledger import copying, plain_rows
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.copying import DifferentCopyError, RefusedCopyError, copy_ledger
from calwatch.ledger.engine import open_engine, parse_url, writing
from calwatch.ledger.files import open_reader
from calwatch.ledger.outbox import Outbox
from calwatch.ledger.store import Ledger
from calwatch.ledger.turn import PUBLISH, take_turn
from calwatch.ledger.upgrade import schema_version

NewUrl = Callable[[str], str]

PAIRS = [
    pytest.param(("sqlite", "postgresql"), marks=pytest.mark.services, id="to-postgresql"),
    pytest.param(("postgresql", "sqlite"), marks=pytest.mark.services, id="to-sqlite"),
    pytest.param(("sqlite", "sqlite"), id="sqlite"),
]


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewUrl]:
    """Return the URL of one more empty ledger of a kind."""
    numbers, opened = itertools.count(), []

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'ledger-{next(numbers)}.db'}"
        made = postgresql.database(request.getfixturevalue("postgresql_server"))
        opened.append(made)
        return made.__enter__()

    yield make
    for made in opened:
        made.__exit__(None, None, None)


@pytest.fixture
def urls(request: pytest.FixtureRequest, new_url: NewUrl) -> tuple[str, str]:
    """Source and target."""
    source, target = request.param if hasattr(request, "param") else ("sqlite", "sqlite")
    return new_url(source), new_url(target)


def open_all(url: str) -> Ledger:
    return Ledger.open(url, publishing=True, alarming=True)


def fill(url: str, exposures: int = 3) -> None:
    ledger = open_all(url)
    lived(ledger, exposures)
    ledger.close()


def answers(ledger: Ledger) -> list[object]:
    """Ask what the daemon, the page and the publisher ask."""
    alarms = AlarmStore(ledger)
    return [
        ledger.judged_keys("LATISS"),
        [ledger.results("LATISS", make_exposure(n).exposure_id).results for n in range(1, 5)],
        ledger.exposures("LATISS"),
        ledger.last_values("LATISS", 0, "C05", "bias", "NOISE", 5),
        [(row.outbox_id, row.stored.what, row.stored.told) for row in Outbox(ledger).pending(99)],
        alarms.open_alarms(),
        alarms.queued(99),
        alarms.beats(),
    ]


@pytest.mark.parametrize("urls", PAIRS, indirect=True)
def test_a_copy_holds_and_answers_the_same(urls: tuple[str, str]) -> None:
    fill(urls[0])
    heard = []
    copied = copy_ledger(*urls, listener=lambda *news: heard.append(news))
    source, target = open_all(urls[0]), open_all(urls[1])
    assert everything(target) == everything(source)
    assert answers(target) == answers(source)
    assert {name: held.rows for name, held in copied.tables.items()} == {
        name: len(rows) for name, rows in everything(source).items()
    }
    assert copied.tables["judgement"].rows == 6
    assert not copied.resumed
    assert ("copying", "judgement", 6, 6) in heard
    assert ("comparing", "judgement", 1, 1) in heard
    source.close()
    target.close()


@pytest.mark.parametrize("urls", PAIRS, indirect=True)
def test_a_copy_goes_on_where_its_source_stood(urls: tuple[str, str]) -> None:
    """New rows are numbered on, also where the last ones have been published and are gone."""
    ledger = open_all(urls[0])
    lived(ledger)
    Life(ledger).publish(99)
    ledger.close()
    copy_ledger(*urls)
    told = []
    for url in urls:
        ledger = open_all(url)
        assert Outbox(ledger).size() == 0
        life = Life(ledger)
        life.judge(7)
        life.merge(7)
        life.raise_alarm(9)
        told.append(answers(ledger))
        ledger.close()
    assert told[0] == told[1]


happenings = st.lists(
    st.one_of(
        st.tuples(
            st.just("judge"),
            st.integers(1, 4),
            st.integers(0, 2),
            st.floats(-1e30, 1e30),
            st.sampled_from(["f0", "f1"]),
        ),
        st.tuples(st.just("merge"), st.integers(1, 4)),
        st.tuples(
            st.just("expect"),
            st.integers(1, 4),
            st.none() | st.lists(st.integers(0, 3), max_size=3, unique=True),
        ),
        st.tuples(st.just("raise_alarm"), st.integers(1, 3)),
        st.tuples(st.just("publish"), st.integers(1, 3)),
        st.tuples(st.just("beat")),
    ),
    max_size=12,
)


@pytest.mark.services
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=happenings, more=happenings, portion=st.integers(1, 5))
def test_there_and_back_again_whatever_happened(
    new_url: NewUrl, life: list[tuple], more: list[tuple], portion: int
) -> None:
    """Through PostgreSQL and back a ledger is what it was, and then goes on as the first does."""
    urls = new_url("sqlite"), new_url("postgresql"), new_url("sqlite")
    ledger = open_all(urls[0])
    _let_happen(ledger, life)
    wanted = everything(ledger), answers(ledger)
    ledger.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_rows, "SMALL_ROWS", portion)
        patch.setattr(plain_rows, "LARGE_ROWS", portion)
        there = copy_ledger(urls[0], urls[1])
        back = copy_ledger(urls[1], urls[2])
    assert back.tables == there.tables
    after = []
    for url in urls:
        ledger = open_all(url)
        assert (everything(ledger), answers(ledger)) == wanted
        _let_happen(ledger, more)
        after.append(answers(ledger))
        ledger.close()
    assert after[0] == after[1] == after[2]


def _let_happen(ledger: Ledger, happenings: list[tuple]) -> None:
    life = Life(ledger)
    for what, *words in happenings:
        if what == "judge":
            number, detector, value, fingerprint = words
            life.judge(number, detector, value, fingerprint=fingerprint)
        else:
            getattr(life, what)(*words)


@pytest.mark.parametrize(
    ("urls", "after"),
    [
        pytest.param(("sqlite", "postgresql"), 4, marks=pytest.mark.services),
        pytest.param(("postgresql", "sqlite"), 9, marks=pytest.mark.services),
        (("sqlite", "sqlite"), 1),
        (("sqlite", "sqlite"), 12),
    ],
    indirect=["urls"],
)
def test_interrupted_it_goes_on_and_no_daemon_starts_on_a_half(
    urls: tuple[str, str], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(urls[0])
    written: list[str] = []
    write = plain_rows.write

    def breaking(connection, table, rows) -> None:
        write(connection, table, rows)
        written.append(table.name)
        if len(written) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(plain_rows, "SMALL_ROWS", 2)
    monkeypatch.setattr(plain_rows, "LARGE_ROWS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(plain_rows, "write", breaking)
        with pytest.raises(KeyboardInterrupt):
            copy_ledger(*urls)
    with pytest.raises(LedgerError, match="copy into it is not finished"):
        open_all(urls[1])
    heard = []
    copied = copy_ledger(*urls, listener=lambda *news: heard.append(news))
    assert copied.resumed
    first = next(done for what, table, done, _total in heard if table == "judgement")
    assert first == min(6, 2 * sum(name == "judgement" for name in written[:-1]))
    source, target = open_all(urls[0]), open_all(urls[1])
    assert everything(target) == everything(source)
    source.close()
    target.close()


@pytest.mark.services
def test_a_server_that_breaks_off_is_named_and_the_copy_goes_on(
    new_url: NewUrl, postgresql_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = new_url("sqlite"), new_url("postgresql")
    fill(source)
    monkeypatch.setattr(plain_rows, "LARGE_ROWS", 2)
    claim = copying._claim
    claims: list[int] = []

    def break_off(connection, engine, progress) -> None:
        claim(connection, engine, progress)
        claims.append(1)
        if len(claims) == 5:
            database = target.rpartition("/")[2]
            other = open_engine(parse_url(postgresql_server), 1.0)
            with writing(other) as server:
                ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                server.execute(text(ask), {"name": database})
            other.dispose()

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_claim", break_off)
        with pytest.raises(LedgerError, match=r"^ledger postgresql.*: ") as caught:
            copy_ledger(source, target)
    assert caught.value.exit_code == 3
    assert postgresql.PASSWORD not in str(caught.value)
    assert copy_ledger(source, target).resumed


@pytest.mark.services
def test_text_that_postgresql_cannot_hold_is_named(new_url: NewUrl) -> None:
    source, target = new_url("sqlite"), new_url("postgresql")
    fill(source)
    with sqlite3.connect(source.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE judgement SET reason = 'a' || char(0) || 'b' WHERE id = 3")
    with pytest.raises(LedgerError, match="NUL"):
        copy_ledger(source, target)


def test_a_target_that_holds_something_is_refused(new_url: NewUrl) -> None:
    source, other, target = (new_url("sqlite") for _ in range(3))
    fill(source)
    fill(other)
    with pytest.raises(RefusedCopyError, match=r"not empty .*table alarm has 1 rows") as caught:
        copy_ledger(source, other)
    assert caught.value.exit_code == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "_copy_table", _raise)
        with pytest.raises(KeyboardInterrupt):
            copy_ledger(source, target)
    with pytest.raises(RefusedCopyError, match=r"unfinished copy of .*ledger-0.db, not of .*1.db"):
        copy_ledger(other, target)
    with pytest.raises(RefusedCopyError, match="is itself a copy that is not finished"):
        copy_ledger(target, new_url("sqlite"))
    with pytest.raises(RefusedCopyError, match="source and target are the same"):
        copy_ledger(source, source.removeprefix("sqlite:///"))
    with pytest.raises(StopError, match="there is no such file"):
        copy_ledger(new_url("sqlite"), target)


def _raise(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("urls", PAIRS[:2], indirect=True)
def test_a_ledger_that_a_daemon_writes_to_is_refused(urls: tuple[str, str]) -> None:
    fill(urls[0])
    ledger = open_all(urls[0])
    Life(ledger).beat(datetime.now(UTC) - timedelta(seconds=3))
    with pytest.raises(RefusedCopyError, match=r"a daemon said 3 s ago that it works with it"):
        copy_ledger(*urls)
    Life(ledger).beat(datetime.now(UTC) - timedelta(seconds=61))
    ledger.close()
    engine = open_engine(parse_url(urls[0]), 1.0)
    turn = take_turn(engine, PUBLISH)
    assert turn is not None
    if engine.dialect.name == "postgresql":
        with pytest.raises(RefusedCopyError, match="a daemon holds a lock of it"):
            copy_ledger(*urls)
    copy_ledger(*urls, running=True)
    turn.end()
    engine.dispose()


def test_a_source_of_another_schema_is_refused_and_left_alone(new_url: NewUrl) -> None:
    source = new_url("sqlite")
    fill(source)
    with sqlite3.connect(source.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(RefusedCopyError, match="its schema version is 0003, that of this"):
        copy_ledger(source, new_url("sqlite"))
    engine = open_engine(parse_url(source), 1.0)
    assert schema_version(engine) == "0003"
    engine.dispose()


@pytest.mark.parametrize("urls", PAIRS, indirect=True)
def test_the_source_is_only_read(urls: tuple[str, str]) -> None:
    fill(urls[0])
    engine = open_reader(parse_url(urls[0]))
    with (
        pytest.raises(LedgerError, match="read-only"),
        writing(engine) as connection,
    ):
        connection.execute(text("DELETE FROM brief"))
    engine.dispose()


SPOILED = [
    "UPDATE judgement SET reason = 'x' WHERE id = 2",
    "DELETE FROM brief WHERE judgement_id = 1",
    "UPDATE measured_array SET \"values\" = X'00' WHERE judgement_id = 1",
    "UPDATE alarm SET acknowledged = 1",
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_copy_that_differs_is_found_and_stays_unfinished(new_url: NewUrl, spoil: str) -> None:
    source, target = new_url("sqlite"), new_url("sqlite")
    fill(source)
    finish = copying._compare

    def compare(connection, engine, tell):
        with writing(engine) as other:
            other.execute(text(spoil))
        return finish(connection, engine, tell)

    table = next(name for name in spoil.split() if name.islower())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "_compare", compare)
        with pytest.raises(DifferentCopyError, match=rf"(?s)begin again.*{table}: \d rows"):
            copy_ledger(source, target)
    with pytest.raises(LedgerError, match="not finished"):
        Ledger.open(target)


def test_two_copies_at_once_do_not_mix(new_url: NewUrl) -> None:
    """Each writes only if the target is as it left it itself."""
    source, target = new_url("sqlite"), new_url("sqlite")
    fill(source)
    claim = copying._claim

    def claim_late(connection, engine, progress) -> None:
        other = {"judgement": {"key": [1], "rows": 1}}
        connection.execute(update(copying._state).values(reached=other))
        claim(connection, engine, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "_claim", claim_late)
        with pytest.raises(RefusedCopyError, match="another process copies into it as well"):
            copy_ledger(source, target)
    assert copy_ledger(source, target).resumed
