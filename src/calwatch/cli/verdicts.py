"""The table of verdicts: each exposure, what failed where, by how much, against what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calwatch.verify.model import DetectorResult, TestResult, Verdict

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.UNKNOWN: "yellow"}
WIDTH = 150
"""Columns of the table where the output is no terminal."""
MOST_FINDINGS = 4
"""Findings shown for one detector before the rest are only counted."""


def findings(result: DetectorResult) -> list[tuple[str, TestResult]]:
    """Return (part, test) of everything that failed or warned, serious ones first."""
    parts: list[tuple[str, TestResult]] = [
        (amp, test) for amp, amp_result in result.amps.items() for test in amp_result.tests.values()
    ]
    parts += [(result.detector_name, test) for test in result.detector_tests.values()]
    crossed = [(part, test) for part, test in parts if test.severity and test.counts]
    return sorted(crossed, key=lambda item: item[1].severity != "SERIOUS")


def against(result: DetectorResult) -> str:
    """Name the certified calibration that was verified against: its RUN's last part and start."""
    chain = result.provenance.get("chain", {})
    entry = chain.get(result.calib_type) if result.calib_type != "" else None
    if entry is None:
        return f"no certified {result.calib_type}"
    return str(entry["collection"]).rsplit("/", 1)[-1]


def _what(result: DetectorResult) -> str:
    if result.verdict is Verdict.UNKNOWN:
        return escape(result.reason)
    found = findings(result)
    if not found:
        return ""
    lines = [escape(test.reason or f"{part} {test.name}") for part, test in found[:MOST_FINDINGS]]
    more = Counter(test.name for _, test in found[MOST_FINDINGS:])
    if more:
        lines.append("and " + ", ".join(f"{count} more {name}" for name, count in more.items()))
    return "\n".join(lines)


def verdict_table(results: Iterable[DetectorResult], title: str = "") -> Table:
    """Build the table, one row per exposure and detector, in the order given."""
    table = Table(title=title or None, show_lines=False, expand=False)
    for name in ("exposure", "detector", "type", "verdict", "what, where, by how much", "against"):
        table.add_column(name, overflow="fold", no_wrap=name in {"exposure", "type", "verdict"})
    for result in results:
        style = STYLES[result.verdict]
        table.add_row(
            str(result.exposure_id),
            result.detector_name,
            result.calib_type,
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
