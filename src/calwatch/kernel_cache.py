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

import ast
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


def kernels_of(package: Path) -> dict[str, str]:
    """Return all kernels of a package: where numba keeps each below its folder, as a pattern.

    Read from the sources, so that none is overlooked that nobody has called.

    Parameters
    ----------
    package
        The folder of the package.

    Returns
    -------
    dict
        From names such as ``isr.clipped.clip`` to patterns of files.
    """
    found = {}
    for source in sorted(package.rglob("*.py")):
        module = ".".join(source.relative_to(package).with_suffix("").parts)
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(map(_is_kept, node.decorator_list)):
                # numba counts from the decorator, and tells folders apart by a hash.
                line = node.decorator_list[0].lineno
                file = f"{source.stem}.{node.name}-{line}.*.nbi"
                found[f"{module}.{node.name}"] = f"{source.parent.name}_*/{file}"
    return found


def not_compiled(package: Path, folder: Path) -> list[str]:
    """Return the names of the kernels of a package that have no compiled code in a folder."""
    return [name for name, file in kernels_of(package).items() if not any(folder.glob(file))]


def _is_kept(decorator: ast.expr) -> bool:
    """Tell whether it is numba's, asked to keep what it compiles."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Name):
        return False
    return decorator.func.id == "njit" and any(word.arg == "cache" for word in decorator.keywords)


def _link(source: Path, target: Path) -> None:
    """Make links to all files of a folder where nothing is yet; others may do so meanwhile."""
    for folder in source.iterdir():
        mine = target / folder.name
        mine.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            with suppress(FileExistsError):
                (mine / file.name).symlink_to(file)
