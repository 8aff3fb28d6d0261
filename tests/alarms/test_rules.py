"""The alarm rules are checked on load, and every mistake in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from calwatch.alarms.model import Kind, Severity
from calwatch.alarms.rules import load_rules, shipped_rules
from calwatch.errors import StopError
from calwatch.verify.metrics import TESTS


def altered(tmp_path: Path, change) -> Path:
    content = yaml.safe_load(shipped_rules().read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_every_test_there_is_belongs_to_a_family() -> None:
    rules = load_rules()
    named = {family.name for family in rules.families}
    for (name, _level), test in TESTS.items():
        for calib_type in test.calib_types:
            assert rules.family_of(calib_type, name).name in named, (calib_type, name)


def test_a_test_that_no_family_names_is_one_of_its_own() -> None:
    family = load_rules().family_of("bias", "NEW_TEST")
    assert (family.name, family.kind, family.severity) == (
        "new-test",
        Kind.FAILURE,
        Severity.SERIOUS,
    )
    assert "NEW_TEST" in family.title


def test_levels_without_a_rule_are_never_groups() -> None:
    rules = load_rules()
    assert rules.group("amplifier") is None
    group = rules.group("focal plane")
    assert group is not None
    assert (group.at_once, group.severity) == (True, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["families"][0]["tests"].update(bias=["NOISY"]), "no bias test 'NOISY'"),
        (lambda c: c["families"][0]["tests"].update(arc=["NOISE"]), "no kind of exposure 'arc'"),
        (lambda c: c["families"][1]["tests"].update(bias=["NOISE"]), "in readout and in gain"),
        (lambda c: c["families"].append(c["families"][0]), "family readout is given twice"),
        (lambda c: c["groups"].append(c["groups"][0]), "group CCD is given twice"),
        (lambda c: c["groups"][0].update(fraction=1.5), "groups.0.fraction"),
        (lambda c: c["persistence"]["serious"].update({"raise": "3 of 2"}), "M at most N"),
        (lambda c: c["persistence"]["serious"].update({"raise": "often"}), "expected M of N"),
        (lambda c: c["persistence"].update(margin=1.0), "persistence.margin"),
        (lambda c: c["by_filter"].append("NOISY"), "by_filter: there is no flat test 'NOISY'"),
        (lambda c: c.update(colour="red"), "colour"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_file(tmp_path: Path, change, words: str) -> None:
    path = altered(tmp_path, change)
    with pytest.raises(StopError) as error:
        load_rules(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(StopError, match="cannot be read"):
        load_rules(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(StopError, match="is not YAML"):
        load_rules(bad)
