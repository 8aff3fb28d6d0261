"""The commands of the ledger, on real ledgers; what they refuse, and how they say so."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from calwatch.cli.main import main as entry
from calwatch.ledger import copying
from calwatch.ledger.store import Ledger

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / name) for name in ("ledger", "services", "service", "alarms")]

import postgresql  # noqa: E402  (found only now)
from ledgers import Life, everything, lived  # noqa: E402


@pytest.fixture
def command(capsys, monkeypatch):
    """Run `calwatch ledger …`; return (exit code, output, errors)."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["calwatch", "ledger", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            entry()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a ledger that has lived."""
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(str(path), publishing=True, alarming=True)
    lived(ledger)
    ledger.close()
    return path


def everything_in(url: object) -> object:
    ledger = Ledger.open(str(url))
    found = everything(ledger)
    ledger.close()
    return found


def test_info(command, path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    code, out, _ = command("info", path, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["name"].endswith("/ledger.db")
    assert found["schema"] == found["newest_schema"]
    assert found["rows"]["judgement"] == 6
    assert found["size"] >= path.stat().st_size
    (latiss,) = found["judged"]
    assert (latiss["exposures"], latiss["days"], latiss["first_day"]) == (3, 1, 20261120)
    assert found["waiting"] == found["rows"]["outbox"] > 0
    config = tmp_path / "calwatch.yaml"
    config.write_text(
        yaml.safe_dump({"repo": "/repo", "instruments": "LATISS", "ledger": str(path)})
    )
    code, out, _ = command("info", config)
    assert code == 0
    assert "3 exposures, 1 days, 20261120 to 20261120" in out
    assert "daemon's last word  2026-11-20 18:00:00 UTC" in out
    assert path.read_bytes() == before


def test_what_is_not_there_is_not_made(command, tmp_path: Path) -> None:
    for words in (["info"], ["upgrade"], ["backup"], ["copy"]):
        more = [tmp_path / "to.db"] if words[0] in ("backup", "copy") else []
        code, _, err = command(*words, tmp_path / "no.db", *more)
        assert code == 2
        assert "no.db" in err
        assert "there is no such file" in err
    assert list(tmp_path.iterdir()) == []


def test_upgrade(command, path: Path) -> None:
    code, out, _ = command("upgrade", path)
    assert (code, out) == (0, "schema version: was already 0007\n")
    with sqlite3.connect(path) as database:
        database.executescript("DROP TABLE brief; DROP TABLE set_member;")
        database.execute("UPDATE alembic_version SET version_num = '0004'")
    code, out, err = command("copy", path, path.with_name("new.db"))
    assert code == 2
    assert "`calwatch ledger upgrade` brings an older one up to date" in err
    code, out, _ = command("info", path)
    assert "schema version      0004 (newest: 0007)" in out
    code, out, _ = command("upgrade", path, "--json")
    assert json.loads(out) == {"before": "0004", "after": "0007"}
    assert len(everything_in(path)["brief"]) == 6


def test_a_backup_is_whole_though_the_daemon_writes(command, path: Path, tmp_path: Path) -> None:
    ended, number = threading.Event(), 0
    ledger = Ledger.open(str(path), publishing=True, alarming=True)

    def work() -> None:
        nonlocal number
        life = Life(ledger)
        while not ended.is_set():
            number += 1
            life.judge(100 + number)

    daemon = threading.Thread(target=work)
    daemon.start()
    code, out, _ = command("backup", path, tmp_path / "backup.db")
    ended.set()
    daemon.join()
    ledger.close()
    assert code == 0
    assert out.endswith("bytes, checked\n")
    held, all_of_it = everything_in(tmp_path / "backup.db"), everything_in(path)
    for table, rows in held.items():
        assert set(map(repr, rows)) <= set(map(repr, all_of_it[table]))
    judged = len(held["judgement"])
    assert judged >= 6
    assert len(held["brief"]) == judged
    code, _, err = command("backup", path, tmp_path / "backup.db")
    assert code == 2
    assert "backup.db: exists already" in err


def test_a_ledger_of_any_name_is_backed_up(command, path: Path, tmp_path: Path) -> None:
    odd = path.rename(tmp_path / "50%25 of it? #1.db")
    code, _, _ = command("backup", odd, tmp_path / "backup.db")
    assert code == 0
    assert len(everything_in(tmp_path / "backup.db")["judgement"]) >= 6


def test_a_damaged_ledger_makes_no_backup(command, path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spoiled = bytearray(path.read_bytes())
    spoiled[len(spoiled) // 2 : len(spoiled) // 2 + 8192] = b"\xff" * 8192
    path.write_bytes(spoiled)
    code, _, err = command("backup", path, tmp_path / "backup.db")
    assert code == 3
    assert "malformed" in err or "is damaged" in err
    assert not list(tmp_path.glob("*backup*"))


@pytest.mark.services
def test_copy_to_postgresql(command, path: Path, postgresql_url: str) -> None:
    code, out, err = command("copy", path, postgresql_url)
    assert code == 0, err
    assert "the same on both sides" in out
    assert postgresql.PASSWORD not in out + err
    assert everything_in(postgresql_url) == everything_in(path)
    code, _, err = command("copy", path, postgresql_url, "--json")
    assert code == 2
    assert "is not empty" in err
    assert postgresql.PASSWORD not in err
    code, _, err = command("backup", postgresql_url, path.with_name("dump"))
    assert code == 2
    assert "pg_dump --format=custom" in err
    code, out, _ = command("info", postgresql_url, "--json")
    assert json.loads(out)["rows"]["judgement"] == 6
    assert postgresql.PASSWORD not in out
    code, out, _ = command("copy", postgresql_url, path.with_name("back.db"), "--json")
    assert json.loads(out)["tables"]["judgement"]["rows"] == 6
    assert everything_in(path.with_name("back.db")) == everything_in(path)


@pytest.mark.services
def test_out_of_reach_is_3(command, path: Path) -> None:
    code, _, err = command("copy", path, "postgresql://calwatch@127.0.0.1:9/nothing")
    assert code == 3
    assert "no server answers there" in err


def test_info_tells_of_an_unfinished_copy(
    command, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_compare", broken)
        code, _, err = command("copy", path, tmp_path / "new.db")
    assert (code, err.strip().splitlines()[-1]) == (130, "calwatch: stopped")
    _, out, _ = command("info", tmp_path / "new.db")
    assert f"unfinished copy of  sqlite:///{path}" in out
    code, out, _ = command("copy", path, tmp_path / "new.db")
    assert code == 0
    assert "(went on where it stood)" in out
    assert "unfinished" not in command("info", tmp_path / "new.db")[1]


@pytest.mark.services
def test_the_daemon_goes_on_with_the_copy_as_if_nothing_had_been(
    command, nights, tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is judged stays judged, what is not yet is judged after the move, in PostgreSQL."""
    chosen = [nights.jobs[3, "bias", n].exposure.exposure_id for n in (1, 9)]

    def run(ledger: str, exposures: list[int]) -> list[str]:
        config = tmp_path / "calwatch.yaml"
        content = {
            "repo": str(nights.root), "instruments": ["MiniCam"], "camera": nights.camera_file,
            "ledger": ledger, "where": f"exposure IN ({', '.join(map(str, exposures))})",
            "look_back_days": None, "workers": 1, "alarms": {"cadence_hours": {}},
        }  # fmt: skip
        config.write_text(yaml.safe_dump(content))
        code = "from calwatch.cli.main import main; main()"
        words = [sys.executable, "-c", code, "run", "--once", "-c", str(config)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode in (0, 1), done.stderr
        return [json.loads(line)["event"] for line in done.stderr.splitlines()]

    path = tmp_path / "first.db"
    assert "exposure judged" in run(f"sqlite:///{path}", chosen[:1])
    monkeypatch.setattr(copying, "SILENT_SECONDS", 0.0)  # the daemon has ended just now
    assert command("copy", path, postgresql_url)[0] == 0
    assert run(postgresql_url, chosen).count("exposure judged") == 1
    ledger = Ledger.open(postgresql_url)
    assert {key[0] for key in ledger.judged_keys("MiniCam")} == set(chosen)
    ledger.close()
