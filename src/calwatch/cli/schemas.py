"""``calwatch schemas``: show what is published, and register its schemas."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

from calwatch.errors import StopError

if TYPE_CHECKING:
    from calwatch.publish.schemas import SchemaSet


@click.command()
@click.option("--instrument", "-I", "instruments", multiple=True,
              help="Also the amplifiers of this camera, or camera file.")  # fmt: skip
@click.option("--prefix", default="lsst.cp.calwatch", show_default=True,
              help="Namespace of the records and beginning of the topics.")  # fmt: skip
@click.option("--register", is_flag=True, help="Register them, and show their ids.")
@click.option("--registry", envvar="SCHEMA_MANAGER_REGISTRY_URL", show_envvar=True,
              help="Address of the schema registry.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object: subject to schema.")
def schemas(
    instruments: tuple[str, ...],
    prefix: str,
    register: bool,
    registry: str | None,
    as_json: bool,
) -> None:
    """Show the Avro schemas of everything that calwatch publishes.

    With --register nothing is registered if any field would be removed or change its type.

    \b
    Example:
      calwatch schemas --register --registry http://localhost:8081
    """
    from calwatch.camera.loader import load_camera
    from calwatch.publish.schemas import build_schemas

    found = build_schemas([load_camera(name) for name in instruments], prefix)
    ids: dict[str, int] = {}
    if register:
        if not registry:
            raise StopError("--registry, SCHEMA_MANAGER_REGISTRY_URL: is not set")
        ids = asyncio.run(_register(found, registry))
    if as_json:
        subjects = {found.subject(name): schema for name, schema in found.schemas.items()}
        click.echo(json.dumps(subjects, indent=1))
        return
    for name, schema in found.schemas.items():
        registered = f", registered as {ids[name]}" if name in ids else ""
        click.echo(f"{found.topic(name)}: {len(schema['fields'])} fields{registered}")
        for line in _lines(schema["fields"], found):
            click.echo(f"  {line}")


async def _register(found: SchemaSet, url: str) -> dict[str, int]:
    from calwatch.kafka.registry import SchemaRegistry
    from calwatch.publish.channel import register_schemas

    async with SchemaRegistry(url) as registry:
        return await register_schemas(registry, found)


def _lines(fields: list[dict[str, Any]], found: SchemaSet) -> list[str]:
    """Return a line a field; those that every amplifier has are told of once."""
    first, *_ = found.amps
    lines = []
    for field in fields:
        name, description = field["name"], field["description"]
        amp = next((amp for amp in found.amps if description.startswith(f"{amp}: ")), None)
        if amp is not None:
            if amp != first:
                continue
            name = f"<amp>{name.removeprefix(amp)}"
            description = description.removeprefix(f"{amp}: ")
        units = "" if field["units"] == "unitless" else f" [{field['units']}]"
        lines.append(f"{name}{units}: {description}")
    return lines
