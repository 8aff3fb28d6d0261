"""The known problems of a season: what is broken where, when, and which alarm is to come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from season_model import INSTRUMENT, Conditions, Layout

BIAS_DARK = ("bias", "dark")
ALL = ("bias", "dark", "flat")
DEAD = ("all raw pixels are 0", "masked: wholly inside a certified defect, or without a gain")

Change = Callable[[Conditions, Layout, "Fault", int], None]
Times = Callable[[str, int, int], bool]


def always(kind: str, day: int, number: int) -> bool:
    return True


@dataclass(frozen=True)
class Fault:
    """One problem."""

    sort: str
    part: str
    family: str
    aspect: str
    kinds: tuple[str, ...]
    """Exposures in which a number stands beyond its limit."""
    day: int
    days: int
    change: Change
    rule: str = "serious"
    """Which persistence raises it; ``at once``: one exposure."""
    times: Times = always
    """Which exposures have it: of (kind, day since it began, number within the day)."""
    expected: bool = True
    """Whether it is beyond any limit; if not, no alarm may come of it."""
    either: bool = False
    """Whether it stands on a limit: an alarm is as right as none, but not one after the other."""

    also: tuple[tuple[str, str], ...] = ()
    """Other (family, aspect) in which the same problem shows."""

    def hits(self, kind: str, day: int, number: int) -> bool:
        """Tell whether it is there in one exposure."""
        since = day - self.day
        return 0 <= since < self.days and self.times(kind, since, number)


def scale(field: str, factor: float, per_day: float = 0.0) -> Change:
    """Multiply something for all amplifiers of the part, more so from day to day."""

    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        getattr(at, field)[layout.amps_in(fault.part)] *= factor + per_day * since

    return change


def add(field: str, amount: float) -> Change:
    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        getattr(at, field)[layout.amps_in(fault.part)] += amount

    return change


def exactly(field: str, value: float) -> Change:
    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        getattr(at, field)[layout.amps_in(fault.part)] = value

    return change


def slope(field: str, amount: float, *, product: bool = False) -> Change:
    """Add something that rises along a row of amplifiers from −amount to +amount, or times it."""

    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        chosen = layout.amps_in(fault.part)
        rise = amount * (2 * layout.place(chosen) - 1)
        if product:
            getattr(at, field)[chosen] *= 1 + rise
        else:
            getattr(at, field)[chosen] += amount + rise

    return change


def shade(amps: tuple[str, ...], factor: float) -> Change:
    """Take light from some amplifiers of a detector."""

    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        for amp in amps:
            at.light[layout.amps_in(f"{fault.part}/{amp}")] *= factor

    return change


def uneven(spread: float) -> Change:
    """Give each detector another light, as a changed screen does."""

    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        by_detector = np.where(np.arange(len(layout.detectors)) % 2, 1 + spread, 1 - spread)
        at.light *= by_detector[layout.of]

    return change


def dead(reason: str) -> Change:
    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        at.dead.update(dict.fromkeys(np.nonzero(layout.amps_in(fault.part))[0].tolist(), reason))

    return change


def whole(field: str) -> Change:
    """Name the detectors: read by another sequencer, unreadable or absent."""

    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        getattr(at, field).update(layout.detectors_in(fault.part))

    return change


def uncertified(calib_type: str, reason: str) -> Change:
    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        for name in layout.detectors_in(fault.part):
            at.missing.setdefault(name, {})[calib_type] = reason

    return change


def generation(calib_type: str, number: int) -> Change:
    def change(at: Conditions, layout: Layout, fault: Fault, since: int) -> None:
        for name in layout.detectors_in(fault.part):
            at.chains.setdefault(name, {})[calib_type] = number

    return change


def some(period: int) -> Times:
    """One exposure in so many, and never two of three across midday."""
    return lambda kind, day, number: number % period == period - 1


def chance(probability: float, seed: int) -> Times:
    """Exposures by chance."""
    words = {"bias": 1, "dark": 2, "flat": 3}
    return lambda kind, day, number: bool(
        np.random.default_rng([seed, words[kind], day, number]).random() < probability
    )


def only(kind: str, *numbers: int) -> Times:
    """Exposures of one kind, by number; all if none is given."""
    return lambda k, day, number: k == kind and (not numbers or number in numbers)


def noise(sort: str, part: str, factor: float, day: int, days: int, rule: str = "serious", **more):
    aspect = "above" if factor > 1 else "below"
    change = more.pop("change", scale("noise", factor))
    return Fault(sort, part, "readout", aspect, BIAS_DARK, day, days, change, rule, **more)


def gain(part: str, factor: float, day: int, days: int) -> Fault:
    aspect = "above" if factor > 1 else "below"
    change = scale("gain", factor)
    return Fault("gain step", part, "readout", aspect, ("flat",), day, days, change)


def overscan(sort: str, part: str, amount: float, day: int, days: int, rule="serious", **more):
    aspect = "above" if amount > 0 else "below"
    change = add("level", amount)
    return Fault(sort, part, "overscan", aspect, ALL, day, days, change, rule, **more)


def leak(sort: str, part: str, electrons: float, day: int, rule: str, **more) -> Fault:
    more.setdefault("times", only("dark"))
    change = more.pop("change", add("mean", electrons))
    return Fault(sort, part, "dark", "above", ("dark",), day, 1, change, rule, **more)


def lamp(sort: str, factor: float, day: int, aspect: str = "below", **more) -> Fault:
    change = more.pop("change", scale("light", factor))
    part = more.pop("part", INSTRUMENT)
    family = more.pop("family", "illumination")
    more.setdefault("rule", "at once")
    return Fault(sort, part, family, aspect, ("flat",), day, 1, change, **more)


def unknown(family: str, part: str, day: int, days: int, change: Change, **more) -> Fault:
    sort = more.pop("sort", family)
    more.setdefault("rule", "unknown")
    kinds = more.pop("kinds", ALL)
    return Fault(sort, part, family, more.pop("aspect", ""), kinds, day, days, change, **more)
