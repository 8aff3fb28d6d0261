"""``calwatch chain``: which certified calibration applies, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from calwatch.errors import StopError

if TYPE_CHECKING:
    from calwatch.butler.lookup import Explanation
    from calwatch.butler.model import Chain
    from calwatch.butler.repository import Repository

_TYPES = ("bias", "dark", "flat", "defects", "ptc", "linearizer", "crosstalk", "cti")


@click.command()
@click.argument("repo")
@click.option("--instrument", "-I", required=True, help="Butler instrument, such as LATISS.")
@click.option("--at", required=True, help="ISO-8601 in TAI, such as 2026-11-20T21:03:00.")
@click.option("--detector", "-d", "detectors", multiple=True, help="Number or name [default: all].")
@click.option("--type", "-t", "calib_types", multiple=True, help="Calibration type.")
@click.option("--filter", "-f", "physical_filter", default="", help="Which flat.")
@click.option("--collection", help="Chain to search [default: <INSTRUMENT>/calib].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a detector.")
def chain(
    repo: str,
    instrument: str,
    at: str,
    detectors: tuple[str, ...],
    calib_types: tuple[str, ...],
    physical_filter: str,
    collection: str | None,
    as_json: bool,
) -> None:
    """Show which certified calibrations REPO gives at a time, and why the others are not used.

    Example: calwatch chain /repo/LATISS --instrument LATISS --at 2026-11-20T21:03:00
    """
    from calwatch.butler.lookup import Span
    from calwatch.butler.repository import Repository
    from calwatch.butler.times import parse_tai

    time = parse_tai(at, "--at")
    span = Span(time, time)
    types = calib_types or _TYPES
    with Repository.open(repo) as repository:
        numbers = _numbers(repository, instrument, detectors)
        chains = repository.chains_at(instrument, span, types, numbers, physical_filter, collection)
        told = {
            number: {
                name: repository.explain(
                    instrument, name, span, number, physical_filter, collection
                )
                for name in types
            }
            for number in numbers
        }
    if as_json:
        for number in numbers:
            click.echo(json.dumps(_object(instrument, at, number, chains[number], told[number])))
        return
    click.echo(f"{instrument} at {at} TAI, searching {collection or f'{instrument}/calib'}")
    for name in types:
        for text, where in _grouped(name, chains, told).items():
            click.echo(f"{name}, {_ranges(where)}:\n  " + text.replace("\n", "\n  "))


def _numbers(repository: Repository, instrument: str, detectors: Iterable[str]) -> list[int]:
    known = repository.detectors(instrument)
    by_word = {str(number): number for number in known}
    by_word |= {name: number for number, name in known.items()}
    unknown = [word for word in detectors if word not in by_word]
    if unknown:
        raise StopError(
            f"{instrument} has no detector {', '.join(unknown)} in {repository.root}; "
            f"it has {_ranges(list(known))}"
        )
    return sorted({by_word[word] for word in detectors}) or list(known)


def _object(
    instrument: str,
    at: str,
    detector: int,
    found: Chain,
    told: Mapping[str, list[Explanation]],
) -> dict[str, Any]:
    return {
        "instrument": instrument,
        "at": at,
        "detector": detector,
        "collection": found.collection,
        "fingerprint": found.fingerprint,
        "datasets": {name: asdict(data) for name, data in found.datasets.items()},
        "missing": dict(found.missing),
        "candidates": {
            name: [
                {
                    "uuid": entry.dataset.uuid,
                    "collection": entry.dataset.collection,
                    "begin_tai": entry.dataset.begin_tai,
                    "end_tai": entry.dataset.end_tai,
                    "chosen": entry.chosen,
                    "reason": entry.reason,
                }
                for entry in entries
            ]
            for name, entries in told.items()
        },
    }


def _grouped(
    name: str,
    chains: Mapping[int, Chain],
    told: Mapping[int, Mapping[str, list[Explanation]]],
) -> dict[str, list[int]]:
    """Return the text of each detector, with the detectors of which it is true."""
    grouped: dict[str, list[int]] = {}
    for number, found in chains.items():
        text = _text(name, found, told[number][name], several=len(chains) > 1)
        grouped.setdefault(text, []).append(number)
    return grouped


def _text(name: str, found: Chain, told: list[Explanation], *, several: bool) -> str:
    from calwatch.butler.lookup import validity_text

    lines = []
    if name in found.missing:
        lines.append(f"NONE: {found.missing[name]}")
    for entry in told:
        data = entry.dataset
        mark = "USED" if entry.chosen else "  - "
        lines.append(f"{mark} {data.collection}, valid {validity_text(data)}: {entry.reason}")
        if entry.chosen:
            lines.append(f"     from {data.run}" + ("" if several else f", {data.uuid}"))
    return "\n".join(lines)


def _ranges(numbers: list[int]) -> str:
    """Return detector numbers as text, such as ``detectors 0-8, 12``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"detector{'s' if len(numbers) > 1 else ''} {text}"
