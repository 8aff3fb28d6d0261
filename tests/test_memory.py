"""Freed memory stays with the process, and what is not written takes none."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest

from calwatch.memory import untouched


def test_freed_memory_is_kept_for_the_next_frame():
    """In a process of its own, since it lasts as long as the process."""
    code = """
import resource
import numpy as np
from calwatch.memory import hold_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(4_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

told = hold_memory()
faults()
print(told, faults())
"""
    told, faults = _of_another_process(code).split()
    if platform.libc_ver()[0] == "glibc":
        assert told == "True"
        assert int(faults) < 100
    else:  # a libc that cannot be told
        assert told == "False"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
@pytest.mark.parametrize("room", ["np.empty(shape, np.uint8)", "untouched(shape, np.uint8)"])
def test_little_of_much_room_takes_little_memory(room):
    """Every 2 MB hold one number; large pages would be 100 MB."""
    code = f"""
import numpy as np
from pathlib import Path
from calwatch.memory import hold_memory, untouched

def own():
    status = Path("/proc/self/status").read_text().split("RssAnon:")[1]
    return int(status.split()[0]) / 1024

hold_memory()
shape, before = (50, 2**21), own()
room = {room}
room[:, 0] = 1
print(own() - before)
"""
    assert float(_of_another_process(code)) < 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another libc cannot be told")
def test_what_was_freed_can_be_given_back():
    code = """
import numpy as np
from pathlib import Path
from calwatch.memory import give_back, hold_memory

def own():
    status = Path("/proc/self/status").read_text().split("RssAnon:")[1]
    return int(status.split()[0]) / 1024

hold_memory()
before, large, small = own(), np.ones(2**26, np.uint8), np.ones(2**16, np.uint8)
del large
held = own() - before
give_back()
print(held, own() - before)
"""
    held, left = map(float, _of_another_process(code).split())
    assert held > 60
    assert left < 10


@pytest.mark.parametrize("shape", [(0,), (3,), (40, 50)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_untouched_is_zeros(shape, dtype):
    array = untouched(shape, dtype)
    assert array.dtype == dtype
    assert array.flags.writeable
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, np.zeros(shape))
    array[...] = 1
    assert (array == 1).all()


def _of_another_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout
