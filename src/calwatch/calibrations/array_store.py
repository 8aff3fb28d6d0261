"""Arrays on disk that all processes of a machine share: written once, mapped into memory by each.

An entry is a folder: one ``.npy`` file an array, and ``entry.json`` with the metadata and a
checksum of each array. It is written under another name and renamed, so it is there whole or not at
all, whatever ends the writer. What is damaged is thrown away and made anew. Mapped pages belong to
the page cache of the system: processes share them, and the system takes them back when it must.

The folder must be on a local disk (or in ``/dev/shm``), for its locks hold on one machine only.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from calwatch.arrays import AnyArray

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ENTRY = "entry.json"
_PARTIAL = ".partial"
_SPACE = "space"
_KEY_LOCKS = 64
"""Files that lock keys; two keys with the same one only wait for each other."""
_DAMAGED = (KeyError, TypeError, ValueError, EOFError, OSError)
"""What comes of reading an entry that is incomplete or damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Named arrays with what is to be known of them."""

    arrays: Mapping[str, AnyArray]
    metadata: Mapping[str, Any]
    """Plain data, as JSON holds it; anything else becomes its text."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())


class _NoRoomError(Exception):
    """The entry does not fit the bound or the disk; the message says which."""


class ArrayStore:
    """A folder of entries, the least recently used thrown away first.

    Safe to share between threads and processes. While one makes an entry, others that want the same
    wait for it. Where the store cannot be written, what was made is handed out from memory and a
    warning is logged, once; what stands in the folder can still be read.

    Parameters
    ----------
    folder
        Made if it does not exist, for this user only.
    max_bytes
        Upper bound of the sizes of all entries. Entries that are thrown away while a process has
        them mapped leave the disk when it lets go of them.
    """

    def __init__(self, folder: str | Path, max_bytes: int) -> None:
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._warned = False
        self._tried(lambda: self._folder.mkdir(mode=0o700, parents=True, exist_ok=True))

    def get(self, key: str, make: Callable[[], Entry]) -> Entry:
        """Return an entry with its arrays mapped, making it if it is not there.

        Arrays are copied on write: a process that writes to one changes nothing for others.

        Parameters
        ----------
        key
            Names one unchanging content; letters, digits, ``-`` and ``_``.
        make
            Gives the content. An error it raises passes through and nothing is kept.

        Raises
        ------
        ValueError
            If the key holds anything else: it becomes the name of a folder.
        """
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key[:60]!r} cannot be the name of an entry")
        found = self._read(key)
        if found is not None:
            return found
        with ExitStack() as held:
            if not self._tried(lambda: held.enter_context(self._locked(_lock_of(key)))):
                return make()
            found = self._read(key)  # another process may have made it meanwhile
            if found is None:
                made = make()
                kept = self._tried(lambda: self._write(key, made))
                found = self._read(key) if kept else None
            return found or made

    def _read(self, key: str) -> Entry | None:
        """Map an entry; None if there is none, or it is not what was written."""
        folder = self._folder / key
        try:
            content = json.loads((folder / _ENTRY).read_text(encoding="utf-8"))
            arrays = {
                name: _mapped(folder / f"{name}.npy", checksum)
                for name, checksum in content["checksums"].items()
            }
            entry = Entry(arrays, content["metadata"])
        except _DAMAGED:
            return None
        with suppress(OSError):  # a store that may only be read has no order of use
            os.utime(folder)
        return entry

    def _write(self, key: str, entry: Entry) -> None:
        """Write an entry whole or not at all. One process writes at a time."""
        with self._locked(_SPACE):
            self._make_room(key, entry.nbytes)
            partial = self._folder / f"{key}{_PARTIAL}"
            try:
                partial.mkdir()
                for name, array in entry.arrays.items():
                    np.save(partial / f"{name}.npy", array, allow_pickle=False)
                checksums = {name: _checksum(array) for name, array in entry.arrays.items()}
                text = json.dumps(
                    {"checksums": checksums, "metadata": dict(entry.metadata)}, default=str
                )
                (partial / _ENTRY).write_text(text, encoding="utf-8")
                partial.rename(self._folder / key)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise

    def _make_room(self, key: str, needed: int) -> None:
        """Throw away what a crash left, a damaged entry of that key, and the longest unused."""
        held: list[tuple[float, int, Path]] = []
        for folder in self._folder.iterdir():
            if folder.name == key or folder.name.endswith(_PARTIAL):
                shutil.rmtree(folder)
            elif folder.is_dir():
                size = sum(file.stat().st_size for file in folder.iterdir())
                held.append((folder.stat().st_mtime, size, folder))
        total = sum(size for _, size, _ in held)
        room = min(self._max_bytes, total + shutil.disk_usage(self._folder).free)
        if needed > room:
            raise _NoRoomError(f"{needed} bytes are wanted, and there is room for {room}")
        for _, size, folder in sorted(held):
            if total + needed <= room:
                break
            shutil.rmtree(folder)
            total -= size

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold a lock that the system gives back when its process ends, however it ends."""
        with (self._folder / f"{name}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _tried(self, action: Callable[[], object]) -> bool:
        """Do something that the disk may refuse; log the first refusal."""
        try:
            action()
        except (OSError, _NoRoomError) as error:
            if not self._warned:
                self._warned = True
                structlog.get_logger("calwatch").warning(
                    "certified calibrations are not shared; each worker keeps its own",
                    folder=str(self._folder),
                    reason=str(error),
                )
            return False
        return True


def open_store(folder: str, max_bytes: int) -> ArrayStore | None:
    """Return the store that the settings ask for; None if they name no folder."""
    return ArrayStore(folder, max_bytes) if folder else None


def is_mapped(array: AnyArray) -> bool:
    """Tell whether an array is mapped from a file, so that it takes no memory of the process."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def _lock_of(key: str) -> str:
    return f"key{zlib.crc32(key.encode()) % _KEY_LOCKS:02d}"


def _mapped(path: Path, checksum: int) -> AnyArray:
    """Map an array, copied on write, as a plain array (kernels are compiled for those)."""
    array: AnyArray = np.load(path, mmap_mode="c", allow_pickle=False).view(np.ndarray)
    if _checksum(array) != checksum:
        raise ValueError(f"{path}: damaged")
    return array


def _checksum(array: AnyArray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)
