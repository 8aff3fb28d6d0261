"""Arrays on disk: made once for all processes, whole or not at all, bounded, never in the way."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calwatch.calibrations.array_store import ArrayStore, Entry, is_mapped, open_store

KILOBYTE = 1024
SLACK = 2 * KILOBYTE
"""More than the heads of the files of one entry."""


def entry(value: float = 1.0, size: int = 1000) -> Entry:
    return Entry({"plane": np.full(size, value)}, {"value": value})


def never() -> Entry:
    pytest.fail("made again")


@pytest.fixture
def store(tmp_path: Path) -> ArrayStore:
    return ArrayStore(tmp_path / "store", 10**6)


def test_without_a_folder_there_is_none(tmp_path) -> None:
    assert open_store("", 10**6) is None
    found = open_store(str(tmp_path / "new" / "store"), 10**6)
    assert found is not None
    found.get("a", entry)
    assert (tmp_path / "new" / "store" / "a").is_dir()


def warnings(logs: list[dict]) -> list[dict]:
    return [line for line in logs if line["log_level"] == "warning"]


def test_an_entry_is_made_once_and_mapped_by_everyone(store, tmp_path) -> None:
    first = store.get("a", entry)
    again = ArrayStore(tmp_path / "store", 10**6).get("a", never)
    for found in (first, again):
        assert found.metadata == {"value": 1.0}
        assert type(found.arrays["plane"]) is np.ndarray
        assert is_mapped(found.arrays["plane"])
        assert np.all(found.arrays["plane"] == 1.0)


@given(
    array=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=8),
    ),
    metadata=st.dictionaries(
        st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text() | st.floats()
    ),
)
def test_what_comes_back_is_what_was_put_in(tmp_path_factory, array, metadata) -> None:
    store = ArrayStore(tmp_path_factory.mktemp("store"), 10**6)
    found = store.get("a", lambda: Entry({"x": array}, metadata))
    assert found.arrays["x"].dtype == array.dtype
    assert found.arrays["x"].tobytes() == array.tobytes()
    np.testing.assert_equal(dict(found.metadata), metadata)


def test_writing_to_an_array_changes_nothing_for_others(store) -> None:
    store.get("a", entry).arrays["plane"][:] = 7.0
    assert np.all(store.get("a", never).arrays["plane"] == 1.0)


def test_an_error_of_the_maker_passes_and_leaves_nothing(store) -> None:
    for error in (ZeroDivisionError, OSError):
        with pytest.raises(error):
            store.get("a", lambda error=error: (_ for _ in ()).throw(error()))
    assert np.all(store.get("a", entry).arrays["plane"] == 1.0)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut, _flip, _empty, Path.unlink])
@pytest.mark.parametrize("name", ["plane.npy", "entry.json"])
def test_a_damaged_entry_is_made_anew(store, tmp_path, name, damage) -> None:
    store.get("a", entry)
    damage(tmp_path / "store" / "a" / name)
    found = store.get("a", lambda: entry(2.0))
    assert np.all(found.arrays["plane"] == 2.0)
    assert np.all(store.get("a", never).arrays["plane"] == 2.0)


def test_the_least_recently_used_makes_room(tmp_path) -> None:
    store = ArrayStore(tmp_path, 2 * 8000 + SLACK)
    for number, key in enumerate("ab"):
        store.get(key, entry)
        os.utime(tmp_path / key, (number, number))
    store.get("a", never)
    mapped = store.get("b", never).arrays["plane"]
    os.utime(tmp_path / "b", (0, 0))
    store.get("c", entry)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"a", "c"}
    assert np.all(mapped == 1.0), "what is mapped stays, though it was thrown away"


def test_what_a_crash_left_is_cleared_away(store, tmp_path) -> None:
    left = tmp_path / "store" / "a.partial"
    left.mkdir()
    (left / "plane.npy").write_bytes(b"half")
    store.get("a", entry)
    assert not left.exists()


def test_what_is_too_large_is_handed_out_with_one_warning(tmp_path) -> None:
    store = ArrayStore(tmp_path, 9000)
    store.get("small", entry)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            found = store.get("large", lambda: entry(size=2000))
            assert not is_mapped(found.arrays["plane"])
    (warning,) = warnings(logs)
    assert "16000 bytes are wanted" in warning["reason"]
    store.get("small", never)


def test_a_full_disk_is_no_hindrance(store, tmp_path, monkeypatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=0))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            assert np.all(store.get("a", entry).arrays["plane"] == 1.0)
    assert len(warnings(logs)) == 1


def test_a_disk_that_fills_while_it_is_written_leaves_nothing(store, tmp_path, monkeypatch) -> None:
    def save(path, array, **_options) -> None:
        Path(path).write_bytes(b"some of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    with structlog.testing.capture_logs() as logs:
        found = store.get("a", entry)
    assert np.all(found.arrays["plane"] == 1.0)
    assert "No space left" in warnings(logs)[0]["reason"]
    assert not [path for path in (tmp_path / "store").iterdir() if path.is_dir()]


def test_a_folder_that_cannot_be_made_is_no_hindrance(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        store = ArrayStore(tmp_path / "file" / "store", 10**6)
        for _ in range(2):
            assert np.all(store.get("a", entry).arrays["plane"] == 1.0)
    assert len(warnings(logs)) == 1


def _read_only(folder: str, answers) -> None:
    """Use a store that may only be read, as a user who is not root."""
    if os.geteuid() == 0:
        os.setuid(65534)
    with structlog.testing.capture_logs() as logs:
        store = ArrayStore(folder, 10**6)
        there = store.get("a", lambda: entry(2.0))
        absent = [store.get(key, lambda: entry(3.0)).arrays["plane"][0] for key in "bc"]
    answers.put((there.arrays["plane"][0], absent, len(warnings(logs))))


def test_a_read_only_folder_is_read_and_falls_back_to_memory(tmp_path_factory) -> None:
    folder = tmp_path_factory.getbasetemp() / "read_only"
    ArrayStore(folder, 10**6).get("a", entry)
    for path in [folder, *folder.parents]:
        if path.stat().st_uid == os.geteuid() and path.name.startswith(("pytest", "popen", "read")):
            path.chmod(0o755)
    folder.chmod(0o555)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_read_only, args=(str(folder), answers))
    process.start()
    assert answers.get(timeout=60) == (1.0, [3.0, 3.0], 1)
    process.join()


def _take_part(folder: str, number: int, counts, answers) -> None:
    """Ask for many entries at once with others, with room for half of them only."""
    store = ArrayStore(folder, 5 * 8000 + SLACK)
    wrong = 0
    for key in np.random.default_rng(number).integers(0, 10, 60):

        def make(key: int = key) -> Entry:
            with counts.get_lock():
                counts.value += 1
            return entry(float(key))

        found = store.get(f"k{key}", make)
        wrong += int(np.any(found.arrays["plane"] != key) or found.metadata["value"] != key)
    answers.put(wrong)


def _ask_once(folder: str, counts, answers) -> None:
    store = ArrayStore(folder, 10**6)
    for key in range(5):

        def make() -> Entry:
            with counts.get_lock():
                counts.value += 1
            return entry()

        store.get(f"k{key}", make)
    answers.put(0)


@pytest.mark.parametrize("part", [_take_part, _ask_once])
def test_processes_share_it(tmp_path, part) -> None:
    context = multiprocessing.get_context("fork")
    counts, answers = context.Value("i", 0), context.Queue()
    numbers = [(number,) if part is _take_part else () for number in range(4)]
    processes = [
        context.Process(target=part, args=(str(tmp_path), *number, counts, answers))
        for number in numbers
    ]
    for process in processes:
        process.start()
    assert [answers.get(timeout=60) for _ in processes] == [0] * 4
    for process in processes:
        process.join()
    assert not list(tmp_path.glob("*.partial"))
    if part is _ask_once:
        assert counts.value == 5, "each entry is made by one process only"
    else:
        held = [path for path in tmp_path.iterdir() if path.is_dir()]
        total = sum(file.stat().st_size for folder in held for file in folder.iterdir())
        assert total <= 5 * 8000 + SLACK


@pytest.mark.parametrize("key", ["../x", "a/b", "", ".", "..", "/etc", "a\0", "x" * 200, "a b"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    store = ArrayStore(tmp_path / "store", 1 << 20)
    with pytest.raises(ValueError, match="cannot be the name"):
        store.get(key, lambda: pytest.fail("nothing is made for it"))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
