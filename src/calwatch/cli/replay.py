"""``calwatch replay``: publish again what the ledger has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calwatch.errors import RecordError, StopError

if TYPE_CHECKING:
    from calwatch.kafka.connection import KafkaConnection
    from calwatch.ledger.outbox import Stored
    from calwatch.publish.channel import Channel
    from calwatch.settings import Settings

_BATCH = 100


@click.command()
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path),
              help="Configuration file (YAML); CALWATCH_… variables win over it.")  # fmt: skip
@click.option("--instrument", "-I", required=True, help="Butler instrument, such as LATISS.")
@click.option("--from", "first_day", type=int, help="First day_obs, such as 20261101.")
@click.option("--to", "last_day", type=int, help="Last day_obs.")
@click.option("--exposure", "-e", "exposure_ids", type=int, multiple=True, help="Exposure id.")
@click.pass_context
def replay(
    ctx: click.Context,
    config: Path | None,
    instrument: str,
    first_day: int | None,
    last_day: int | None,
    exposure_ids: tuple[int, ...],
) -> None:
    """Publish results of the ledger again, byte for byte as they were published first.

    In InfluxDB they take the place of what was there. The daemon may be running meanwhile. Exit
    code 1 tells that some could not be published.

    \b
    Example:
      calwatch replay --config config/latiss.yaml --instrument LATISS --from 20261101
    """
    from calwatch.kafka.connection import load_connection
    from calwatch.ledger.outbox import Outbox
    from calwatch.ledger.store import Ledger
    from calwatch.settings import load_settings

    for option, day in (("--from", first_day), ("--to", last_day)):
        _check_day(option, day)
    settings = load_settings(config)
    connection = load_connection()
    if connection is None:
        raise StopError("KAFKA_BOOTSTRAP_SERVERS: is not set, and replay needs it")
    channel = _channel(settings, instrument, connection)
    ledger = Ledger.open(settings.ledger)
    try:
        outbox = Outbox(ledger)
        chosen = (instrument, first_day, last_day, exposure_ids)
        total = outbox.count_stored(*chosen)
        if not total:
            raise StopError(f"{ledger.name}: has nothing of {instrument} that matches")
        failed = asyncio.run(_send(channel, outbox.stored(*chosen), total))
    finally:
        ledger.close()
    click.echo(f"{total - failed} of {total} records published")
    ctx.exit(int(failed > 0))


def _channel(settings: Settings, instrument: str, connection: KafkaConnection) -> Channel:
    from calwatch.camera.loader import load_camera
    from calwatch.publish.channel import Channel
    from calwatch.publish.schemas import build_schemas

    names = dict.fromkeys([*settings.instruments, instrument])
    cameras = [load_camera(settings.camera)] if settings.camera else map(load_camera, names)
    schemas = build_schemas(cameras, settings.kafka.prefix)
    tag = settings.kafka.dataset_tag
    return Channel(connection, connection.registry_url, schemas, dataset_tag=tag)


def _check_day(option: str, day: int | None) -> None:
    from datetime import datetime

    if day is not None:
        try:
            datetime.strptime(f"{day:08d}", "%Y%m%d")
        except ValueError:
            raise StopError(f"{option}: {day} is not a day such as 20261101") from None


async def _send(channel: Channel, found: Iterator[Stored], total: int) -> int:
    """Send everything; return how many records could not be sent.

    Raises
    ------
    WaitError
        If Kafka or the registry is out of reach.
    """
    from rich.console import Console
    from rich.progress import Progress

    failed = 0
    try:
        await channel.open()
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("publishing", total=total)
            while batch := list(islice(found, _BATCH)):
                failed += await _send_batch(channel, batch)
                progress.advance(task, len(batch))
    finally:
        await channel.close()
    return failed


async def _send_batch(channel: Channel, batch: Iterable[Stored]) -> int:
    messages, names, problems = [], [], []
    for stored in batch:
        try:
            messages.append(channel.encoder.encode(stored))
            names.append(stored.what)
        except RecordError as error:
            problems.append(str(error))
    for what, result in zip(names, await channel.send(messages), strict=True):
        if isinstance(result, RecordError):
            problems.append(f"{what}: {result}")
        elif result is not None:
            raise result
    for problem in problems:
        click.echo(f"calwatch: not published: {problem}", err=True)
    return len(problems)
