import json
import re

import pytest
from click.testing import CliRunner

from calwatch.cli.limits import limits
from calwatch.errors import LimitsError

BROKEN = """\
profile: mine
version: 1.0.0
description: For tests.
tests:
  - name: MEAN
    calib_types: [bias]
    level: amp
    metric: MEEN
    unit: e-
    form: absolute
    side: both
    limits: [{serious: soon}]
"""
DATED = """\
profile: mine
version: 1.0.0
description: For tests.
tests:
  - name: BIAS_SHIFT
    calib_types: [bias]
    level: amp
    metric: BIAS_SHIFT_COUNT
    unit: count
    form: absolute
    side: upper
    limits: [{serious: 0}, {from: 20261122, serious: 5}]
    overrides: [{instrument: LATISS, detectors: [RXX_S00], amps: [C05], reason: why, serious: 9}]
"""


def _run(*arguments):
    return CliRunner().invoke(limits, arguments)


@pytest.fixture
def dated(tmp_path):
    path = tmp_path / "dated.yaml"
    path.write_text(DATED)
    return str(path)


def _serious(path, *arguments):
    content = json.loads(_run("show", path, "--json", *arguments).output)
    (row,) = content["tests"]
    return row["serious"][1]


def test_check_names_what_is_sound():
    result = _run("check", "dmtn101", "cp_verify")
    assert result.exit_code == 0
    assert "dmtn101: dmtn101 2" in result.output
    assert result.output.count("nothing wrong") == 2


def test_check_tells_every_problem_of_every_file_and_ends_with_2(tmp_path):
    (tmp_path / "one.yaml").write_text(BROKEN)
    (tmp_path / "two.yaml").write_text("profile: [")
    result = _run("check", str(tmp_path / "one.yaml"), "dmtn101", str(tmp_path / "two.yaml"))
    assert isinstance(result.exception, LimitsError)
    assert result.exception.exit_code == 2
    message = str(result.exception)
    assert re.search(r"one\.yaml:\d+: test 1 \(bias MEAN\): limits\.0\.serious", message)
    assert "two.yaml: is not YAML" in message
    assert "nothing wrong" in result.output


def test_check_needs_a_file():
    assert _run("check").exit_code == 2


@pytest.mark.parametrize("profile", ["dmtn101", "cp_verify"])
def test_show_is_a_table_of_formulae(profile):
    result = _run("show", profile)
    assert result.exit_code == 0
    for word in ("bias", "dark", "flat", "SEQUENCER", "PTC_NOISE", "4.3", "5.3"):
        assert word in result.output


def test_show_one_type():
    output = _run("show", "--calib-type", "flat").output
    assert "RELATIVE_LEVEL" in output
    assert "BIAS_SHIFT" not in output
    assert "not where the observation reason is *ptc*" in " ".join(output.split())


def test_show_as_json():
    content = json.loads(_run("show", "cp_verify", "-t", "bias", "--json").output)
    assert content["limits"].startswith("cp_verify ")
    rows = {row["test"]: row for row in content["tests"]}
    assert rows["NOISE"]["serious"] == [None, 0.05]
    assert rows["MEAN"]["serious"] == [-1.0, 1.0]
    assert rows["READ_NOISE_CONSISTENT"]["counts"] is False


@pytest.mark.parametrize(
    ("at", "limit"),
    [
        ("20261121", 0),
        ("20261122", 5),
        ("2026-11-21", 0),
        ("2026-11-22", 5),
        ("2026-11-22T11:59:59", 0),
        ("2026-11-22T12:00:00+00:00", 5),
        ("", 5),
    ],
)
def test_show_at_a_date(dated, at, limit):
    assert _serious(dated, "--at", at) == limit


def test_show_for_a_part(dated):
    where = ("--instrument", "LATISS", "--detector", "RXX_S00")
    assert _serious(dated, *where) == 5
    assert _serious(dated, *where, "--amp", "C05") == 9
    assert "why" in _run("show", dated, *where, "--amp", "C05").output


@pytest.mark.parametrize(
    "arguments",
    [("--at", "tomorrow"), ("--at", "20261350"), ("--detector", "3"), ("--amp", "C05")],
)
def test_wrong_use(arguments):
    assert _run("show", *arguments).exit_code == 2
