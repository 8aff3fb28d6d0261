from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from calwatch.cli.verdicts import (
    WIDTH,
    against,
    console_of,
    exit_code,
    findings,
    print_verdicts,
)
from calwatch.verify.model import AmpResult, DetectorResult, TestResult, Verdict

NOISE = "NOISE 9.1 e- is 36 % above the expected 6.7 e- (limit 9.4 %)"
UUID = "01a20486-b276-7059-a0a5-8af94c1ae54e"


def judged(name: str, severity: str, amp: str, counts: bool = True) -> TestResult:
    verdict = Verdict.FAIL if severity == "SERIOUS" else Verdict.PASS
    reason = f"{amp} {name} is too much" if severity else ""
    return TestResult(name, verdict, 1.0, (None, 0.5), "e-", "4.3", severity, counts, reason)


def result(
    verdict: Verdict = Verdict.PASS,
    reason: str = "",
    severities: dict[str, dict[str, str]] | None = None,
    **changes,
) -> DetectorResult:
    """Make a result; ``severities`` gives for each test the amplifiers that crossed a limit."""
    amps = {}
    for amp in (f"C{n:02d}" for n in range(16)):
        tests = {
            name: judged(name, crossed.get(amp, ""), amp)
            for name, crossed in (severities or {}).items()
        }
        worst = Verdict.FAIL if any(t.verdict is Verdict.FAIL for t in tests.values()) else verdict
        amps[amp] = AmpResult({}, tests, worst)
    made = DetectorResult(
        instrument="LSSTCam",
        exposure_id=2026112000123,
        detector=94,
        detector_name="R22_S11",
        calib_type="bias",
        verdict=verdict,
        reason=reason,
        amps=amps,
        detector_metrics={},
        detector_tests={},
        provenance={
            "chain": {"bias": {"collection": "LSSTCam/calib/DM-1/tag/bias.20261101a"}},
        },
        algorithm="1",
        limits="dmtn101 2026-11-22",
    )
    return replace(made, **changes)


def printed(*results: DetectorResult, width: int = 100) -> str:
    stream = io.StringIO()
    print_verdicts(Console(file=stream, width=width), list(results))
    return stream.getvalue()


def words(*results: DetectorResult) -> str:
    """Return the table's text without the breaks of its lines."""
    return " ".join(printed(*results, width=400).split())


def test_against_is_the_collection_certified() -> None:
    assert against(result()) == "bias.20261101a"
    assert against(result(calib_type="dark")) == "none certified"
    assert against(result(provenance={})) == "none certified"


@pytest.mark.parametrize("calib_type", ["", "unknown", "science", "cwfs"])
def test_what_is_not_verified_stands_against_nothing(calib_type: str) -> None:
    made = result(Verdict.UNKNOWN, "observation type is none of ours", calib_type=calib_type)
    assert against(made) == ""
    assert "observation type is none of ours" in words(made)


def test_serious_findings_come_first_and_others_are_named() -> None:
    crossed = {
        "MEAN": {"C03": "WARNING"},
        "NOISE": {f"C{n:02d}": "SERIOUS" for n in range(7)},
        "CR_NOISE": {"C09": "SERIOUS"},
    }
    made = result(Verdict.FAIL, severities=crossed)
    assert [test.severity for _, test in findings(made)] == ["SERIOUS"] * 8 + ["WARNING"]
    text = words(made)
    assert "C00 NOISE is too much; also C01, C02, C03, C04 and 2 more" in text
    places = [text.index(w) for w in ("C00 NOISE", "C09 CR_NOISE", "warning: C03 MEAN")]
    assert places == sorted(places)


def test_tests_that_do_not_count_are_not_findings() -> None:
    amp = AmpResult({}, {"X": judged("X", "SERIOUS", "C00", counts=False)}, Verdict.PASS)
    assert findings(result(amps={"C00": amp})) == []


def test_a_pass_says_its_warnings_briefly() -> None:
    crossed = {f"T{n}": {"C00": "WARNING", "C01": "WARNING"} for n in range(4)}
    text = words(result(severities=crossed))
    assert "PASS warning: C00 T0 is too much; also C01" in text
    assert "and T2 (warning), T3 (warning)" in text


def test_unknown_says_why_without_numbers_for_machines() -> None:
    made = result(Verdict.UNKNOWN, f"nearest: dark {UUID} in LATISS/calib [/] valid [2026, open)")
    assert "nearest: dark in LATISS/calib [/] valid [2026, open)" in words(made)


def test_amplifiers_that_were_not_judged_beside_a_fail() -> None:
    made = result(Verdict.FAIL, severities={"NOISE": {"C03": "SERIOUS"}})
    dead = {
        amp: AmpResult({}, {}, Verdict.UNKNOWN, f"{amp}: all raw pixels are 0")
        for amp in ("C10", "C11", "C12")
    }
    text = words(replace(made, amps={**made.amps, **dead}))
    assert "not judged: C10: all raw pixels are 0 not judged: C11" in text
    assert "(and 1 more)" in text
    assert "C12" not in text


def test_at_most_two_lines_of_notes() -> None:
    text = words(result(warnings=("one", "two", "three", "two")))
    assert "PASS note: one" in text
    assert "note: two (and 1 more)" in text
    assert "three" not in text


def test_the_table_fits_into_100_columns_and_keeps_its_numbers_whole() -> None:
    long = result(Verdict.UNKNOWN, "MN_O_20260311_000008_R00_S00.fits: " + NOISE * 3)
    lines = printed(long, result(Verdict.FAIL, severities={"N": {"C03": "SERIOUS"}})).splitlines()
    assert max(map(len, lines)) <= 100
    (row,) = [line for line in lines if "UNKNOWN" in line and "2026112000123" in line]
    assert "R22_S11" in row
    assert row.rstrip().endswith("bias.20261101a")
    assert len(lines) < 20


def test_the_count_below_the_table() -> None:
    text = words(result(), result(Verdict.UNKNOWN, "why"), result(Verdict.UNKNOWN, "why"))
    assert "1 PASS, 0 FAIL, 2 UNKNOWN of 3 detector exposures" in text


def test_only_a_fail_is_exit_code_1() -> None:
    assert exit_code([]) == exit_code([Verdict.PASS, Verdict.UNKNOWN]) == 0
    assert exit_code([Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN]) == 1


def test_a_pipe_gets_a_wide_table() -> None:
    assert console_of(Console(file=io.StringIO())).width == WIDTH
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    assert console_of(terminal) is terminal
