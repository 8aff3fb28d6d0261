"""``calwatch config``: every problem at once, with file and line, and a schema for editors."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from calwatch.cli.main import cli

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["config", *words])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_every_example_is_right(path: Path) -> None:
    result = run("check", str(path))
    assert (result.exit_code, result.output) == (0, f"{path}: nothing wrong\n")


def test_everything_wrong_is_told_at_once_and_where(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("repo: /r\ninstruments: [LATISS]\nworkers: many\nlook_back_days: -1\n")
    second.write_text("repo: /r\ninstruments: [Nothing]\nlimits: none\nledger: mysql://h/d\n")
    result = run("check", str(first), str(second))
    assert result.exit_code == 2
    assert f"{first}:3: workers: Input should be a valid integer" in result.output
    assert f"{first}:4: look_back_days: " in result.output
    assert "no limits profile 'none'" in result.output
    assert "unknown instrument 'Nothing'" in result.output
    assert "only sqlite and postgresql are supported" in result.output
    found = json.loads(run("check", str(first), str(second), "--json").stdout)["files"]
    assert [len(problems) for problems in found.values()] == [1, 3]


def test_what_is_in_force_is_shown_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("repo: /r\ninstruments: LATISS\nledger: postgresql://me:hunter2@h/d\n")
    monkeypatch.setenv("CALWATCH_WEB__TOKEN", "hunter3")
    monkeypatch.setenv("CALWATCH_WORKERS", "3")
    result = run("show", str(path))
    assert "hunter" not in result.output
    shown = yaml.safe_load(result.output)
    assert (shown["workers"], shown["instruments"], shown["limits"]) == (3, ["LATISS"], "dmtn101")
    assert shown["ledger"].endswith("me:***@h/d")


def test_the_schema_knows_every_field_and_what_the_examples_have() -> None:
    schema = json.loads(run("schema").output)
    assert schema["$schema"].startswith("https://json-schema.org/")
    for path in EXAMPLES:
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    assert schema["additionalProperties"] is False
    assert "default" not in schema["properties"]["workers"]


@pytest.mark.parametrize(
    ("channel", "good"),
    [
        ({"type": "console", "severity": "SERIOUS", "instruments": "LATISS"}, True),
        ({"type": "console", "severity": "critical", "instruments": ["LATISS"]}, True),
        ({"type": "apprise", "url_env": "URL", "kinds": "failure", "on": ["raised"]}, True),
        ({"type": "console", "severity": 3}, False),
        ({"type": "console", "severity": "NONE"}, False),
        ({"type": "console", "kinds": "rust"}, False),
        ({"type": "console", "colour": "red"}, False),
    ],
)
def test_the_schema_takes_the_channels_that_the_daemon_takes(
    channel: dict[str, object], good: bool, tmp_path: Path
) -> None:
    content = {"repo": "/r", "instruments": "LATISS", "alarms": {"channels": [channel]}}
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(content))
    assert (run("check", str(path)).exit_code == 0) is good
    schema = jsonschema.Draft202012Validator(json.loads(run("schema").output))
    assert schema.is_valid(content) is good
    default = schema.schema["$defs"]["ConsoleSettings"]["properties"]["severity"]["default"]
    assert default == "WARNING"
