"""What crossed is told in order: the farthest first, and first what has no distance at all."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from calwatch.alarms.rules import load_rules
from calwatch.report.findings import Findings, Place
from calwatch.report.model import Moment
from calwatch.verify.model import TestResult, Verdict

CROSSED = st.lists(
    st.tuples(
        st.sampled_from(["NOISE", "MEAN", "BIAS_SHIFT"]),
        st.sampled_from(["C00", "C01", "C02"]),
        st.floats(1.1, 90.0),
        st.sampled_from(["SERIOUS", "WARNING", ""]),
    ),
    max_size=30,
)


def collect(crossed, severity: str = "SERIOUS") -> Findings:
    found = Findings(severity, load_rules())
    for exposure, (name, amp, value, grade) in enumerate(crossed):
        limit = (None, 0.0) if name == "BIAS_SHIFT" else (-1.0, 1.0)
        verdict = Verdict.FAIL if grade == "SERIOUS" else Verdict.PASS
        test = TestResult(name, verdict, value, limit, "", "", grade, True, "")
        place = Place(f"R22_S11/{amp}", 94, amp, "amp")
        found.tests("bias", "bias", place, {name: test}, {}, Moment(exposure, None))
    return found


def far(distance: float | None) -> float:
    return inf if distance is None else distance


@given(CROSSED)
def test_the_farthest_comes_first(crossed) -> None:
    groups = collect(crossed).groups()
    worst = [far(group.findings[0].distance) for group in groups]
    assert worst == sorted(worst, reverse=True)
    for group in groups:
        inner = [far(finding.distance) for finding in group.findings]
        assert inner == sorted(inner, reverse=True)


@given(CROSSED)
def test_the_counts_add_up(crossed) -> None:
    for severity in ("SERIOUS", "WARNING"):
        groups = collect(crossed, severity).groups()
        told = sum(finding.crossed for group in groups for finding in group.findings)
        assert told == sum(grade == severity for *_, grade in crossed)
        spots = [(g.test, f.part) for g in groups for f in g.findings]
        assert len(set(spots)) == len(spots)
        for group in groups:
            for finding in group.findings:
                mine = [
                    c for c in crossed if (c[0], f"R22_S11/{c[1]}") == (group.test, finding.part)
                ]
                assert finding.judged == len(mine)
                assert finding.value == max(c[2] for c in mine if c[3] == severity)
