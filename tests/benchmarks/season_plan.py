"""Which problems a season has, and when."""

from __future__ import annotations

from season_faults import (
    DEAD,
    Fault,
    add,
    chance,
    dead,
    exactly,
    gain,
    generation,
    lamp,
    leak,
    noise,
    only,
    overscan,
    scale,
    shade,
    slope,
    some,
    uncertified,
    uneven,
    unknown,
    whole,
)
from season_model import INSTRUMENT

DAYS = 64
NO_DARK = "nothing in LSSTCam/calib is valid at this time"


def full_plan() -> list[Fault]:
    """Return the problems of a season of `DAYS` days; all are over two days before its end."""
    return [
        *_amplifiers(),
        *_groups(),
        *_light(),
        *_electronics(),
        *_unjudged(),
        *_chains(),
        *_now_and_then(),
        *_near_limits(),
        *_together(),
    ]


def _amplifiers() -> list[Fault]:
    up, down = "noise of an amplifier up", "noise of an amplifier down"
    return [
        noise(up, "R01_S00/C05", 1.08, 2, 3),
        noise(up, "R10_S11/C12", 1.12, 5, 1),
        noise(up, "R14_S22/C00", 1.30, 9, 6),
        noise(up, "R23_S01/C17", 2.00, 13, 2),
        noise(up, "R32_S20/C07", 1.10, 21, 10),
        noise(up, "R43_S12/C10", 1.50, 27, 1),
        noise(up, "R00_SW0/C14", 1.20, 33, 4),
        noise(up, "R34_S10/C03", 1.15, 46, 2),
        noise(down, "R02_S21/C04", 0.80, 3, 2),
        noise(down, "R12_S02/C16", 0.50, 11, 5),
        noise(down, "R41_S11/C01", 0.85, 30, 3),
        gain("R03_S12/C02", 1.05, 4, 6),
        gain("R11_S00/C11", 0.90, 10, 2),
        gain("R24_S21/C06", 1.23, 18, 1),
        gain("R33_S02/C13", 0.95, 36, 8),
        gain("R42_S10/C15", 1.04, 50, 3),
        unknown("masked", "R13_S20/C10", 6, 3, dead(DEAD[0]), sort="dead amplifier"),
        unknown("masked", "R21_S01/C07", 16, 20, dead(DEAD[1]), sort="dead amplifier"),
        unknown("masked", "R44_SW1/C12", 41, 1, dead(DEAD[0]), sort="dead amplifier"),
    ]


def _groups() -> list[Fault]:
    ccd, reb, raft = "noise of a CCD", "noise of a readout board", "noise of a raft"
    everything = Fault(
        "gain of the whole camera", INSTRUMENT, "readout", "above", ("bias", "dark"), 55, 3,
        scale("gain", 1.23), "at once",
    )  # fmt: skip
    return [
        noise(ccd, "R01_S22", 1.15, 7, 2),
        noise(ccd, "R20_S10", 0.80, 14, 3),
        noise(ccd, "R40_SW0", 1.30, 24, 1),
        unknown("masked", "R30_S11", 20, 2, dead(DEAD[0]), sort="dead CCD"),
        noise(reb, "R31_Reb2", 1.15, 8, 2),
        noise(reb, "R03_Reb0", 1.40, 22, 1),
        noise(reb, "R14_Reb1", 0.85, 35, 2),
        noise(raft, "R12", 1.20, 17, 1, "at once"),
        noise(raft, "R34", 1.12, 25, 3, "at once"),
        noise(raft, "R41", 0.70, 40, 1, "at once"),
        noise("noise of the whole camera", INSTRUMENT, 1.30, 31, 1, "at once"),
        everything,
    ]


def _light() -> list[Fault]:
    dark, flat = "light leak in darks", "light of flats"
    part = "something in the beam"
    shadow = Fault(
        part, "R22_S00", "readout", "below", ("flat",), 44, 2,
        shade(("C00", "C01", "C02", "C03"), 0.93),
    )  # fmt: skip
    bent = Fault(
        "light uneven over one CCD", "R13_S11", "readout", "above", ("flat",), 52, 2,
        slope("light", 0.06, product=True), also=(("readout", "below"), ("scatter", "")),
    )  # fmt: skip
    tilted = lamp(
        "light uneven over the camera", 1.0, 59, "", part=INSTRUMENT, family="scatter",
        rule="serious", change=slope("light", 0.2, product=True),
        also=(("readout", "above"), ("readout", "below")),
    )  # fmt: skip
    return [
        leak(dark, INSTRUMENT, 8.0, 6, "at once", times=only("dark", 4)),
        leak(dark, INSTRUMENT, 3.0, 12, "at once"),
        leak(dark, "R43", 5.0, 19, "at once"),
        leak(dark, "R11_S21", 4.0, 26, "serious"),
        leak("light leak from one side", INSTRUMENT, 3.0, 38, "at once", change=slope("mean", 2.0)),
        lamp(flat, 0.0, 5, times=only("flat", 3)),
        lamp(flat, 0.0, 15),
        lamp(flat, 0.12, 28),
        lamp(flat, 1.0, 34, "above", change=add("saturated", 0.2)),
        lamp("shadow over a raft", 0.0, 43, part="R02"),
        lamp(flat, 1.0, 48, "", family="scatter", rule="serious", change=uneven(0.07)),
        shadow,
        bent,
        tilted,
    ]


def _electronics() -> list[Fault]:
    jump, sequencer = "overscan jump", "other sequencer"
    more = {"rule": "at once", "change": whole("sequencer"), "sort": sequencer}
    return [
        overscan(jump, "R24_Reb1", 70.0, 3, 2),
        overscan(jump, "R42_Reb0", -90.0, 23, 1),
        overscan(jump, "R33", 120.0, 29, 2, "at once"),
        overscan(jump, "R10_S02/C14", 70.0, 45, 5),
        unknown("sequencer", "R13_Reb2", 10, 2, **more),
        unknown("sequencer", INSTRUMENT, 32, 1, **more),
        unknown("sequencer", "R04_SW1", 47, 1, **more),
        Fault(
            "bias shift", "R20_S22/C03", "bias-shift", "", ("bias",), 18, 2, add("shifts", 1.0)
        ),
        Fault("bias shift", "R32_S01", "bias-shift", "", ("bias",), 49, 1, add("shifts", 2.0)),
        Fault(
            "hot column", "R21_S12/C11", "outliers", "", ("dark",), 7, 12, add("hot", 40.0),
            "warning", times=only("dark"),
        ),
        Fault(
            "hot column", "R23_S20/C06", "outliers", "", ("dark",), 37, 2, add("hot", 15.0),
            "warning", times=only("dark"),
        ),
        leak("warm amplifier", "R04_SW0/C16", 6.0, 53, "serious"),
    ]  # fmt: skip


def _unjudged() -> list[Fault]:
    files, ingest = "unreadable files", "detectors not ingested"
    lost = {"rule": "at once", "change": whole("absent"), "sort": ingest}
    none, few = "no certified calibration", "this part has none"
    dark = {"aspect": "dark", "kinds": ("dark", "flat"), "sort": none}
    return [
        unknown("unreadable", "R11_S12", 9, 1, whole("unreadable"), sort=files),
        unknown("unreadable", "R02_S00", 39, 2, whole("unreadable"), sort=files),
        unknown(
            "unreadable", "R30", 51, 1, whole("unreadable"), sort=files, rule="at once",
            times=only("dark", 3, 4),
        ),
        unknown("ingest", "R31_S00", 4, 1, **lost, times=only("bias", 5, 6)),
        unknown("ingest", "R40", 21, 1, **lost),
        unknown("ingest", INSTRUMENT, 57, 1, **lost, times=only("dark", 2)),
        unknown(
            "no-reference", INSTRUMENT, 14, 1, uncertified("dark", NO_DARK), rule="at once", **dark
        ),
        unknown(
            "no-reference", "R01_S10", 42, 3, uncertified("flat", few), aspect="flat",
            kinds=("flat",), sort=none,
        ),
        unknown(
            "no-reference", "R24", 58, 1, uncertified("ptc", few), aspect="ptc", sort=none,
            rule="at once",
        ),
    ]  # fmt: skip


def _chains() -> list[Fault]:
    back = {"rule": "at once", "sort": "older certified calibration"}
    newer = {"expected": False, "sort": "newer certified calibration", "rule": "at once"}
    bias, flat = generation("bias", -1), generation("flat", -1)
    return [
        unknown("chain", "R20", 11, 2, bias, aspect="bias", **back),
        unknown("chain", "R42_S01", 28, 1, flat, aspect="flat", kinds=("flat",), **back),
        unknown("chain", INSTRUMENT, 45, 1, generation("dark", -1), aspect="dark",
                kinds=("dark", "flat"), **back),
        unknown("chain", INSTRUMENT, 60, 4, generation("bias", 1), aspect="bias", **newer),
    ]  # fmt: skip


def _now_and_then() -> list[Fault]:
    often, seldom = "every other exposure", "one exposure in four, evenly"
    single = "a single exposure"
    return [
        Fault(
            often,
            "R12_S11/C04",
            "readout",
            "above",
            ("bias",),
            23,
            2,
            scale("noise", 1.3),
            times=lambda kind, day, number: kind == "bias" and number % 2 == 0,
        ),
        noise("one in four by chance", "R31_S12/C16", 1.3, 26, 4, times=chance(0.25, 1)),
        noise("one in four by chance", "R03_S01/C12", 1.3, 46, 4, times=chance(0.25, 2)),
        noise(seldom, "R21_S20/C15", 1.3, 30, 3, times=some(4), expected=False),
        noise(single, "R33_S22/C05", 3.0, 19, 1, times=only("bias", 5), expected=False),
        noise(single, "R14_S00", 1.5, 42, 1, times=only("dark", 7), expected=False),
        leak(single, "R24_S12/C01", 30.0, 9, "serious", times=only("dark", 2), expected=False),
        overscan(single, "R02_Reb1", 90.0, 13, 1, times=only("flat", 2), expected=False),
    ]


def _near_limits() -> list[Fault]:
    """Return values near a limit: as near as the wander of the model leaves them on their side."""
    below, beyond = "just below a limit", "just beyond a warning limit"
    on = "on a warning limit"
    no = {"expected": False}
    either = {"expected": False, "either": True}
    warn = "warning"
    return [
        noise(on, "R11_S22/C02", 1.041, 6, 40, warn, change=exactly("ratio", 1.041), **either),
        overscan(on, "R43_S21/C13", 20.0, 4, 40, warn, **either),
        _relative(on, "R12_S20/C15", 0.99, 5, 40, rule=warn, **either),
        _relative(
            "less light in one filter", "R41_S22/C03", 0.96, 44, 5,
            times=lambda kind, day, number: kind == "flat" and number <= 3,
        ),
        noise(below, "R10_S20/C03", 1.036, 3, 30, change=exactly("ratio", 1.036), **no),
        noise(below, "R23_S11/C10", 0.964, 3, 30, change=exactly("ratio", 0.964), **no),
        _relative(below, "R43_S00/C04", 0.995, 8, 20, **no),
        leak(below, "R41_S20/C06", 0.4, 22, warn, **no),
        overscan(below, "R34_S02", 6.0, 5, 20, **no),
        lamp(below, 0.17, 20, **no),
        noise(beyond, "R11_S10/C07", 1.050, 34, 3, warn, change=exactly("ratio", 1.050)),
        _relative(beyond, "R30_S22/C14", 0.980, 50, 3, rule=warn),
        leak(beyond, "R20_S01/C13", 1.7, 16, warn),
        overscan(beyond, "R32_S12/C02", 38.0, 40, 3, warn),
        Fault(
            "noise that grows from day to day", "R42_S21/C11", "readout", "above",
            ("bias", "dark"), 33, 16, scale("noise", 1.0, 0.01), warn,
            times=lambda kind, day, number: day >= 7,
        ),
    ]  # fmt: skip


def _relative(sort: str, part: str, factor: float, day: int, days: int, **more) -> Fault:
    """Return a loss of light of one amplifier."""
    change = scale("light", factor)
    return Fault(sort, part, "readout", "below", ("flat",), day, days, change, **more)


def _together() -> list[Fault]:
    grows = "grows: amplifier, CCD, board, raft"
    raft = "several at once in one raft"
    return [
        noise(grows, "R13_S00/C05", 1.3, 24, 5),
        noise(grows, "R13_S00", 1.3, 25, 4),
        noise(grows, "R13_Reb0", 1.3, 26, 3),
        noise(grows, "R13", 1.3, 27, 2, "at once"),
        overscan(raft, "R22_S11/C05", 80.0, 36, 3),
        noise(raft, "R22_Reb0", 1.3, 36, 2),
        leak(raft, "R22", 6.0, 37, "at once"),
        unknown("masked", "R22_S02/C00", 36, 2, dead(DEAD[0]), sort=raft),
        gain("R22_S21/C10", 0.9, 36, 2),
        unknown("sequencer", "R22_Reb2", 37, 1, whole("sequencer"), sort=raft, rule="at once"),
    ]


def short_plan() -> list[Fault]:
    """Return the problems of a few days of R22 and R34."""
    one, more = "one", "many"
    lost = {"rule": "at once", "change": whole("absent")}
    return [
        noise(one, "R22_S11/C05", 1.12, 1, 2),
        noise(one, "R34_S20/C14", 0.80, 1, 1),
        gain("R22_S02/C11", 0.90, 2, 2),
        unknown("masked", "R22_S21/C00", 0, 2, dead(DEAD[0])),
        overscan(one, "R34_S00/C07", 38.0, 2, 1, "warning"),
        Fault(one, "R34_S12/C03", "bias-shift", "", ("bias",), 3, 1, add("shifts", 1.0)),
        Fault(
            one, "R22_S10/C16", "outliers", "", ("dark",), 1, 4, add("hot", 20.0), "warning",
            times=only("dark"),
        ),
        noise(more, "R34_S21", 1.2, 0, 1),
        noise(more, "R22_Reb2", 1.3, 4, 1),
        noise(more, "R34", 0.8, 4, 1, "at once"),
        overscan(more, "R22_Reb0", -80.0, 1, 1),
        leak(more, "R22", 6.0, 3, "at once"),
        leak(more, INSTRUMENT, 9.0, 4, "at once", times=only("dark", 5)),
        lamp(more, 0.0, 2, times=only("flat", 4)),
        unknown("sequencer", "R34_Reb1", 2, 1, whole("sequencer"), rule="at once"),
        unknown("unreadable", "R22_S00", 1, 1, whole("unreadable")),
        unknown("ingest", "R34_S22", 3, 1, **lost),
        unknown(
            "no-reference", INSTRUMENT, 0, 1, uncertified("dark", NO_DARK), aspect="dark",
            kinds=("dark", "flat"), rule="at once",
        ),
        unknown(
            "chain", "R34_S01", 1, 1, generation("flat", -1), aspect="flat", kinds=("flat",),
            rule="at once",
        ),
        noise(one, "R34_S02/C01", 1.036, 0, 6, change=exactly("ratio", 1.036), expected=False),
        noise(one, "R22_S12/C10", 1.3, 0, 4, times=some(4), expected=False),
        leak(one, "R34_S11/C12", 30.0, 2, "serious", times=only("dark", 3), expected=False),
        unknown(
            "chain", INSTRUMENT, 3, 3, generation("bias", 1), aspect="bias", rule="at once",
            expected=False,
        ),
    ]  # fmt: skip
