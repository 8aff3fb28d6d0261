"""Freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys


def test_freed_memory_is_kept_for_the_next_frame():
    """In a process of its own, since it lasts as long as the process."""
    code = """
import resource
import numpy as np
from calwatch.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(4_000_000, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

told = keep_freed_memory()
faults()
print(told, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, faults = done.stdout.split()
    if platform.libc_ver()[0] == "glibc":
        assert told == "True"
        assert int(faults) < 100
    else:  # a libc that cannot be told
        assert told == "False"
