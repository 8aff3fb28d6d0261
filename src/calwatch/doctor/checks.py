"""All checks, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from calwatch.alarms.deliver.settings import AppriseSettings
from calwatch.doctor.books import LEDGER, look_at_ledger
from calwatch.doctor.brokers import BROKER, REGISTRY, look_at_kafka, look_at_registry
from calwatch.doctor.channels import CHANNEL, look_at_channels
from calwatch.doctor.files import FILES, look_at_files
from calwatch.doctor.machine import (
    CLOCK,
    DISK,
    PORT,
    look_at_clock,
    look_at_disks,
    look_at_ports,
)
from calwatch.doctor.model import Case, Check, Finding
from calwatch.doctor.repositories import BUTLER, look_at_butler
from calwatch.ledger.engine import parse_url

LOOKS: Mapping[str, Callable[[Case], Iterable[Finding]]] = {
    FILES: look_at_files,
    BUTLER: look_at_butler,
    LEDGER: look_at_ledger,
    BROKER: look_at_kafka,
    REGISTRY: look_at_registry,
    CHANNEL: look_at_channels,
    DISK: look_at_disks,
    CLOCK: look_at_clock,
    PORT: look_at_ports,
}


def checks(case: Case) -> list[Check]:
    """Return what there is to look at."""
    return [Check(name, partial(look, case)) for name, look in LOOKS.items()]


def secrets(case: Case) -> set[str]:
    """Return everything that must not be shown."""
    found = {parse_url(case.settings.ledger).password, *_kafka_words(case)}
    token = case.settings.web.token
    found.add(token.get_secret_value() if token is not None else None)
    for channel in case.settings.alarms.channels:
        if isinstance(channel, AppriseSettings):
            found |= {url.get_secret_value() for url in channel.urls}
    return {str(word) for word in found if word}


def _kafka_words(case: Case) -> set[str | None]:
    if case.connection is None:
        return set()
    options = case.connection.client_options()
    return {options.get("sasl_plain_password")}
