"""One failed test in words that need no knowledge of its name, and the small words around it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from calwatch.alarms.model import Sample, Severity, Symptom

NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "MEAN": "{} level after correction",
        "NOISE": "noise",
        "CR_NOISE": "noise without outliers",
        "READ_NOISE_CONSISTENT": "overscan noise",
        "OVERSCAN_LEVEL": "overscan level",
        "LEVEL": "light level",
        "RELATIVE_LEVEL": "level relative to the detector",
        "SATURATION": "saturated fraction",
        "SCATTER": "scatter of its parts",
        "PAIR_GAIN": "gain of a pair of flats",
        "PAIR_GAIN_NOMINAL": "gain of a pair of flats",
        "PAIR_NOISE": "overscan noise of a pair of flats",
        "BOUNDARY_GAIN": "gain from the boundaries of amplifiers",
        "PAIR_BALANCE": "difference of light within a pair of flats",
        "PTC_GAIN": "gain of the photon transfer curve",
        "PTC_NOISE": "read noise of the photon transfer curve",
        "PTC_TURNOFF": "turnoff of the photon transfer curve",
        "PTC_A00": "brighter-fatter coefficient off the middle of its range",
        "PTC_A00_CERTIFIED": "brighter-fatter coefficient",
        "NOISE_SIGNAL_INDEPENDENCE": "change of the overscan noise with the signal",
        "ROW_MEAN_VARIANCE": "scatter of row means",
        "MAX_RESIDUAL": "non-linearity left over",
        "QUADRATIC": "quadratic term left over",
        "POLYNOMIAL_2": "quadratic term left over",
        "POLYNOMIAL_3": "cubic term left over",
        "LAMP_DRIFT": "uncertainty of the light",
        "DEFECT_OUTLIERS": "outliers without the mask",
        "DEFECT_STDEV": "deviation without the mask",
        "DEFECT_MIN": "minimum without the mask",
        "DEFECT_MAX": "maximum without the mask",
        "DEFECT_PROBABILITY": "number of improbable pixels",
        "DARK_CURRENT": "dark current",
        "DARK_ODD_EVEN_MEAN": "difference of even and odd darks",
        "DARK_ODD_EVEN_NOISE": "noise of even and odd darks",
        "DARK_TAIL": "tail of warm pixels",
        "SERIAL_CTI": "serial charge transfer inefficiency",
        "PARALLEL_CTI": "parallel charge transfer inefficiency",
        "SERIAL_CTI_CERTIFIED": "serial charge transfer inefficiency",
        "DIVISADERO": "step at the edge of the amplifier",
        "CROSSTALK_RESIDUAL": "crosstalk left over",
        "BIAS_MEAN_SPREAD": "spread of the bias over the day",
        "BIAS_LEVEL_SPREAD": "spread of the overscan level over the day",
        "BIAS_NOISE_SPREAD": "spread of the overscan noise over the day",
    }
)
"""What is measured, by test; ``{}`` is the kind of exposure."""
OUTLIERS: Mapping[str, str] = MappingProxyType(
    {
        "below": "outliers that are no cosmic rays",
        "above": "noise taken for cosmic rays",
    }
)
"""What the two sides of CR_NOISE mean, whose number says little."""
COUNTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "PROCESSING": ("too many cosmic rays to be told apart",) * 2,
        "BIAS_SHIFT": ("1 jump of the bias level", "{} jumps of the bias level"),
        "BIAS_SHIFT_TOTAL": (
            "1 jump of the bias level over the day",
            "{} jumps of the bias level over the day",
        ),
        "NO_SIGNIFICANT_DETECTION": ("1 coefficient is left over", "{} coefficients are left over"),
        "SEQUENCER": ("1 sequencer keyword differs", "{} sequencer keywords differ"),
        "NEW_BRIGHT_PIXELS": ("1 new bright pixel", "{} new bright pixels"),
        "NEW_DARK_PIXELS": ("1 new dark pixel", "{} new dark pixels"),
        "UNSTABLE_PIXELS": ("1 unstable pixel", "{} unstable pixels"),
        "NEW_BAD_COLUMNS": ("1 new bad column", "{} new bad columns"),
    }
)
"""Tests whose number says all: with one, and with any other number."""
_NUMBER = r"[-+]?\d[\d.]*(?:e[-+]?\d+)?"
_REFERENCED = re.compile(
    rf"(?P<value>{_NUMBER}.*?) is (?P<by>{_NUMBER}.*?) (?P<side>above|below) "
    rf"(?P<what>the .+?) (?P<reference>{_NUMBER}.*?) \(limit (?P<limit>[^)]+)\)(?P<note>.*)"
)
_BOUNDED = re.compile(
    rf"(?P<value>{_NUMBER}.*?) is (?P<side>above|below) (?P<edge>{_NUMBER}(?: [^\s\[]+)?)"
    r"(?P<note>(?: \[.*)?)"
)


@dataclass(frozen=True, slots=True)
class Said:
    """One symptom in words; all are empty if it left none."""

    noun: str = ""
    """What is measured: ``noise``."""
    sentence: str = ""
    """What of it, in full: ``7.31 e- is 12 % above the expected 6.52 e- (limit 5 %)``."""
    brief: str = ""
    """``12 % above the expected (limit 5 %)``."""

    @property
    def full(self) -> str:
        """All of it."""
        return f"{self.noun} {self.sentence}".strip()

    @property
    def short(self) -> str:
        """As much as a headline needs."""
        return f"{self.noun} {self.brief}".strip()

    @property
    def at_worst(self) -> str:
        """The same of the worst of many."""
        return f"{self.noun} at worst {self.brief}".strip() if self.brief else ""


def deciding(symptom: Symptom) -> Sample | None:
    """Return the newest bad sample, the newest one if none is bad, None if there is none."""
    bad = [sample for sample in symptom.samples if sample.severity > Severity.NONE]
    return next(reversed(bad or list(symptom.samples)), None)


def say(symptom: Symptom) -> Said:
    """Say what is wrong with one test of one part."""
    sample = deciding(symptom)
    if sample is None:
        return Said()
    sentence = _bare(symptom, sample)
    counted = _counted(symptom.test, sample)
    if counted:
        listed = symptom.test == "SEQUENCER" and not _BOUNDED.fullmatch(sentence)
        return Said("", (listed and sentence) or counted, counted)
    noun = NOUNS.get(symptom.test, "").format(symptom.calib_type)
    if found := _REFERENCED.fullmatch(sentence):
        if symptom.test == "CR_NOISE":
            brief = f"{OUTLIERS[found['side']]}: {found['by']} (limit {found['limit']})"
            return Said("", f"{noun} {sentence}", brief)
        brief = f"{found['by']} {found['side']} {found['what']} (limit {found['limit']})"
        return Said(noun, sentence, brief)
    if found := _BOUNDED.fullmatch(sentence):
        brief = f"{found['value']}, {found['side']} the limit of {found['edge']}"
        return Said(noun, sentence, brief)
    value = number(sample.value, symptom.unit)
    if not sentence and value:
        bounds = allowed(symptom)
        sentence = f"{value} (allowed {bounds})" if bounds else value
        return Said(noun, sentence, sentence)
    return Said("", sentence, sentence)


def allowed(symptom: Symptom, *, unit: bool = True) -> str:
    """Say which values are allowed: ``6.19 to 6.85 e-``; empty where there is no limit."""
    sample = deciding(symptom)
    lower, upper = (number(edge, "") for edge in (sample.limit if sample else (None, None)))
    after = unit_text(symptom.unit) if unit else ""
    if lower and upper:
        return f"{lower} to {upper}{after}"
    if upper:
        return f"up to {upper}{after}"
    return f"from {lower}{after}" if lower else ""


def number(value: float | None, unit: str) -> str:
    """Write a number as a person reads it; nothing if there is none."""
    if value is None or not math.isfinite(value):
        return ""
    size = abs(value)
    whole = size < 1e6 and (size >= 1000 or value == int(value))
    text = f"{value:.0f}" if whole else f"{value:.4g}"
    return f"{'0' if text == '-0' else text}{unit_text(unit)}"


def unit_text(unit: str) -> str:
    """Return what follows a number; counts and ratios have no unit."""
    return "" if unit in ("", "count") else f" {one_line(unit)}"


def stamp(at: datetime) -> str:
    """Write a time to the minute, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def by(who: str, why: str) -> str:
    """Say who did something, and why."""
    return one_line(f"by {who}: {why}" if why else f"by {who}")


def one_line(text: str) -> str:
    """Return a text in one line, without what cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def as_sentence(text: str) -> str:
    """Return a text as a sentence of its own."""
    text = one_line(text).rstrip(" .;")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _bare(symptom: Symptom, sample: Sample) -> str:
    """Return the test's sentence without the names of amplifier and test before it."""
    said = one_line(sample.reason)
    amp = symptom.part.rpartition("/")[2]
    names = (f"{amp} {symptom.test} ", f"{symptom.test} ", f"{symptom.test}: ", f"{amp}: ")
    for before in names:
        if said.startswith(before):
            return said.removeprefix(before).removeprefix("masked: ")
    return said


def _counted(test: str, sample: Sample) -> str:
    one, other = COUNTED.get(test, ("", ""))
    value = number(sample.value, "")
    if not one or not value:
        return ""
    return one if value == "1" else other.format(value)
