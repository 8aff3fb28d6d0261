"""All checks, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

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
