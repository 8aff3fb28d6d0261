"""What ``calwatch schemas`` shows and registers."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from fastavro import parse_schema

from calwatch.cli.main import cli
from calwatch.errors import StopError
from calwatch.publish.schemas import build_schemas


def show(*words: str) -> str:
    done = CliRunner().invoke(cli, ["schemas", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_every_topic_is_shown_with_its_fields() -> None:
    lines = show().splitlines()
    topics = [line.split(":")[0] for line in lines if not line.startswith(" ")]
    assert topics == list(build_schemas().topics)
    fields = [line for line in lines if "<amp>_NOISE [electron]" in line]
    assert len(fields) == 3  # once a type, not once an amplifier
    assert not any("C00_" in line for line in lines)


def test_json_gives_the_schemas_themselves_by_subject() -> None:
    found = json.loads(show("--json", "--instrument", "LATISS", "--prefix", "lsst.cp.other"))
    assert list(found) == [
        f"{topic}-value" for topic in build_schemas(prefix="lsst.cp.other").topics
    ]
    for schema in found.values():
        parse_schema(schema)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--register"], "SCHEMA_MANAGER_REGISTRY_URL"),
        (["--register", "--registry", "nowhere"], "not a URL|is not a URL"),
        (["--prefix", "a-b"], "namespace"),
        (["--instrument", "NoCam"], "NoCam"),
    ],
)
def test_wrong_use_is_told(words, cause, monkeypatch) -> None:
    monkeypatch.delenv("SCHEMA_MANAGER_REGISTRY_URL", raising=False)
    with pytest.raises(StopError, match=cause):
        show(*words)
