"""The cache keeps what was used last and never more than its bound."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.cache import CalibrationCache, array_bytes


def test_bytes_of_a_calibration_are_those_of_its_arrays(bias) -> None:
    assert array_bytes(bias) == 3 * 4 * bias.image.size
    assert array_bytes((np.zeros(3), [np.zeros(2)], {"a": np.zeros(1)}, None, "words")) == 48


def test_an_entry_is_loaded_once() -> None:
    cache = CalibrationCache(1000)
    first = cache.get("a", lambda: np.zeros(10))
    assert cache.get("a", lambda: pytest.fail("loaded again")) is first
    assert (cache.hits, cache.misses, cache.nbytes, len(cache)) == (1, 1, 80, 1)


def test_the_least_recently_used_goes_first() -> None:
    cache = CalibrationCache(160)
    for key in "ab":
        cache.get(key, lambda: np.zeros(10))
    cache.get("a", lambda: pytest.fail("loaded again"))
    cache.get("c", lambda: np.zeros(10))
    cache.get("a", lambda: pytest.fail("a was dropped"))
    loaded = []
    cache.get("b", lambda: loaded.append(1))
    assert loaded == [1]


def test_what_is_larger_than_the_bound_is_handed_out_but_not_kept() -> None:
    cache = CalibrationCache(100)
    cache.get("small", lambda: np.zeros(10))
    assert cache.get("large", lambda: np.zeros(100)).size == 100
    assert (len(cache), cache.nbytes) == (1, 80)


def test_a_failed_load_leaves_nothing() -> None:
    cache = CalibrationCache(100)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert len(cache) == 0
    cache.get("a", lambda: np.zeros(1))
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 30)), max_size=60))
def test_the_bound_holds_after_every_call(calls) -> None:
    cache = CalibrationCache(400)
    for key, size in calls:
        cache.get(str(key), lambda size=size: np.zeros(size))
        assert cache.nbytes <= 400


def test_threads_share_it() -> None:
    cache = CalibrationCache(800)
    wrong = []

    def work(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 20, 300):
            value = cache.get(str(number), lambda number=number: np.full(10, number))
            if value[0] != number:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cache.nbytes == 80 * len(cache) <= 800
