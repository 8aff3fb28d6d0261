"""Starts and stops a real PostgreSQL on a free port, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from absence import absent
from running import free_port

PASSWORD = "s3cret-word"


def binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def as_server_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root: become its own user where we are root."""
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam("postgres")
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--", *command]


@contextmanager
def server() -> Iterator[str]:
    """Run a server; give the URL of its administrative database."""
    bin_folder = binaries()
    if bin_folder is None:
        absent("PostgreSQL", "initdb is neither in /usr/lib/postgresql nor on the path")
    assert bin_folder is not None
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            absent("PostgreSQL", "running as root and there is no user `postgres` to become")
    folder = Path(tempfile.mkdtemp(prefix="calwatch-postgresql-"))
    try:
        word = folder / "password"
        word.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, word):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        data, port = folder / "data", free_port()
        make = ["-D", data, "-U", "calwatch", f"--pwfile={word}", "--auth=scram-sha-256"]
        _call([bin_folder / "initdb", *make, "-E", "UTF8", "--no-sync"], folder)
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        start = ["-D", data, "-l", folder / "log", "-w", "-o", f"{options} -c fsync=off", "start"]
        _call([bin_folder / "pg_ctl", *start], folder)
        try:
            yield f"postgresql://calwatch:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _call([bin_folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(command: list[object], folder: Path) -> None:
    words = as_server_user([str(word) for word in command])
    with (folder / "out").open("ab") as out:
        done = subprocess.run(words, cwd=folder, stdout=out, stderr=out, timeout=120)
    if done.returncode:
        logs = [path.read_text() for path in (folder / "out", folder / "log") if path.exists()]
        pytest.fail(f"{words} failed:\n" + "\n".join(logs))


@contextmanager
def database(administrative_url: str) -> Iterator[str]:
    """Make an empty database on the server; give its URL; drop it afterwards."""
    name = f"calwatch_{uuid.uuid4().hex[:12]}"
    url = sqlalchemy.make_url(administrative_url).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        yield administrative_url.rsplit("/", 1)[0] + f"/{name}"
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()
