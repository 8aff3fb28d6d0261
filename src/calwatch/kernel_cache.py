"""Kernels that came compiled with an image: used where they are, though nobody may write there.

numba takes a folder of compiled code only if it may write to it. So the folder it is given is one
of links to the files that came with the image: nothing is copied and nothing compiled. What is
compiled all the same, if anything, replaces no shipped file but stands beside the links.

Compiled code fits one kind of processor. What ships is compiled for baselines of x86-64 psABI, not
for the machine that built the image, and a machine takes the best one it can run. One that can run
none of them is told nothing of them: there numba compiles for that machine when a kernel is first
used.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

from calwatch.errors import StopError, WaitError

SHIPPED = "CALWATCH_KERNELS"
"""Environment: the folder of compiled kernels, with a folder for each baseline."""
CACHE, CPU, FEATURES = "NUMBA_CACHE_DIR", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"
"""Environment: what numba goes by."""

_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
BASELINES: Mapping[str, frozenset[str]] = {"x86-64-v4": _V4, "x86-64-v3": _V3}
"""What each needs of a processor, by Linux's names; the best first."""

CPUINFO = Path("/proc/cpuinfo")


def processor_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return what this machine's processor can do; nothing where that cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                return frozenset(value.split())
    return frozenset()


def compile_for(cpu: str, folder: Path, environment: MutableMapping[str, str]) -> None:
    """Have numba compile for a baseline, into a folder of its own.

    Must be called before numba is imported, in the process that works or in one above it.

    Raises
    ------
    StopError
        If this machine cannot run such code: kernels are compiled by being used.
    """
    if cpu not in BASELINES:
        raise StopError(f"--cpu {cpu}: known are {', '.join(BASELINES)}")
    lacking = BASELINES[cpu] - processor_flags()
    if lacking:
        raise StopError(f"--cpu {cpu}: this machine's processor lacks {', '.join(sorted(lacking))}")
    environment.update({CACHE: str(folder / cpu), CPU: cpu, FEATURES: ""})


def use_shipped_kernels(
    environment: MutableMapping[str, str] = os.environ, flags: frozenset[str] | None = None
) -> str | None:
    """Have numba use the kernels that came with an image, if any did and this machine can run them.

    Must be called before numba is imported; workers inherit it. Where somebody chose a processor by
    ``NUMBA_CPU_NAME``, that stands.

    Parameters
    ----------
    environment
        Read, and changed.
    flags
        Of the processor; this machine's if None.

    Returns
    -------
    str or None
        The baseline that is used.

    Raises
    ------
    StopError
        If the folder for the links is somebody else's: whoever puts files there has us run them.
    WaitError
        If the links cannot be written.
    """
    shipped = environment.get(SHIPPED)
    if not shipped or CPU in environment:
        return None
    able = processor_flags() if flags is None else flags
    fits = [cpu for cpu, needs in BASELINES.items() if needs <= able]
    cpu = next((cpu for cpu in fits if Path(shipped, cpu).is_dir()), None)
    if cpu is None:
        return None
    chosen = environment.get(CACHE)
    folder = Path(chosen or Path(tempfile.gettempdir(), f"calwatch-kernels-{os.getuid()}"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not chosen and folder.lstat().st_uid != os.getuid():
            raise StopError(f"{folder} is not ours: remove it, or set {CACHE}")
        _link(Path(shipped, cpu), folder)
    except OSError as error:
        raise WaitError(
            f"{folder}: {error.strerror or error}; compiled kernels need a folder that can be "
            f"written to: mount one at {tempfile.gettempdir()}, or set {CACHE}"
        ) from error
    environment.update({CACHE: str(folder), CPU: cpu, FEATURES: ""})
    return cpu


def _link(source: Path, target: Path) -> None:
    """Make links to all files of a folder where nothing is yet; others may do so meanwhile."""
    for folder in source.iterdir():
        mine = target / folder.name
        mine.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            with suppress(FileExistsError):
                (mine / file.name).symlink_to(file)
