"""The walls of the house: imports go down, the core is pure, the daemon cannot write a Butler."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "calwatch"

# Each package may import itself, the root modules, and what is named here.
ALLOWED: dict[str, set[str]] = {
    "camera": set(),
    "butler": {"camera"},
    "calibrations": {"camera"},
    "isr": {"calibrations", "camera"},
    "verify": {"isr", "calibrations", "camera"},
    "kafka": set(),
    "arrivals": {"kafka", "butler.model", "verify", "camera"},
    "alarms": {"verify", "camera"},
    "alarms.deliver": {"alarms", "kafka"},
    "ledger": {
        "alarms.model",
        "alarms.codec",
        "alarms.lateness",
        "arrivals.model",
        "verify",
        "butler.model",
    },
    "publish": {"kafka", "ledger", "alarms.model", "verify", "camera"},
    "service": {
        "publish",
        "alarms",
        "alarms.deliver",
        "kafka",
        "arrivals",
        "ledger",
        "verify",
        "isr",
        "calibrations",
        "butler",
        "camera",
    },
    "doctor": {
        "service",
        "publish",
        "alarms",
        "alarms.deliver",
        "kafka",
        "arrivals",
        "ledger",
        "verify",
        "isr",
        "butler",
        "camera",
    },
    "dashboards": {"service", "publish", "arrivals", "alarms.model", "verify"},
    "plots": {"verify", "camera"},
    "web": {
        "plots",
        "service",
        "ledger",
        "alarms",
        "alarms.deliver",
        "verify",
        "butler.times",
        "camera",
    },
    "report": {"plots", "service", "ledger", "alarms", "verify", "butler.times", "camera"},
    "offline": {"verify", "isr", "calibrations", "butler", "camera"},
    "simulate": {"offline", "verify", "isr", "calibrations", "butler", "camera"},
}
INNER = ("alarms.deliver",)
"""Packages within a package that are held to walls of their own."""
PURE = ("isr", "verify", "alarms")
IMPURE_MODULES = {
    "aiokafka", "apprise", "asyncio", "httpx", "lsst", "requests", "socket", "sqlalchemy",
    "sqlite3", "time",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Return the dotted names of everything a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(package: str) -> list[Path]:
    """Return the files of a package, less those of packages within it that have their own walls."""
    inner = [SOURCE.joinpath(*name.split(".")) for name in INNER if name.startswith(f"{package}.")]
    found = sorted(SOURCE.joinpath(*package.split(".")).rglob("*.py"))
    assert found, f"{package} is empty"
    return [path for path in found if not any(path.is_relative_to(folder) for folder in inner)]


def within(name: str, package: str) -> bool:
    """Tell whether a module is of a package, and not of one within it that is not named."""
    closer = [inner for inner in INNER if inner.startswith(f"{package}.")]
    mine = name == package or name.startswith(f"{package}.")
    return mine and not any(within(name, inner) for inner in closer)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_go_down(package: str) -> None:
    packages = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    allowed = ALLOWED[package] | {package}
    for path in files(package):
        for name in imports(path):
            if not name.startswith("calwatch."):
                continue
            inner = name.removeprefix("calwatch.")
            if inner.split(".")[0] not in packages:
                continue
            assert any(within(inner, ok) for ok in allowed), (
                f"{path.relative_to(SOURCE)} imports {name}"
            )


@pytest.mark.parametrize("package", PURE)
def test_core_is_pure(package: str) -> None:
    for path in files(package):
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & IMPURE_MODULES, f"{path.relative_to(SOURCE)}: {roots & IMPURE_MODULES}"


def test_the_daemon_leaves_the_kernels_to_its_workers() -> None:
    """They set themselves up meanwhile; numba and scipy take seconds to import."""
    lines = [f"import {name}" for name in ("calwatch.cli.run", "calwatch.cli.running", "sys")]
    lines += ["print(sorted({'numba', 'scipy'} & sys.modules.keys()))"]
    command = [sys.executable, "-c", "; ".join(lines)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "[]"


def test_daemon_has_no_way_to_write_a_butler() -> None:
    daemon = [p for name in ALLOWED if name not in {"offline", "simulate"} for p in files(name)]
    commands = [SOURCE / "cli" / f"{name}.py" for name in ("run", "running", "verify")]
    for path in [*daemon, *commands]:
        for name in imports(path):
            assert not name.startswith(("calwatch.offline", "calwatch.simulate")), (
                f"{path.relative_to(SOURCE)} imports {name}"
            )
        text = path.read_text(encoding="utf-8")
        assert "writeable=True" not in text, path
