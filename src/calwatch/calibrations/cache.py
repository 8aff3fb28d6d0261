"""A cache of certified calibrations that never holds more than its share of memory."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from calwatch.calibrations.array_store import ArrayStore, is_mapped
from calwatch.calibrations.images import IMAGE_TYPES
from calwatch.calibrations.model import ImageCalibration
from calwatch.calibrations.read import Calibration
from calwatch.calibrations.shared import shared_image
from calwatch.camera.model import Detector

T = TypeVar("T")


def array_bytes(value: Any) -> int:
    """Return the bytes of all arrays in a dataclass, sequence or mapping, however deep.

    Arrays that are mapped from a file count nothing: their memory is not the process's own.
    """
    if isinstance(value, np.ndarray):
        return 0 if is_mapped(value) else int(value.nbytes)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(array_bytes(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, (tuple, list)):
        return sum(map(array_bytes, value))
    if isinstance(value, Mapping):
        return sum(map(array_bytes, value.values()))
    return 0


class CalibrationCache:
    """Least-recently-used cache bounded by the bytes of the arrays it holds.

    A dataset UUID names one unchanging file, so an entry never grows stale. Safe to share between
    threads; a calibration is loaded without holding the lock, so two threads asking for the same
    one at once may both load it, and the first to finish is kept.

    Parameters
    ----------
    max_bytes
        Upper bound of the sum of array sizes. A calibration larger than this is handed out but
        not kept.
    store
        Where the processes of this machine share decompressed images; None if they do not.
    """

    def __init__(self, max_bytes: int, store: ArrayStore | None = None) -> None:
        self._max_bytes = max_bytes
        self._store = store
        self._entries: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays now held."""
        return self._bytes

    @property
    def hits(self) -> int:
        """How many calls were answered from memory."""
        return self._hits

    @property
    def misses(self) -> int:
        """How many calls had to load."""
        return self._misses

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key_uuid: str, load: Callable[[], T]) -> T:
        """Return the entry of that dataset UUID, loading it if it is not held.

        An error raised by ``load`` passes through and nothing is kept.
        """
        with self._lock:
            entry = self._entries.get(key_uuid)
            if entry is not None:
                self._entries.move_to_end(key_uuid)
                self._hits += 1
                return cast(T, entry[0])
            self._misses += 1
        loaded = load()
        size = array_bytes(loaded)
        with self._lock:
            entry = self._entries.get(key_uuid)
            if entry is not None:
                return cast(T, entry[0])
            if size <= self._max_bytes:
                self._entries[key_uuid] = (loaded, size)
                self._bytes += size
                self._shrink()
        return loaded

    def calibration(
        self, key_uuid: str, calib_type: str, detector: Detector, read: Callable[[], Calibration]
    ) -> Calibration:
        """Return a certified calibration: from memory, from the store (images), or from its file.

        Parameters
        ----------
        key_uuid
            Dataset UUID.
        calib_type
            Butler dataset type.
        detector
            The detector it is to be used for.
        read
            Reads its file, as `calwatch.calibrations.read.read_calibration` does.

        Raises
        ------
        CalibrationError
            If it cannot be used; what ``read`` raises passes through.
        """
        store = self._store
        if store is None or calib_type not in IMAGE_TYPES:
            return self.get(key_uuid, read)
        # The reader of an image type gives an image.
        image = cast(Callable[[], ImageCalibration], read)
        return self.get(key_uuid, lambda: shared_image(store, key_uuid, detector, image))

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _shrink(self) -> None:
        while self._bytes > self._max_bytes:
            _, (_, size) = self._entries.popitem(last=False)
            self._bytes -= size
