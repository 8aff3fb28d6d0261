from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calwatch.butler.files import local_copy, local_path
from calwatch.errors import UnreachableFileError


def test_local_files_are_used_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a file#1.fits"
    path.write_bytes(b"content")
    for uri in (str(path), path.as_uri()):
        if "#" in uri and "://" not in uri:
            continue
        with local_copy(uri) as local:
            assert local == path
    assert local_path("s3://bucket/key.fits") is None
    assert path.exists()


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "scheme"])
def test_what_cannot_be_fetched_is_named(tmp_path: Path, kind: str) -> None:
    uri = {
        "missing": (tmp_path / "gone.fits").as_uri(),
        "folder": tmp_path.as_uri(),
        "empty": "",
        "scheme": "nothing://host/gone.fits",
    }[kind]
    expected = {"missing": "gone.fits", "folder": str(tmp_path), "empty": "no file"}
    with pytest.raises(UnreachableFileError, match=expected.get(kind, "gone.fits")):
        local_copy(uri).__enter__()


def test_errors_of_the_user_of_a_copy_pass_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="mine"), local_copy(str(path)):
        raise FileNotFoundError("mine")


def test_local_files_need_nothing_of_the_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(b"")
    code = (
        "import sys; from calwatch.butler.files import local_copy\n"
        f"with local_copy({path.as_uri()!r}) as p: assert p.exists()\n"
        "assert not any(name.startswith('lsst') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
