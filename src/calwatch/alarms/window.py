"""The last few exposures of one test of one part, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass

from calwatch.alarms.model import Sample, Severity
from calwatch.verify.limits_schema import Persistence


@dataclass(frozen=True, slots=True)
class Persistences:
    """M of N to raise and to clear, by severity."""

    serious: Persistence
    warning: Persistence

    def of(self, severity: Severity) -> Persistence:
        """Return those of one severity."""
        return self.serious if severity >= Severity.SERIOUS else self.warning

    @property
    def longest(self) -> int:
        """The most samples that can matter."""
        rules = (self.serious, self.warning)
        return max(max(rule.raise_.n, rule.clear.n) for rule in rules)


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of one test of one part, and the severity they have led to.

    A problem is raised by a bad exposure only and cleared by a good one only. An exposure that
    could not be judged leaves no sample: it neither raises nor clears. A value that is good by a
    hair (`Sample.near`) raises nothing and clears nothing, so that one which stands on its limit
    is one problem and not a new one every day.
    """

    samples: tuple[Sample, ...] = ()
    """Oldest first by the end of the exposure, one an exposure."""
    severity: Severity = Severity.NONE

    def take(self, sample: Sample, rules: Persistences, *, at_once: bool = False) -> Window:
        """Return the window with one more sample, or with a new word of an exposure it has.

        Parameters
        ----------
        sample
            Of an exposure; a second one of the same exposure takes the place of the first.
        rules
            How often is enough.
        at_once
            Others say the same in this exposure: a bad sample needs no second one. One that comes
            after its successors counts as well, unless so many of them are good that it is over.
        """
        samples = _with(self.samples, sample, rules.longest)
        if sample not in samples:
            return self
        severity = _judged(samples, self.severity, rules)
        if at_once and not _is_over(samples, sample, rules):
            severity = max(severity, sample.severity)
        if severity < self.severity:
            # What raised it is settled by what cleared it and must not count a second time.
            samples = samples[-rules.of(self.severity).clear.n :]
        return Window(samples, severity)

    def has(self, exposure_id: int) -> bool:
        """Tell whether a sample of an exposure is in it."""
        return any(sample.exposure_id == exposure_id for sample in self.samples)

    @property
    def idle(self) -> bool:
        """Whether nothing in it can matter any more."""
        return self.severity is Severity.NONE and all(
            sample.severity is Severity.NONE for sample in self.samples
        )

    @property
    def bad_since(self) -> Sample | None:
        """The oldest bad sample, None if there is none."""
        return next((s for s in self.samples if s.severity > Severity.NONE), None)

    @property
    def last_bad(self) -> Sample | None:
        """The newest bad sample, None if there is none."""
        return next((s for s in reversed(self.samples) if s.severity > Severity.NONE), None)


def _order(sample: Sample) -> tuple[object, int]:
    return (sample.end, sample.exposure_id)


def _with(samples: tuple[Sample, ...], sample: Sample, longest: int) -> tuple[Sample, ...]:
    others = [s for s in samples if s.exposure_id != sample.exposure_id]
    return tuple(sorted((*others, sample), key=_order)[-longest:])


def _is_over(samples: tuple[Sample, ...], sample: Sample, rules: Persistences) -> bool:
    """Tell whether enough later samples are good to clear what one sample would raise."""
    later = samples[samples.index(sample) + 1 :]
    good = sum(s.held < sample.severity for s in later)
    return good >= rules.of(sample.severity).clear.n


def _judged(samples: tuple[Sample, ...], now: Severity, rules: Persistences) -> Severity:
    """Return the severity that the samples lead to, from the present one."""
    newest = samples[-1]
    for severity in (Severity.SERIOUS, Severity.WARNING):
        share = rules.of(severity).raise_
        bad = sum(s.severity >= severity for s in samples[-share.n :])
        if severity > now and newest.severity >= severity and bad >= share.m:
            return severity
    share = rules.of(now).clear
    good = sum(s.held < now for s in samples[-share.n :])
    if newest.held < now and good >= share.m:
        return newest.held
    return now
