"""The book of one instrument's alarms: evidence, commands and time go in, what happened comes out.

Everything here is a plain function of what the book remembers and what it is given, the time
included. Whoever keeps it writes `Book.state` and `Book.changed` down after each call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calwatch.alarms import chains, machine
from calwatch.alarms.evidence import (
    INCOMPLETE,
    MASKED,
    NO_REFERENCE,
    UNREADABLE,
    Finding,
    Sighting,
)
from calwatch.alarms.grouping import cover, together
from calwatch.alarms.machine import AlarmActionError, Delays, Step, View
from calwatch.alarms.model import Alarm, Key, Kind, Sample, Severity, Transition
from calwatch.alarms.parts import Parts
from calwatch.alarms.rules import Rules
from calwatch.alarms.state import RECENT, BookState, Mute, Seen, Track, TrackKey
from calwatch.alarms.told import leave_out_told, note_told
from calwatch.alarms.view import make_view, with_last_samples
from calwatch.alarms.window import Persistences, Window
from calwatch.alarms.words import reason_line
from calwatch.verify.limits import Limits

_TICK = timedelta(microseconds=1)
_OF_FILES = (UNREADABLE, INCOMPLETE)
"""What is said where nothing was measured."""
_ALL = -1
"""Every bit there is."""

Problem = tuple[str, str]
"""(family, aspect)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is late now, as the clock and the ledger say."""

    family: str
    aspect: str
    severity: Severity
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Frame:
    """What a book is read with: it does not change while calwatch runs."""

    parts: Parts
    rules: Rules
    limits: Limits
    delays: Delays = field(default_factory=Delays)
    late: timedelta = timedelta(hours=24)
    """An exposure that ended longer ago raises nothing that anybody is told of."""


@dataclass(slots=True)
class Book:
    """One instrument's alarms.

    Parameters
    ----------
    frame
        Camera, rules, limits and delays.
    state
        What was remembered.
    alarms
        The open alarms.
    """

    frame: Frame
    state: BookState
    alarms: dict[Key, Alarm]
    transitions: list[Transition] = field(default_factory=list)
    """What has happened since the book was opened, in order."""
    _ended: list[Alarm] = field(default_factory=list)
    _touched: dict[Key, None] = field(default_factory=dict)

    @property
    def changed(self) -> list[Alarm]:
        """Alarms as they ended, then those that are open as they stand now, if anything changed."""
        return [*self._ended, *(self.alarms[key] for key in self._touched)]

    def observe(self, seen: Sighting, now: datetime, *, quiet: bool | None = None) -> None:
        """Take in what one exposure says.

        Parameters
        ----------
        seen
            The exposure; the same one again changes nothing that it did not change before.
        now
            The time (aware).
        quiet
            Whether nobody is to be told; None: if the exposure ended too long ago.
        """
        self.tick(now)
        late = self.state.clock - seen.end > self.frame.late if quiet is None else quiet
        chains.compare(seen, self.state.chains, self.frame.rules)
        self._leave_out_silent(seen)
        self._leave_out_masked(seen)
        leave_out_told(seen, self.state, self.frame.parts, self.frame.rules)
        known, newer = self._remember(seen)
        judged = self._judged(seen) if seen.bad or self.state.tracks else {}
        problems = self._take_bad(seen, judged, known, newer)
        problems |= self._take_good(seen, known)
        for problem in sorted(problems):
            self._settle(problem, seen, judged.get(problem[0], set()), late=late)
        note_told(seen, self.state, self.frame.parts, self.frame.rules)
        self.state.tracks = {k: t for k, t in self.state.tracks.items() if not t.window.idle}

    def conditions(
        self,
        found: Iterable[Condition],
        families: Collection[str],
        now: datetime,
        evidence: int | None = None,
    ) -> None:
        """Take in what is late, and that nothing else of these families is.

        Parameters
        ----------
        found
            What is late.
        families
            All that was looked for.
        now
            The time (aware).
        evidence
            The newest exposure: what clears an alarm that no condition stands behind any more.
        """
        self.tick(now)
        root = self.frame.parts.root
        wanted: dict[Key, View] = {}
        for condition in found:
            key = Key(self.frame.parts.instrument, condition.family, condition.aspect, root.name)
            wanted[key] = View(condition.severity, condition.since, condition.reason)
        for key, view in wanted.items():
            self._show(key, root.level, view, late=False)
        for key, alarm in list(self.alarms.items()):
            if key.family in families and key not in wanted and alarm.active:
                self._recover(key, evidence, late=False)

    def tick(self, now: datetime) -> None:
        """Let the time come to ``now``; what has fallen due happens, each at its own time."""
        self.state.clock = max(self.state.clock, now)
        while (due := self._due()) is not None:
            at, key = due
            self._keep(key, machine.run_timers(self.alarms[key], at, self.frame.delays))
        expired = [n for n, mute in self.state.mutes.items() if mute.until <= self.state.clock]
        for name in expired:
            del self.state.mutes[name]

    def acknowledge(
        self, key: Key, who: str, why: str, now: datetime, severity: Severity | None = None
    ) -> None:
        """Acknowledge an alarm (`machine.acknowledge`).

        A change of the certified chain counts as right from then on.
        """
        self._act(key, now, lambda a, at: machine.acknowledge(
            a, who, why, at, self.frame.delays, severity
        ))  # fmt: skip
        if key.family == "chain":
            ccds = [name for name in self.state.chains if self.frame.parts.within(name, key.part)]
            chains.accept(self.state.chains, ccds, key.aspect)

    def unacknowledge(self, key: Key, who: str, why: str, now: datetime) -> None:
        """Take an acknowledgement back (`machine.unacknowledge`)."""
        self._act(key, now, lambda a, at: machine.unacknowledge(a, who, why, at, self.frame.delays))

    def mute(
        self,
        key: Key,
        who: str,
        why: str,
        now: datetime,
        duration: timedelta,
        severity: Severity = Severity.CRITICAL,
    ) -> None:
        """Hold back notices of an alarm, and of the same problem if it comes back meanwhile."""
        self.tick(now)
        until = self.state.clock + duration
        self._act(key, now, lambda a, at: machine.mute(a, who, why, at, until, severity))
        self.state.mutes[key.name] = Mute(severity, who, why, until)

    def unmute(self, key: Key, who: str, why: str, now: datetime) -> None:
        """Tell of an alarm again (`machine.unmute`)."""
        self._act(key, now, lambda a, at: machine.unmute(a, who, why, at))
        self.state.mutes.pop(key.name, None)

    def reset(self, key: Key, who: str, why: str, now: datetime) -> None:
        """End an alarm by a person's word, and forget what stood behind it (`machine.reset`)."""
        alarm = self.alarms.get(key)
        self._act(key, now, lambda a, at: machine.reset(a, who, why, at))
        if alarm is not None:
            self.state.tracks = {
                k: track
                for k, track in self.state.tracks.items()
                if (track.family, k[3]) != (key.family, key.aspect)
                or not self.frame.parts.within(k[0], key.part)
            }

    def _due(self) -> tuple[datetime, Key] | None:
        """Return what is the first to have fallen due."""
        due = [(at, key) for key, alarm in self.alarms.items() if (at := machine.next_due(alarm))]
        first = min(due, default=None)
        return first if first is not None and first[0] <= self.state.clock else None

    def _remember(self, seen: Sighting) -> tuple[int, list[Seen]]:
        """Note the exposure and which of its detectors said something.

        Returns
        -------
        tuple
            The detectors that had said something of it before, and the newer exposures of its kind.
            One that is older than all that are remembered was seen whole, as far as we know.
        """
        recent = self.state.recent.setdefault(seen.calib_type, [])
        before = next((one for one in recent if one.exposure_id == seen.exposure_id), None)
        known = 0 if before is None else before.detectors
        said = [part for part, test in (*seen.good, *seen.bad) if test not in _OF_FILES]
        bits = {self.frame.parts.bit(part) for part in said}
        bits_set = known | sum(1 << bit for bit in bits)
        told = () if before is None else before.told
        mine = Seen(seen.end, seen.exposure_id, bits_set, seen.physical_filter, told)
        others = [one for one in recent if one is not before]
        self.state.recent[seen.calib_type] = sorted([*others, mine])[-RECENT:]
        newer = [one for one in others if (one.end, one.exposure_id) > (mine.end, mine.exposure_id)]
        return (_ALL if len(newer) >= RECENT else known), newer

    def _leave_out_silent(self, seen: Sighting) -> None:
        """Take out failures of tests that are to raise no alarm."""
        limits, kind = self.frame.limits, seen.calib_type
        tests = {test for _part, test in seen.bad}
        silent = {test for test in tests if limits.alarm_persistence(kind, test).never}
        for spot in [spot for spot in seen.bad if spot[1] in silent]:
            del seen.bad[spot]

    def _leave_out_masked(self, seen: Sighting) -> None:
        """Take out amplifiers of a set of which an alarm says already that they cannot be judged.

        A dead amplifier is one problem, and not one more for each kind of set.
        """
        incomplete = [part for part, test in seen.bad if test == INCOMPLETE]
        if not incomplete:
            return
        masked = {
            key[0]
            for key, track in self.state.tracks.items()
            if key[2] == MASKED and track.window.severity > Severity.NONE
        }
        for part in masked.intersection(incomplete):
            del seen.bad[part, INCOMPLETE]

    def _was_known(self, known: int, part: str) -> bool:
        return bool(known >> self.frame.parts.bit(part) & 1)

    def _at_once(self, seen: Sighting, judged: Mapping[str, set[str]]) -> set[tuple[Problem, str]]:
        """Return the parts that are bad with so many others that one exposure is enough."""
        by_problem: dict[Problem, set[str]] = {}
        for (part, _test), findings in seen.bad.items():
            for finding in findings:
                by_problem.setdefault((finding.family, finding.aspect), set()).add(part)
        return {
            (problem, member)
            for problem, bad in by_problem.items()
            for member in together(bad, judged[problem[0]], self.frame.parts, self.frame.rules)
        }

    def _judged(self, seen: Sighting) -> dict[str, set[str]]:
        """Return the parts of which this exposure said something, by family of tests."""
        families: dict[str, str] = {}
        judged: dict[str, set[str]] = {}
        for part, test in (*seen.good, *seen.bad):
            family = families.get(test)
            if family is None:
                family = families[test] = self._family(seen.calib_type, test)
            judged.setdefault(family, set()).add(part)
        return judged

    def _family(self, calib_type: str, test: str) -> str:
        if test.startswith(NO_REFERENCE):
            return "no-reference"
        word = test.partition(":")[0].lower()
        if word in ("unreadable", "masked", "ingest", "chain"):
            return word
        if test == INCOMPLETE:
            return "incomplete-set"
        return self.frame.rules.family_of(calib_type, test).name

    def _take_bad(
        self,
        seen: Sighting,
        judged: Mapping[str, set[str]],
        known: int,
        newer: list[Seen],
    ) -> set[Problem]:
        """Let bad words count. What was known before opens nothing that is settled."""
        problems = set()
        at_once = self._at_once(seen, judged)
        for (part, test), findings in seen.bad.items():
            for finding in findings:
                problem = (finding.family, finding.aspect)
                key = (part, seen.kind(test, self.frame.rules), test, finding.aspect)
                track = self.state.tracks.get(key)
                was_known = self._was_known(known, part)
                if _settled(track, seen, was_known):
                    continue
                if track is None:
                    window = Window(tuple(self._unseen(newer, seen, part, test)))
                    track = Track(finding.family, finding.unit, finding.section, window)
                rules = self._persistence(finding, seen.calib_type, test)
                together = (problem, part) in at_once and not (was_known and newer)
                window = track.window.take(finding.sample, rules, at_once=together)
                self.state.tracks[key] = replace(track, window=window)
                problems.add(problem)
        return problems

    def _unseen(
        self, newer: Iterable[Seen], seen: Sighting, part: str, test: str
    ) -> Iterable[Sample]:
        """Yield good samples of later exposures: had they been bad there, there were a track."""
        by_filter = test in self.frame.rules.by_filter
        for one in newer:
            same = not by_filter or one.physical_filter == seen.physical_filter
            if same and self._was_known(one.detectors, part):
                yield Sample(one.end, one.exposure_id, Severity.NONE)

    def _take_good(self, seen: Sighting, known: int) -> set[Problem]:
        problems = set()
        for key, track in self.state.tracks.items():
            part, kind, test, aspect = key
            spot = (part, test)
            if spot not in seen.good or kind != seen.kind(test, self.frame.rules):
                continue
            if _settled(track, seen, self._was_known(known, part)):
                continue
            limit, near = seen.near.get(spot, (None, None)), spot in seen.near
            good = Severity.NONE
            sample = Sample(seen.end, seen.exposure_id, good, seen.good[spot], limit, near=near)
            finding = Finding(track.family, aspect, sample)
            rules = self._persistence(finding, seen.calib_type, test)
            self.state.tracks[key] = replace(track, window=track.window.take(sample, rules))
            problems.add((track.family, aspect))
        return problems

    def _persistence(self, finding: Finding, calib_type: str, test: str) -> Persistences:
        """Return M of N of a test: what the limits file says, or what the rules say of its sort."""
        rules = self.frame.rules
        family = rules.family(finding.family)
        default = rules.persistence
        special = {
            Kind.UNKNOWN: default.unknown,
            Kind.CHAIN: default.chain,
            Kind.DEADMAN: default.ingest,
        }.get(family.kind)
        if special is not None:
            return Persistences(special, special)
        asked = self.frame.limits.alarm_persistence(calib_type, test)
        return Persistences(asked.serious or default.serious, asked.warning or default.warning)

    def _settle(
        self, problem: Problem, seen: Sighting, judged: Collection[str], *, late: bool
    ) -> None:
        """Bring the alarms of one problem in line with the tracks."""
        family, aspect = problem
        tracks = {
            key: track
            for key, track in self.state.tracks.items()
            if (track.family, key[3]) == problem and track.window.severity > Severity.NONE
        }
        bad = {key[0] for key in tracks}
        mine = {key: a for key, a in self.alarms.items() if (key.family, key.aspect) == problem}
        standing = {key.part: _belongings(a, tracks) for key, a in mine.items() if a.active}
        covered = cover(bad, judged, self.frame.parts, self.frame.rules, standing)
        for part, members in covered.items():
            chosen = {key: track for key, track in tracks.items() if key[0] in set(members)}
            key = Key(self.frame.parts.instrument, family, aspect, part)
            view = make_view(key, chosen, members, judged, self.frame.parts, self.frame.rules)
            self._show(key, self.frame.parts.level(part), view, late=late)
        for key in mine:
            if key.part not in covered:
                self._let_go(key, covered, seen, late=late)

    def _let_go(
        self, key: Key, covered: Mapping[str, Sequence[str]], seen: Sighting, *, late: bool
    ) -> None:
        """End or recover an alarm with nothing bad of its own: another has it, or all is good."""
        mine = set(self.alarms[key].members)
        larger = [part for part, members in covered.items() if mine.intersection(members)]
        if larger:
            by = replace(key, part=larger[0])
            self._do(key, lambda alarm, at: machine.absorb(alarm, by, at))
            return
        self.alarms[key] = with_last_samples(self.alarms[key], self.state.tracks)
        self._recover(key, seen.exposure_id, late=late)

    def _recover(self, key: Key, evidence: int | None, *, late: bool) -> None:
        step = machine.recover(
            self.alarms[key],
            self.state.clock,
            self.frame.delays,
            exposure_id=evidence,
            late=late,
        )
        self._keep(key, step)

    def _show(self, key: Key, level: str, view: View, *, late: bool) -> None:
        """Raise an alarm, or bring it up to date."""
        at, delays = self.state.clock, self.frame.delays
        if key in self.alarms:
            alarm, told = machine.see(self.alarms[key], view, at, delays, late=late)
        else:
            kind = self.frame.rules.family(key.family).kind
            alarm, told = machine.begin(key, kind, level, view, at, delays, late=late)
            mute = self.state.mutes.get(key.name)
            if mute is not None:
                alarm = machine.with_mute(alarm, mute.who, mute.why, mute.until, mute.severity)
                told = tuple(replace(t, quiet=t.quiet or alarm.muted) for t in told)
        if not view.reason:
            alarm = replace(alarm, reason=reason_line(alarm, self.frame.rules))
        self._keep(key, (alarm, tuple(replace(t, alarm=alarm) for t in told)))

    def _act(self, key: Key, now: datetime, act: Callable[[Alarm, datetime], Step]) -> None:
        self.tick(now)
        if key not in self.alarms:
            raise AlarmActionError(f"{key.name}: there is no such open alarm")
        self._do(key, act)

    def _do(self, key: Key, act: Callable[[Alarm, datetime], Step]) -> None:
        self._keep(key, act(self.alarms[key], self.state.clock))

    def _keep(self, key: Key, step: Step) -> None:
        """Write down what came of something. No two things happen at the same time."""
        alarm, told = step
        for transition in told:
            at = max(transition.at, self.state.last + _TICK)
            self.state.last = at
            self.transitions.append(replace(transition, at=at))
        if alarm.open:
            self.alarms[key] = alarm
            self._touched[key] = None
        else:
            self.alarms.pop(key, None)
            self._touched.pop(key, None)
            self._ended.append(alarm)


def _belongings(alarm: Alarm, tracks: Mapping[TrackKey, Track]) -> set[str]:
    """Return the parts that belong to an alarm: its members, and what was bad when it was raised.

    Of a problem that comes over several parts at once not all are raised by the same exposure.
    """
    early = {
        key[0]
        for key, track in tracks.items()
        if (first := track.window.bad_since) is not None and first.end <= alarm.opened_at
    }
    return {*alarm.members, *early}


def _settled(track: Track | None, seen: Sighting, known: bool) -> bool:
    """Tell whether what an exposure says of a part has had its effect, which is over."""
    return known and (track is None or not track.window.has(seen.exposure_id))
