"""What a day left behind, in the ledger and in Kafka, against what there should be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from day_plan import CALIB_TYPES
from sqlalchemy import func, select
from storm import VERDICTS, everything

from calwatch.ledger.store import Ledger
from calwatch.ledger.tables import (
    alarm_queue,
    alarm_transition,
    exposure_verdict,
    judgement,
    notice,
    outbox,
)

Key = tuple[int, int]
"""Exposure number and detector."""
_SHOWN = 5


@dataclass
class Outcome:
    """What was found."""

    expected: Mapping[Key, str]
    """Verdict by exposure number and detector."""
    judged: dict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Verdicts in the ledger."""
    told: dict[Key, list[str]] = field(default_factory=lambda: defaultdict(list))
    """``event_id`` of every message."""
    merged: dict[int, int] = field(default_factory=dict)
    """Detectors that the ledger's merged verdict of an exposure counts."""
    exposures_told: dict[int, int] = field(default_factory=dict)
    """The same, of the last message of each exposure."""
    left: dict[str, int] = field(default_factory=dict)
    """Rows in tables that must be empty."""
    alarms: Counter[str] = field(default_factory=Counter)
    """Transitions of alarms by kind."""
    alarms_told: int = 0

    def problems(self) -> list[str]:
        """Return everything that is not as it must be."""
        found = list(self._of_detectors()) + list(self._of_exposures())
        found += [f"{count} rows are left in {name}" for name, count in self.left.items() if count]
        transitions = sum(self.alarms.values())
        if transitions != self.alarms_told:
            found.append(f"{transitions} transitions of alarms, {self.alarms_told} published")
        return found

    def _of_detectors(self) -> Iterator[str]:
        for what, seen in (("judged", self.judged), ("published", self.told)):
            if lost := sorted(set(self.expected) - set(seen)):
                yield f"{len(lost)} detectors not {what}: {lost[:_SHOWN]}"
            if more := sorted(set(seen) - set(self.expected)):
                yield f"{len(more)} detectors {what} that were not taken: {more[:_SHOWN]}"
            if twice := sorted(key for key, found in seen.items() if len(found) > 1):
                yield f"{len(twice)} detectors {what} more than once: {twice[:_SHOWN]}"
        wrong = [
            f"{key}: {found[0]}, not {self.expected[key]}"
            for key, found in sorted(self.judged.items())
            if key in self.expected and found[0] != self.expected[key]
        ]
        if wrong:
            yield f"{len(wrong)} verdicts are wrong: {wrong[:_SHOWN]}"

    def _of_exposures(self) -> Iterator[str]:
        due = Counter(number for number, _ in self.expected)
        for what, seen in (("merged", self.merged), ("published", self.exposures_told)):
            wrong = {n: seen.get(n, 0) for n, count in due.items() if seen.get(n, 0) != count}
            if wrong:
                shown = dict(sorted(wrong.items())[:_SHOWN])
                yield f"{len(wrong)} exposures not {what} with all detectors: {shown}"


def left_over(ledger: Ledger) -> dict[str, int]:
    """Return how many rows are in the tables that are empty when all is done."""
    found = {}
    for table in (outbox, notice, alarm_queue):
        statement = select(func.count()).select_from(table)
        found[table.name] = ledger.read(lambda c, s=statement: c.execute(s).scalar_one())
    return found


def look(
    expected: Mapping[Key, str],
    ledger: Ledger,
    kafka: Mapping[str, Any],
    registry_url: str,
    prefix: str,
) -> Outcome:
    """Read the ledger, and every message that was published."""
    outcome = Outcome(expected, left=left_over(ledger))
    j, e = judgement.c, exposure_verdict.c
    for row in ledger.read(lambda c: c.execute(select(j.seq_num, j.detector, j.verdict)).all()):
        outcome.judged[row.seq_num, row.detector].append(row.verdict.upper())
    counts = select(e.seq_num, e.n_pass + e.n_fail + e.n_unknown)
    outcome.merged = dict(tuple(row) for row in ledger.read(lambda c: c.execute(counts).all()))
    kinds = select(alarm_transition.c.what, func.count()).group_by(alarm_transition.c.what)
    outcome.alarms.update(dict(tuple(r) for r in ledger.read(lambda c: c.execute(kinds).all())))
    read = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))

    def values(record: str) -> Iterator[tuple[str, dict[str, Any]]]:
        topic = f"{prefix}.{record}"
        for message in everything(dict(kafka), topic):
            value = read(message.value(), SerializationContext(topic, MessageField.VALUE))
            yield dict(message.headers())["event_id"].decode(), value

    _messages(outcome, values)
    return outcome


def _messages(
    outcome: Outcome, values: Callable[[str], Iterator[tuple[str, dict[str, Any]]]]
) -> None:
    for kind in CALIB_TYPES:
        for event_id, value in values(kind):
            key = (int(value["exposure_id"]) % 100_000, int(value["detector"]))
            outcome.told[key].append(event_id)
    for _event_id, value in values("exposure"):
        number = int(value["exposure_id"]) % 100_000
        outcome.exposures_told[number] = int(sum(value[f"n_{v}"] for v in VERDICTS))
    outcome.alarms_told = sum(1 for _ in values("alarm"))
