"""The table of verdicts: each exposure, what failed where, by how much, against what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calwatch.publish.schemas import CHAIN_TYPES
from calwatch.verify.model import DetectorResult, TestResult, Verdict
from calwatch.verify.sets.needs import AGAINST

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.UNKNOWN: "yellow"}
WIDTH = 150
"""Columns of the table where the output is no terminal."""
MOST_TESTS = 4
"""Tests shown for one detector before the rest are only counted; a PASS shows half of them."""
MOST_PARTS = 4
"""Amplifiers named for one test before the rest are only counted."""
MOST_NOTES = 2
"""Lines given to warnings, and to amplifiers that are UNKNOWN beside one that FAILed."""
_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} ")


def findings(result: DetectorResult) -> list[tuple[str, TestResult]]:
    """Return (part, test) of everything that failed or warned, serious ones first."""
    parts: list[tuple[str, TestResult]] = [
        (amp, test) for amp, amp_result in result.amps.items() for test in amp_result.tests.values()
    ]
    parts += [(result.detector_name, test) for test in result.detector_tests.values()]
    crossed = [(part, test) for part, test in parts if test.severity and test.counts]
    return sorted(crossed, key=lambda item: item[1].severity != "SERIOUS")


def against(result: DetectorResult) -> str:
    """Name the certified calibration that was verified against: its collection's last part.

    Empty for what is verified against none.
    """
    name = AGAINST.get(result.calib_type, result.calib_type)
    if name not in CHAIN_TYPES:
        return ""
    entry = result.provenance.get("chain", {}).get(name)
    if entry is None:
        return "none certified"
    return str(entry["collection"]).rsplit("/", 1)[-1]


def _what(result: DetectorResult) -> str:
    if result.verdict is Verdict.UNKNOWN:
        # The JSON names datasets by UUID too; a person reads the collection.
        lines = [escape(_UUID.sub("", result.reason))]
    else:
        lines = _crossed(result)
    if result.verdict is Verdict.FAIL:
        unknown = [a.reason for a in result.amps.values() if a.verdict is Verdict.UNKNOWN]
        lines += _cut([reason for reason in unknown if reason], "not judged: ")
    lines += [f"[dim]{line}[/dim]" for line in _cut(result.warnings, "note: ")]
    return "\n".join(line for line in lines if line)


def _crossed(result: DetectorResult) -> list[str]:
    """Return a line for each test that was crossed: the first part in full, the others named."""
    groups: dict[tuple[bool, str], list[tuple[str, TestResult]]] = {}
    for part, test in findings(result):
        groups.setdefault((test.severity != "SERIOUS", test.name), []).append((part, test))
    ordered = sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1])))
    most = MOST_TESTS if result.verdict is Verdict.FAIL else MOST_TESTS // 2
    lines = [_line(only_warning, found) for (only_warning, _), found in ordered[:most]]
    rest = [
        f"{name} (warning)" if only_warning else name for (only_warning, name), _ in ordered[most:]
    ]
    return [*lines, f"and {', '.join(rest)}"] if rest else lines


def _line(only_warning: bool, found: Sequence[tuple[str, TestResult]]) -> str:
    part, test = found[0]
    text = test.reason or f"{part} {test.name}"
    others = [other for other, _ in found[1:]]
    if others:
        text += f"; also {', '.join(others[:MOST_PARTS])}"
    if len(others) > MOST_PARTS:
        text += f" and {len(others) - MOST_PARTS} more"
    return ("[yellow]warning:[/yellow] " if only_warning else "") + escape(text)


def _cut(sentences: Sequence[str], prefix: str) -> list[str]:
    """Return the first of some sentences, a line each, and how many there are besides."""
    distinct = list(dict.fromkeys(sentences))
    lines = [escape(prefix + sentence) for sentence in distinct[:MOST_NOTES]]
    if len(distinct) > MOST_NOTES:
        lines[-1] += f" (and {len(distinct) - MOST_NOTES} more)"
    return lines


def verdict_table(results: Iterable[DetectorResult], title: str = "") -> Table:
    """Build the table, one row per exposure and detector, in the order given."""
    table = Table(title=escape(title) or None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("exposure", "detector", "type", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("what, where, by how much", overflow="fold", min_width=30)
    table.add_column("against", overflow="fold")
    for result in results:
        style = STYLES[result.verdict]
        table.add_row(
            str(result.exposure_id),
            escape(result.detector_name),
            escape(result.calib_type),
            f"[{style}]{result.verdict.value}[/{style}]",
            _what(result),
            escape(against(result)),
        )
    return table


def print_verdicts(
    console: Console, results: Sequence[DetectorResult], title: str = "Verdicts"
) -> None:
    """Print the table and a one-line count."""
    console.print(verdict_table(results, title))
    counts = Counter(result.verdict for result in results)
    console.print(
        ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict)
        + f" of {len(results)} detector exposures"
    )


def console_of(console: Console) -> Console:
    """Return a console wide enough for the table where the output is no terminal."""
    return console if console.is_terminal else Console(width=WIDTH)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 1 if anything FAILed, else 0."""
    return int(Verdict.FAIL in set(verdicts))
