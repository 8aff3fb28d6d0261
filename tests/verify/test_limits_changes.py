"""The difference of two limits files is whole: made to the one, it gives the other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calwatch.verify.limits import Limits, load_limits, shipped_directory
from calwatch.verify.limits_changes import NOTHING, Change, apply, changes, fields

CONTENT: dict[str, Any] = yaml.safe_load((shipped_directory() / "dmtn101.yaml").read_text())


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("limits") / "limits.yaml"

    def read(content: dict[str, Any]) -> Limits:
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return load_limits(path)

    return read


@pytest.fixture(scope="module")
def shipped() -> list[Limits]:
    return [load_limits(name) for name in ("dmtn101", "cp_verify")]


def test_between_the_shipped_profiles_and_back(shipped: list[Limits]) -> None:
    one, other = shipped
    assert apply(fields(one), changes(one, other)) == fields(other)
    assert apply(fields(other), changes(other, one)) == fields(one)
    assert changes(one, one) == []
    assert one.digest != other.digest


def test_one_limit_one_line(read) -> None:
    content = copy.deepcopy(CONTENT)
    test = next(t for t in content["tests"] if t["name"] == "NOISE" and "bias" in t["calib_types"])
    entry = test["limits"][-1]
    old, entry["serious"] = entry["serious"], 0.99
    number = len(test["limits"]) - 1
    expected = [
        Change(f"{kind} amp NOISE", f"limits.{number}.serious", old, 0.99)
        for kind in test["calib_types"]
    ]
    found = changes(read(CONTENT), read(content))
    assert found == expected
    assert str(found[0]).endswith(f"bias amp NOISE: limits.{number}.serious: {old} -> 0.99")


def test_whole_tests_come_and_go(read) -> None:
    content = copy.deepcopy(CONTENT)
    gone = content["tests"].pop(0)
    found = changes(read(CONTENT), read(content))
    assert {c.test.split()[-1] for c in found} == {gone["name"]}
    assert all(c.new is NOTHING for c in found)
    assert all(str(c).endswith("-> nothing") for c in found)


limit = st.floats(0.5, 100.0)


@given(data=st.data())
def test_making_the_changes_gives_the_new_limits(read, data: st.DataObject) -> None:
    """Limits, dates, overrides, alarms and whole tests are changed at random."""
    both = [copy.deepcopy(CONTENT), copy.deepcopy(CONTENT)]
    for content in both:
        count = len(content["tests"])
        for number in data.draw(st.lists(st.integers(0, count - 1), max_size=3, unique=True)):
            _change(content["tests"][number], data)
        for number in sorted(
            data.draw(st.sets(st.integers(0, count - 1), max_size=2)), reverse=True
        ):
            del content["tests"][number]
        content["version"] = data.draw(st.sampled_from(["2026-11-22", "2026-11-23"]))
    old, new = map(read, both)
    found = changes(old, new)
    assert apply(fields(old), found) == fields(new)
    assert all(c.old is not c.new for c in found)
    assert (not found) == (old.digest == new.digest) == (old.tests == new.tests
        and old.version == new.version)  # fmt: skip


def _change(test: dict[str, Any], data: st.DataObject) -> None:
    what = data.draw(st.sampled_from(["override", "counts", "alarm", "later"]))
    if what == "override":
        amps = data.draw(st.lists(st.sampled_from(["C00", "C01"]), unique=True))
        new = {"instrument": "LATISS", "amps": amps, "counts": False, "reason": "dead"}
        test["overrides"] = [*test.get("overrides", []), new]
    elif what == "counts":
        test["counts"] = not test.get("counts", True)
    elif what == "alarm":
        test["alarm"] = {"serious": {"raise": "2 of 4", "clear": "2 of 2"}}
    else:
        last = {k: v for k, v in test["limits"][-1].items() if k != "from"}
        test["limits"] = [*test["limits"], {**last, "from": "2031-01-01"}]


def test_the_digest_is_of_what_is_said(tmp_path: Path) -> None:
    text = (shipped_directory() / "dmtn101.yaml").read_text()
    (tmp_path / "other.yaml").write_text(f"# a remark\n{text}\n# another\n")
    assert load_limits(tmp_path / "other.yaml").digest == load_limits("dmtn101").digest
