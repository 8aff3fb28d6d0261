"""Alarms as they come, for the golden texts. Run as a script it writes the texts anew.

python tests/alarms/golden_words.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scenes import RULES, amps

from calwatch.alarms.model import (
    Alarm,
    Key,
    Kind,
    Sample,
    Severity,
    Symptom,
    Transition,
    What,
)
from calwatch.alarms.rebuild import BUTLER
from calwatch.alarms.words import message, reason_line
from calwatch.verify.evaluate import evaluate
from calwatch.verify.limits import Part, load_limits
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import TestResult

GOLDEN = Path(__file__).parent / "golden_words.json"
FIRST = datetime(2026, 11, 22, 18, 4, tzinfo=UTC)
AMP = "R22_S11/C05"
USUAL = {
    "MEAN": 0.0, "MEAN_ERROR": 0.01, "NOISE": 6.5, "NOISE_ERROR": 0.001, "EXPECTED_NOISE": 6.52,
    "CR_NOISE": 6.5, "PROCESSING": 1.0, "READ_NOISE": 6.5, "READ_NOISE_ERROR": 0.01,
    "PTC_NOISE": 6.5, "OVERSCAN_LEVEL": 24500.0, "PTC_OVERSCAN_MEDIAN": 24490.0,
    "BIAS_SHIFT_COUNT": 0.0, "RELATIVE_LEVEL": 1.0, "RELATIVE_LEVEL_ERROR": 0.0001,
    "SATURATED": 0.0, "DET_SCATTER": 100.0, "DET_MEAN": 20000.0, "EXP_SCATTER": 100.0,
    "EXP_MEAN": 20000.0, "SEQUENCER_MISMATCHES": 0.0,
    "CERTIFIED_GAIN": 1.6, "PAIR_GAIN_ZERO_ERROR": 0.002, "CERTIFIED_NOISE": 6.5,
    "PAIR_NOISE_ERROR": 0.01, "BOUNDARY_GAIN_ERROR": 0.0002, "PTC_GAIN_ERROR": 0.002,
    "PTC_FIT_NOISE_ERROR": 0.1, "PTC_TURNOFF_REQUIRED": 90000.0, "PTC_TURNOFF_ERROR": 1000.0,
    "PTC_A00_VENDOR_RANGE": 4.5e-7, "PTC_A00_ERROR": 1e-8, "PTC_NOISE_CHANGE_ERROR": 0.002,
    "LINEARITY_MAX_RESIDUAL_ERROR": 0.0002, "CERTIFIED_DARK_MEAN": 0.02,
    "DARK_STACK_ERROR": 0.001, "DARK_ODD_EVEN_ERROR": 0.001, "SERIAL_CTI_ERROR": 1e-8,
    "DIVISADERO_EXPECTED": 0.0, "CROSSTALK_RESIDUAL_ERROR": 1e-6,
    "BIAS_MEAN_SPREAD_EXPECTED": 0.25, "BIAS_MEAN_SPREAD_ERROR": 0.02, "BIAS_SHIFT_EXPECTED": 0.0,
}  # fmt: skip


_limits = cache(load_limits)


def judged(
    calib_type: str,
    test: str,
    part: str = AMP,
    profile: str = "dmtn101",
    **numbers: float,
) -> TestResult:
    """Return what verification says of some numbers."""
    amp = part.partition("/")[2]
    level = "amp" if amp else "exposure" if part == "LSSTCam" else "detector"
    place = Part("LSSTCam", 94, part.partition("/")[0], amp)
    active = _limits(profile).active(calib_type, level, place, FIRST, f"daily_{calib_type}")
    chosen = next(one for one in active if one.spec.name == test)
    result = evaluate(chosen, {**USUAL, **numbers}, amp)
    assert result is not None
    return result


def after(exposures: int) -> datetime:
    return FIRST + timedelta(minutes=exposures)


def symptom(calib_type: str, part: str, *results: TestResult) -> Symptom:
    """Return a test with its last values, an exposure a minute."""
    certified, collection = "", f"LSSTCam/calib/DM-50001/newRaft/{calib_type}.20261103a"
    if calib_type in SET_TYPES:
        rebuild = RULES.family_of(calib_type, results[-1].name).rebuild
        certified = BUTLER.get(rebuild, rebuild)
        collection = certified and f"LSSTCam/calib/DM-50001/newRaft/{certified}.20261103a"
    samples = tuple(
        Sample(
            after(number),
            2026112200011 + number,
            Severity[result.severity] if result.severity else Severity.NONE,
            result.value,
            result.limit,
            result.reason,
            collection,
            "5f0a6c1e-0000-4000-8000-000000000000",
            calibration=certified,
        )
        for number, result in enumerate(results)
    )
    last = results[-1]
    grave = max(sample.severity for sample in samples)
    return Symptom(part, calib_type, last.name, last.unit, last.section, grave, samples)


def said(part: str, calib_type: str, test: str, reason: str, grave: Severity) -> Symptom:
    """Return a problem that is no failed test."""
    sample = Sample(FIRST, 2026112200011, grave, reason=reason)
    return Symptom(part, calib_type, test, "", "", grave, (sample,))


def alarm(
    family: str,
    aspect: str,
    part: str,
    level: str,
    symptoms: Sequence[Symptom],
    members: Sequence[str] = (),
    **changes: object,
) -> Alarm:
    """Return an alarm that was raised by its symptoms."""
    grave = max(one.severity for one in symptoms)
    counts: dict[str, int] = {}
    for one in symptoms:
        counts[f"{one.calib_type} {one.test}"] = max(len(members), 1)
    made = Alarm(
        key=Key("LSSTCam", family, aspect, part),
        kind=RULES.family(family).kind,
        level=level,
        severity=grave,
        max_severity=grave,
        reason="",
        opened_at=after(2),
        since=FIRST,
        severity_oldest=after(2),
        severity_newest=after(2),
        max_severity_at=after(2),
        members=tuple(members or [part]),
        total=len(members) or 1,
        symptoms=tuple(symptoms),
        counts=counts,
        exposure_id=2026112200011,
    )
    made = replace(made, **changes)
    return made if made.reason else replace(made, reason=reason_line(made, RULES))


def raised(of: Alarm) -> Transition:
    return Transition(What.RAISED, after(2), of, Severity.NONE)


def noise(**changes: object) -> Alarm:
    """Return one noisy amplifier."""
    values = [judged("bias", "NOISE", NOISE=value) for value in (6.51, 7.29, 7.31)]
    seen = {"since": after(1), "exposure_id": 2026112200013}
    shown = symptom("bias", AMP, *values)
    return alarm("readout", "above", AMP, "amplifier", [shown], **seen, **changes)


def raft() -> Alarm:
    """Return a raft that is noisy as a whole, as biases and darks say."""
    members = amps("R22")
    results = [
        symptom(kind, part, judged(kind, "NOISE", part, NOISE=value))
        for value, part in ((7.9, "R22_S11/C05"), (7.8, "R22_S00/C10"), (7.7, "R22_S20/C07"))
        for kind in ("bias", "dark")
    ]
    return alarm("readout", "above", "R22", "raft", results, members)


def light_leak() -> Alarm:
    """Return darks with light all over the camera, but for one raft."""
    members = [name for name in amps("LSSTCam") if not name.startswith("R01_")]
    results = [
        symptom("dark", part, judged("dark", "MEAN", part, MEAN=value))
        for value, part in ((41.5, "R22_S11/C05"), (41.2, "R22_S11/C06"))
    ]
    found = alarm("dark", "above", "LSSTCam", "focal plane", results, members, total=3160)
    return replace(found, severity=Severity.CRITICAL, max_severity=Severity.CRITICAL,
                   escalate_at=after(30), escalate_to="calibration")  # fmt: skip


def late() -> Alarm:
    """Return a problem that the clock found."""
    reason = "No bias has been judged since 2026-11-21 06:00 UTC; one is expected within 36 h"
    made = alarm(
        "cadence", "bias", "LSSTCam", "focal plane",
        [said("LSSTCam", "bias", "", "", Severity.SERIOUS)], reason=reason,
    )  # fmt: skip
    return replace(made, kind=Kind.DEADMAN, symptoms=(), members=(), counts={}, total=0,
                   exposure_id=None)  # fmt: skip


def single(
    family: str, aspect: str, calib_type: str, test: str, part: str = AMP, **numbers: float
) -> Transition:
    """Return the raising of a one-test alarm."""
    level = "amplifier" if "/" in part else "focal plane" if part == "LSSTCam" else "CCD"
    shown = symptom(calib_type, part, judged(calib_type, test, part, **numbers))
    return raised(alarm(family, aspect, part, level, [shown]))


def unknown(family: str, aspect: str, part: str, test: str, reason: str) -> Transition:
    level = "amplifier" if "/" in part else "CCD"
    grave = RULES.family(family).severity
    kind = {"ingest": "ingest", "incomplete-set": aspect}.get(family, "bias")
    return raised(alarm(family, aspect, part, level, [said(part, kind, test, reason, grave)]))


def _life() -> dict[str, Transition]:
    """Return everything that may happen to one alarm."""
    bad = noise()
    good = replace(bad, severity=Severity.NONE, members=(), counts={}, cleared_by=2026112200016,
                   exposure_id=2026112200016)  # fmt: skip
    known = {
        "acknowledged": True, "acknowledged_by": "ada", "acknowledged_at": after(10),
        "acknowledged_why": "cable to be reseated, OBS-123",
        "acknowledged_severity": Severity.SERIOUS,
    }  # fmt: skip
    ended = {"closed_at": after(20)}
    who = {"who": "ada", "why": "cable to be reseated, OBS-123"}
    hushed = {"muted_severity": Severity.SERIOUS, "muted_by": "ada", "unmute_at": after(240),
              "muted_why": "work on the board"}  # fmt: skip
    warned = replace(bad, severity=Severity.WARNING)

    def told(what: What, of: Alarm, before: Severity = Severity.SERIOUS, **more) -> Transition:
        return Transition(what, after(20), of, before, **more)

    return {
        "raised": raised(bad),
        "raised, late": replace(raised(replace(bad, announced=False)), quiet=True),
        "worse": told(What.WORSE, bad, Severity.WARNING),
        "eased": told(What.EASED, warned),
        "confirmed": told(What.CONFIRMED, bad),
        "returned": told(What.RETURNED, bad, Severity.NONE),
        "recovered": told(What.RECOVERED, good),
        "over": told(What.CLEARED, replace(good, **known, **ended)),
        "over, acknowledged last": told(
            What.CLEARED, replace(good, **known, **ended), Severity.NONE, **who
        ),
        "over, reset": told(
            What.CLEARED,
            replace(
                good, cleared_by=None, **{**known, "acknowledged_why": "CCD replaced"}, **ended
            ),
            who="ada",
            why="CCD replaced",
        ),
        "absorbed": told(
            What.ABSORBED,
            replace(bad, severity=Severity.NONE, absorbed_by="LSSTCam.readout.above.R22", **ended),
        ),
        "acknowledged": told(
            What.ACKNOWLEDGED,
            replace(bad, **known, auto_unacknowledge_at=after(1440)),
            **who,
        ),
        "unacknowledged": told(What.UNACKNOWLEDGED, bad, why="it is still active"),
        "muted": told(What.MUTED, replace(bad, **hushed), who="ada", why="work on the board"),
        "unmuted": told(What.UNMUTED, bad, why="the time is over"),
        "escalated": told(
            What.ESCALATED,
            replace(bad, escalated_at=after(20), escalate_to="calibration"),
            why="nobody acknowledged it; calibration is called",
        ),
        "de-escalated": told(What.DEESCALATED, replace(bad, **known), **who),
    }


def _problems() -> dict[str, Transition]:
    """Return one alarm of each family, and groups."""
    whole = raft()
    files = "bias MC_O_20261122_000011: its file is not in the Butler"
    return {
        "raft": raised(whole),
        "raft, members": Transition(
            What.MEMBERS, after(3),
            replace(whole, members=whole.members[:141], total=144), Severity.SERIOUS,
            joined=whole.members[:2], left=whole.members[141:],
        ),
        "light leak": raised(light_leak()),
        "bias": single("bias", "below", "bias", "MEAN", MEAN=-1.52),
        "overscan": single("overscan", "above", "flat", "OVERSCAN_LEVEL", OVERSCAN_LEVEL=24553.0),
        "bias-shift": single("bias-shift", "", "bias", "BIAS_SHIFT", BIAS_SHIFT_COUNT=2.0),
        "outliers": single("outliers", "", "dark", "CR_NOISE", NOISE=6.1, CR_NOISE=7.0),
        "too many": single("outliers", "", "dark", "PROCESSING", PROCESSING=0.0),
        "illumination": single("illumination", "below", "flat", "LEVEL", MEAN=512.3),
        "scatter": single("scatter", "", "flat", "SCATTER", "R22_S11", DET_SCATTER=1204.0),
        "scatter of all": single("scatter", "", "flat", "SCATTER", "LSSTCam", EXP_SCATTER=1204.0),
        "sequencer": single(
            "sequencer", "", "bias", "SEQUENCER", "R22_S11", SEQUENCER_MISMATCHES=2.0
        ),
        **_sets(),
        "no reference": unknown("no-reference", "bias", "R22_S11", "NO_REFERENCE:bias",
                                "no bias is certified for 2026-11-22T18:04:37"),
        "unreadable": unknown("unreadable", "", "R22_S11", "UNREADABLE", "the file is cut short"),
        "masked": unknown("masked", "", AMP, "MASKED",
                          "C05: masked: wholly inside a certified defect, or without a gain"),
        "incomplete set": unknown("incomplete-set", "gain", "R22_S11", "INCOMPLETE",
                                  "the flats differ by 9.7 % of their light"),
        "ingest": unknown("ingest", "", "R22_S11", "INGEST", files),
        "chain": unknown("chain", "bias", "R22_S11", "CHAIN:bias",
                         "bias: LSSTCam/calib/old/bias is used now, and is not newer than "
                         "LSSTCam/calib/DM-50001/newRaft/bias.20261103a before"),
        "cadence": raised(late()),
        "cadence, recovered": Transition(
            What.RECOVERED, after(9), replace(late(), severity=Severity.NONE), Severity.SERIOUS
        ),
    }  # fmt: skip


def _sets() -> dict[str, Transition]:
    """Return alarms of what is judged of several exposures together."""
    detector = "R22_S11"
    return {
        "gain of a pair": single("gain", "above", "gain", "PAIR_GAIN", PAIR_GAIN_ZERO=1.71),
        "gain at a boundary": single(
            "gain", "below", "gain", "BOUNDARY_GAIN", BOUNDARY_GAIN_RATIO=0.962
        ),
        "gain of a raft": raised(_raft_of("gain", "above", "ptc", "PTC_GAIN", PTC_GAIN=1.7)),
        "noise of a pair": single("readout", "above", "gain", "PAIR_NOISE", PAIR_NOISE=7.3),
        "correlated noise": single(
            "correlated-noise", "", "ptc", "NOISE_SIGNAL_INDEPENDENCE", PTC_NOISE_CHANGE=0.12
        ),
        "full well": single("full-well", "", "ptc", "PTC_TURNOFF", PTC_TURNOFF=71200.0),
        "brighter-fatter": single(
            "brighter-fatter", "above", "ptc", "PTC_A00", PTC_A00_OFFSET=9.1e-7
        ),
        "linearity": single(
            "linearity", "", "linearity", "MAX_RESIDUAL", LINEARITY_MAX_RESIDUAL=0.0184
        ),
        "lamp of a pair": single("lamp", "", "gain", "PAIR_BALANCE", PAIR_BALANCE=0.031),
        "lamp of a sequence": single(
            "lamp", "", "linearity", "LAMP_DRIFT", detector, LAMP_DRIFT=0.013
        ),
        "crosstalk": single(
            "crosstalk", "", "crosstalk", "CROSSTALK_RESIDUAL", CROSSTALK_RESIDUAL=1.6e-4
        ),
        "crosstalk of a detector": single(
            "crosstalk", "", "crosstalk", "NO_SIGNIFICANT_DETECTION", detector,
            CROSSTALK_DETECTIONS=3.0,
        ),
        "stability of the bias": single(
            "bias-stability", "", "bias_stability", "BIAS_MEAN_SPREAD", BIAS_MEAN_SPREAD=2.91
        ),
        "jumps of a day": single(
            "bias-shift", "", "bias_stability", "BIAS_SHIFT_TOTAL", BIAS_SHIFT_TOTAL=5.0
        ),
        "charge transfer": single("charge-transfer", "above", "cti", "SERIAL_CTI", SERIAL_CTI=8e-6),
        "tearing": single("tearing", "", "cti", "DIVISADERO", DIVISADERO=0.061),
        "dark current": single(
            "dark", "above", "dark_stack", "DARK_CURRENT", DARK_STACK_MEAN=0.094
        ),
        "dark stability": single(
            "dark-stability", "", "dark_stack", "DARK_ODD_EVEN_MEAN", DARK_ODD_EVEN_MEAN=-0.08
        ),
        "defects": single("defects", "", "defects", "NEW_BRIGHT_PIXELS", NEW_BRIGHT_PIXELS=412.0),
        "a bad column": single("defects", "", "defects", "NEW_BAD_COLUMNS", NEW_BAD_COLUMNS=1.0),
    }  # fmt: skip


def _raft_of(family: str, aspect: str, kind: str, test: str, **numbers: float) -> Alarm:
    members = amps("R22")
    results = [
        symptom(kind, part, judged(kind, test, part, **numbers))
        for part in ("R22_S11/C05", "R22_S00/C10", "R22_S20/C07")
    ]
    return alarm(family, aspect, "R22", "raft", results, members)


@cache
def stories() -> dict[str, Transition]:
    """Return everything that has a golden text."""
    return {**_life(), **_problems()}


def texts() -> dict[str, dict[str, object]]:
    """Return what is said of each."""
    found = {}
    for name, told in stories().items():
        said_of_it = message(told, RULES, page="https://calwatch.example/alarms")
        found[name] = {
            "reason": told.alarm.reason,
            "subject": said_of_it.subject,
            "body": said_of_it.body.split("\n"),
        }
    return found


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(texts(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
