"""``calwatch config``: check a configuration, show what is in force, describe every field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from calwatch.errors import CalwatchError, StopError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calwatch.settings import Settings


@click.group()
def config() -> None:
    """Check a configuration of the daemon, and show what is in force.

    Example: calwatch config check config/latiss.yaml
    """


@config.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(files: tuple[str, ...], as_json: bool) -> None:
    """Check configuration FILES, with the limits, alarm rules and cameras that they name.

    Everything that is wrong is told at once, with file, line and what was expected. Variables of
    the environment (CALWATCH_…, KAFKA_…) count as they would for the daemon. Nothing is started and
    no server is asked: see `calwatch doctor` for that.

    Example: calwatch config check config/latiss.yaml
    """
    from calwatch.settings import load_settings

    problems: dict[str, list[str]] = {}
    for name in files:
        found = problems.setdefault(name, [])
        try:
            settings = load_settings(name)
        except StopError as error:
            found.append(str(error))
        else:
            found += _problems(settings)
    if as_json:
        click.echo(json.dumps({"files": problems}, indent=1))
    else:
        for name, found in problems.items():
            click.echo("\n".join(found) if found else f"{name}: nothing wrong", err=bool(found))
    if any(problems.values()):
        raise click.exceptions.Exit(StopError.exit_code)


@config.command()
@click.argument("file", required=False)
def show(file: str | None) -> None:
    """Show every setting in force: FILE, under the environment, over the defaults. No secrets.

    Example: calwatch config show config/latiss.yaml
    """
    import yaml

    from calwatch.ledger.engine import parse_url, shown_url
    from calwatch.redaction import redact
    from calwatch.settings import load_settings

    settings = load_settings(file)
    content = settings.model_dump(mode="json")
    content["ledger"] = shown_url(parse_url(settings.ledger))
    click.echo(redact(yaml.safe_dump(content, sort_keys=False, allow_unicode=True)), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON schema of a configuration file, for editors.

    Example: calwatch config schema > calwatch.schema.json

    A first line `# yaml-language-server: $schema=calwatch.schema.json` in the file lets an editor
    complete and check it.
    """
    from calwatch.settings import settings_schema

    click.echo(json.dumps(settings_schema(), indent=1, ensure_ascii=False))


def _problems(settings: Settings) -> Iterator[str]:
    """Read whatever the settings name, and tell what cannot be read."""
    from calwatch.alarms.rules import load_rules
    from calwatch.kafka.connection import load_connection
    from calwatch.ledger.engine import parse_url
    from calwatch.service.judge_settings import JudgeSettings
    from calwatch.verify.limits import load_limits

    judge = JudgeSettings.of(settings)
    checks = [
        lambda: load_limits(settings.limits),
        lambda: load_rules(settings.alarms.rules),
        lambda: parse_url(settings.ledger),
        load_connection,
        *(lambda name=name: judge.camera_of(name) for name in settings.instruments),
    ]
    for one in checks:
        try:
            one()
        except CalwatchError as error:
            yield str(error)
