"""The day in a few lines."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "deliver"))

from deliveries import NOON, C, N, S, W, alarm, closed

from calwatch.alarms.digest import DigestFacts, digest

DAY = date(2026, 11, 22)


def test_a_day_with_problems() -> None:
    yesterday = NOON - timedelta(days=1)
    new = alarm(C, instrument="LATISS", part="RXX_S00/C01")
    known = alarm(
        S,
        instrument="LATISS",
        part="RXX_S00/C02",
        opened_at=yesterday,
        acknowledged=True,
        acknowledged_by="ada",
    )
    muted = alarm(
        W,
        instrument="LATISS",
        part="RXX_S00/C03",
        opened_at=yesterday,
        muted_severity=W,
        muted_by="bob",
        unmute_at=NOON + timedelta(days=1),
    )
    stale = alarm(N, instrument="LATISS", part="RXX_S00/C04", max_severity=S)
    over = closed(alarm(S, instrument="LATISS", part="RXX_S00/C05"), NOON)
    message = digest(
        DigestFacts(
            instrument="LATISS",
            day=DAY,
            exposures={"PASS": 59, "FAIL": 3, "UNKNOWN": 0},
            detectors={"PASS": 59, "FAIL": 3},
            open=[stale, muted, known, new],
            new=[new],
            over=[over],
        )
    )
    assert message.subject == "LATISS today: 62 exposures, 3 problems, 1 new, 1 recovered, 1 muted"
    reason = "Noise or gain is above the certified one in RXX_S00"
    assert message.body.splitlines() == [
        "Day of observation 2026-11-22.",
        "Exposures: 59 PASS, 3 FAIL.",
        "Detectors: 59 PASS, 3 FAIL.",
        "",
        "Problems:",
        "  CRITICAL since 2026-11-22 17:59 UTC, LATISS.readout.above.RXX_S00/C01: "
        f"{reason}/C01 (new)",
        "  SERIOUS since 2026-11-21 17:59 UTC, LATISS.readout.above.RXX_S00/C02: "
        f"{reason}/C02 (acknowledged by ada)",
        "  WARNING since 2026-11-21 17:59 UTC, LATISS.readout.above.RXX_S00/C03: "
        f"{reason}/C03 (muted by bob until 2026-11-23 18:00 UTC)",
        "",
        "Recovered, to be acknowledged:",
        f"  LATISS.readout.above.RXX_S00/C04: {reason}/C04",
        "",
        "Over:",
        f"  LATISS.readout.above.RXX_S00/C05: {reason}/C05 (over at 2026-11-22 18:00 UTC)",
    ]
    assert message.facts["problems"] == "3"


def test_a_good_day_and_an_empty_one() -> None:
    good = digest(DigestFacts("LSSTCam", DAY, exposures={"PASS": 1}))
    assert good.subject == "LSSTCam today: 1 exposure, no problems"
    assert good.body == "Day of observation 2026-11-22.\nExposures: 1 PASS."
    empty = digest(DigestFacts("LSSTCam", DAY))
    assert empty.subject == "LSSTCam today: no exposures, no problems"
    assert "No exposure of this day was judged." in empty.body
