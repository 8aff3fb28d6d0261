"""Kernels that came compiled: which are used, and that nobody writes to them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import calwatch
from calwatch.errors import StopError, WaitError
from calwatch.kernel_cache import (
    BASELINES,
    compile_for,
    kernels_of,
    not_compiled,
    processor_flags,
    use_shipped_kernels,
)

V3, V4 = BASELINES["x86-64-v3"], BASELINES["x86-64-v4"]

KERNEL = """
from numba import njit
@njit(cache=True)
def double(x):
    return 2 * x
print(double(PLACE), double.stats.cache_hits)
"""


def ship(folder: Path, *cpus: str) -> Path:
    for cpu in cpus:
        (folder / cpu / "isr_1").mkdir(parents=True)
        (folder / cpu / "isr_1" / "clip.nbi").write_text(cpu)
    return folder


@pytest.mark.parametrize(
    ("flags", "shipped", "used"),
    [
        (V4, ("x86-64-v3", "x86-64-v4"), "x86-64-v4"),
        (V4, ("x86-64-v3",), "x86-64-v3"),
        (V3, ("x86-64-v3", "x86-64-v4"), "x86-64-v3"),
        (V3, ("x86-64-v4",), None),
        (V3 - {"avx2"}, ("x86-64-v3", "x86-64-v4"), None),
        (frozenset(), ("x86-64-v3",), None),
    ],
)
def test_the_best_that_the_machine_can_run_is_used(
    tmp_path: Path, flags: frozenset[str], shipped: tuple[str, ...], used: str | None
) -> None:
    folder, cache = ship(tmp_path / "shipped", *shipped), tmp_path / "cache"
    environment = {"CALWATCH_KERNELS": str(folder), "NUMBA_CACHE_DIR": str(cache)}
    assert use_shipped_kernels(environment, flags) == used
    assert environment.get("NUMBA_CPU_NAME") == used
    if used is None:
        assert not cache.exists()  # numba compiles for this machine, where it may write
    else:
        assert (cache / "isr_1" / "clip.nbi").read_text() == used
        assert environment["NUMBA_CPU_FEATURES"] == ""


def test_a_choice_that_somebody_made_stands(tmp_path: Path) -> None:
    shipped = str(ship(tmp_path, "x86-64-v3"))
    environment = {"CALWATCH_KERNELS": shipped, "NUMBA_CPU_NAME": "generic"}
    assert use_shipped_kernels(environment, V4) is None
    assert environment["NUMBA_CPU_NAME"] == "generic"
    assert use_shipped_kernels({}, V4) is None


def test_what_is_there_already_is_left(tmp_path: Path) -> None:
    folder, cache = ship(tmp_path / "shipped", "x86-64-v3"), tmp_path / "cache"
    (cache / "isr_1").mkdir(parents=True)
    (cache / "isr_1" / "clip.nbi").write_text("compiled since")
    environment = {"CALWATCH_KERNELS": str(folder), "NUMBA_CACHE_DIR": str(cache)}
    assert use_shipped_kernels(environment, V3) == "x86-64-v3"
    assert (cache / "isr_1" / "clip.nbi").read_text() == "compiled since"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    folder, file = ship(tmp_path / "shipped", "x86-64-v3"), tmp_path / "file"
    file.touch()
    environment = {"CALWATCH_KERNELS": str(folder), "NUMBA_CACHE_DIR": str(file / "cache")}
    with pytest.raises(WaitError, match=r"file/cache: Not a directory; .*NUMBA_CACHE_DIR"):
        use_shipped_kernels(environment, V3)


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that all may write to, anybody may have made it, and numba runs what is there."""
    shipped = ship(tmp_path / "shipped", "x86-64-v3")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {"CALWATCH_KERNELS": str(shipped)}
    assert use_shipped_kernels(dict(environment), V3) == "x86-64-v3"
    made = tmp_path / f"calwatch-kernels-{os.getuid()}"
    assert made.stat().st_mode & 0o777 == 0o700
    mine = os.getuid()
    made.rename(tmp_path / f"calwatch-kernels-{mine + 1}")
    monkeypatch.setattr("os.getuid", lambda: mine + 1)
    with pytest.raises(StopError, match=r"calwatch-kernels-\d+ is not ours: remove it"):
        use_shipped_kernels(dict(environment), V3)


def test_compiling_for_what_this_machine_cannot_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("calwatch.kernel_cache.processor_flags", lambda: V3)
    with pytest.raises(StopError, match="x86-64-v4: this machine's processor lacks avx512bw"):
        compile_for("x86-64-v4", tmp_path, {})
    with pytest.raises(StopError, match="known are x86-64-v4, x86-64-v3"):
        compile_for("pdp-11", tmp_path, {})


def test_flags_are_those_of_the_processor(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx avx2\nprocessor\t: 1\n")
    assert processor_flags(file) == {"fpu", "avx", "avx2"}
    assert processor_flags(tmp_path / "none") == frozenset()


@pytest.mark.skipif(not processor_flags() >= V3, reason="needs a processor of x86-64-v3")
def test_numba_takes_what_shipped_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    source, shipped, cache = tmp_path / "kernel.py", tmp_path / "shipped", tmp_path / "cache"
    compiling: dict[str, str] = {}
    compile_for("x86-64-v3", shipped, compiling)

    def run(place: str, environment: dict[str, str]) -> str:
        source.write_text(KERNEL.replace("PLACE", "int(input())"))
        done = subprocess.run(
            [sys.executable, source], env=os.environ | environment, input=place,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    assert run("4", compiling) == "8 Counter()\n"
    before = {path: path.stat().st_mtime_ns for path in shipped.rglob("*")}
    using = {"CALWATCH_KERNELS": str(shipped), "NUMBA_CACHE_DIR": str(cache)}
    assert use_shipped_kernels(using, V3) == "x86-64-v3"
    assert run("5", using).startswith("10 Counter({(int64,): 1})")
    assert {path: path.stat().st_mtime_ns for path in shipped.rglob("*")} == before
    assert all(path.is_symlink() or path.is_dir() for path in cache.rglob("*"))


SEVERAL = """
from numba import njit

@njit(cache=True, nogil=True)
def outer(x):
    return inner(x) + 1

@njit(cache=True)
def inner(x):
    return 2 * x

@njit(cache=True)
def rare(x):
    return 3 * x

def plain(x):
    return outer(x)
"""


def test_a_kernel_that_nobody_called_is_told(tmp_path: Path) -> None:
    package, cache = tmp_path / "package", tmp_path / "cache"
    (package / "isr").mkdir(parents=True)
    (package / "isr" / "some.py").write_text(SEVERAL)
    names = ["isr.some.outer", "isr.some.inner", "isr.some.rare"]
    assert list(kernels_of(package)) == names
    assert not_compiled(package, cache) == names
    subprocess.run(
        [sys.executable, "-c", "import some; some.plain(3)"], cwd=package / "isr",
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)}, check=True,
    )  # fmt: skip
    assert not_compiled(package, cache) == ["isr.some.rare"]


def test_all_kernels_are_known_and_kept() -> None:
    """What is written otherwise would escape the check of ``calwatch warm-up``."""
    package = Path(calwatch.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    written = re.findall(r"@\S*(?:jit|vectorize|guvectorize|stencil|cfunc)\b", text)
    assert set(written) == {"@njit"}
    assert len(kernels_of(package)) == len(written)
