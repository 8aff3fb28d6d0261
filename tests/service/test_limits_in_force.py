"""New limits are taken whole, told field by field, or refused whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from structlog.testing import capture_logs

from calwatch.service import limits_in_force
from calwatch.service.limits_in_force import LimitsInForce
from calwatch.verify.limits import Limits, shipped_directory

Write = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "limits.yaml"
    path.write_text((shipped_directory() / "dmtn101.yaml").read_text())
    return path


@pytest.fixture
def write(path: Path) -> Write:
    """Change the file: its version, and the serious limit of the first test."""

    def change(version: str | None = None, serious: object = None, **fields: Any) -> None:
        content = yaml.safe_load(path.read_text()) | fields
        if version is not None:
            content["version"] = version
        if serious is not None:
            content["tests"][0]["limits"][-1]["serious"] = serious
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    return change


def reload(limits: LimitsInForce) -> dict[str, Any]:
    """Read again; return the one line that is logged."""
    with capture_logs() as logs:
        limits._log = structlog.get_logger("calwatch")
        asyncio.run(limits.reload())
    (line,) = logs
    return line


def test_new_limits_come_into_force_and_are_told(path: Path, write: Write) -> None:
    limits = LimitsInForce(str(path))
    old, heard = limits.current, []
    limits.listen(heard.append)
    write("2031-01-01", serious=0.77)
    line = reload(limits)
    assert heard == [limits.current]
    assert limits.current.version == "2031-01-01"
    assert limits.current.digest != old.digest
    assert (line["event"], line["log_level"]) == ("new limits in force", "info")
    assert line["before"] == old.label
    assert line["limits"] == "dmtn101 2031-01-01"
    first, *tests = line["changes"]
    assert first == f'file: version: "{old.version}" -> "2031-01-01"'
    spec = old.tests[0]
    number = len(spec.limits) - 1
    assert len(tests) == len(spec.calib_types)
    name = f"{spec.calib_types[0]} {spec.level} {spec.name}"
    assert tests[0].startswith(f"{name}: limits.{number}.serious: ")
    assert tests[0].endswith(" -> 0.77")


def test_nothing_new(path: Path) -> None:
    limits = LimitsInForce(str(path))
    path.write_text(f"# a remark\n{path.read_text()}")
    assert reload(limits)["event"] == "limits read again: nothing has changed"


@pytest.mark.parametrize("spoil", ["not yaml", "wrong", "same version", "gone"])
def test_wrong_ones_are_refused_whole(path: Path, write: Write, spoil: str) -> None:
    limits = LimitsInForce(str(path))
    old, heard = limits.current, []
    limits.listen(heard.append)
    if spoil == "not yaml":
        path.write_text("profile: dmtn101\ntests: [")
        words = ["is not YAML", "line 3"]
    elif spoil == "wrong":
        write("2031-01-01", serious="much", colour="red")
        words = [f"{path}:", "test 1", "serious", "colour"]
    elif spoil == "same version":
        write(serious=0.77)
        words = ["its version has not", f"another one than '{old.version}'"]
    else:
        path.unlink()
        words = ["cannot be read"]
    line = reload(limits)
    assert line["event"] == "new limits refused, the old ones go on"
    assert line["log_level"] == "error"
    for word in (str(path), *words):
        assert word in line["reason"]
    assert limits.current is old
    assert heard == []


def test_limits_are_plain_data_that_workers_can_be_given(path: Path) -> None:
    import pickle

    limits = LimitsInForce(str(path)).current
    again = pickle.loads(pickle.dumps(limits))
    assert isinstance(again, Limits)
    assert again == limits
    assert again.digest == limits.digest


def test_of_two_calls_at_once_the_second_reads_after_the_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, reading, most = LimitsInForce(str(path)), [], []
    load = limits_in_force.load_limits

    def slowly(source: str) -> Limits:
        reading.append(source)
        most.append(len(reading))
        time.sleep(0.05)
        reading.pop()
        return load(source)

    monkeypatch.setattr(limits_in_force, "load_limits", slowly)

    async def both() -> None:
        await asyncio.gather(limits.reload(), limits.reload())

    with capture_logs():
        asyncio.run(both())
    assert most == [1, 1]
