"""Alarms against known problems: what was found, how late, what was false and what came twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from season_book import Told
from season_faults import Fault
from season_model import Layout
from season_run import PROGRAM, Slot

from calwatch.alarms.model import Alarm, Key, What
from calwatch.alarms.rules import Rules
from calwatch.verify.limits_schema import Share

GRACE = 2
"""Exposures after the last bad one, for those that arrive in another order."""


@dataclass
class Episode:
    """One alarm from its raising to its end."""

    key: Key
    place: int
    raised: Alarm
    absorbed: bool = False
    closed: bool = False
    returned: int = 0


@dataclass
class Case:
    """One known problem and what came of it."""

    fault: Fault
    hits: dict[str, list[int]]
    """Places, in the order of arrival, of the exposures of each kind that have it."""
    due: int | None
    """Where M of the last N exposures of a kind have it for the first time; None: nowhere."""
    found: int | None = None
    delay: int | None = None
    """Exposures of the kind that raised it, from the first that had it on."""
    told_by: str = ""
    """Name of the alarm that told of it first."""
    episodes: list[Episode] = field(default_factory=list)

    @property
    def expected(self) -> bool:
        return self.fault.expected and self.due is not None

    @property
    def may_be_told(self) -> bool:
        return self.expected or self.fault.either

    @property
    def missed(self) -> bool:
        return self.expected and self.found is None

    @property
    def late(self) -> bool:
        """Whether it was found later than its M of N allows (and one that came out of order)."""
        return self.expected and self.found is not None and self.found > (self.due or 0) + 1

    @property
    def standing(self) -> list[Episode]:
        """Alarms that no alarm of a larger part took in."""
        return [e for e in self.episodes if not e.absorbed]

    @property
    def duplicates(self) -> int:
        return max(len(self.standing) - 1, 0) if self.may_be_told else 0

    @property
    def span(self) -> tuple[int, int]:
        places = [place for found in self.hits.values() for place in found]
        return (min(places), max(places)) if places else (0, -1)


@dataclass
class Score:
    """All of it."""

    cases: list[Case]
    unstable: list[Episode]
    """Of amplifiers whose mean is unstable by the model, and that have no other problem."""
    false: list[Episode]
    notices: Counter[What]
    """Transitions of which somebody was told."""

    @property
    def all_false(self) -> list[Episode]:
        return self.false + [e for c in self.cases if not c.may_be_told for e in c.episodes]


def score(
    faults: Iterable[Fault],
    order: list[Slot],
    told: list[Told],
    layout: Layout,
    unstable: set[str],
    rules: Rules,
) -> Score:
    """Lay the alarms of a season beside its problems."""
    cases = [_case(fault, order, rules) for fault in faults]
    found = Score(cases, [], [], Counter())
    for episode in _episodes(told):
        case = _owner(episode, cases, layout)
        loud = episode.key.part in unstable and episode.key.family in ("bias", "dark")
        if loud and (case is None or case.fault.part != episode.key.part):
            found.unstable.append(episode)
        elif case is not None:
            case.episodes.append(episode)
        else:
            found.false.append(episode)
    for case in cases:
        _find(case, order, told, layout)
    found.notices.update(t.transition.what for t in told if not t.transition.quiet)
    return found


def _case(fault: Fault, order: list[Slot], rules: Rules) -> Case:
    hits: dict[str, list[int]] = {}
    due = []
    for kind in fault.kinds:
        of_kind = [i for i, slot in enumerate(order) if slot.kind == kind]
        bad = [fault.hits(kind, order[i].day, order[i].number) for i in of_kind]
        hits[kind] = [i for i, b in zip(of_kind, bad, strict=True) if b]
        share = _share(fault.rule, rules)
        for k, place in enumerate(of_kind):
            if bad[k] and sum(bad[max(k + 1 - share.n, 0) : k + 1]) >= share.m:
                due.append(place)
                break
    return Case(fault, hits, min(due, default=None))


def _share(rule: str, rules: Rules) -> Share:
    if rule == "at once":
        return Share(m=1, n=1)
    share: Share = getattr(rules.persistence, rule).raise_
    return share


def _episodes(told: list[Told]) -> list[Episode]:
    open_now: dict[Key, Episode] = {}
    found = []
    for one in told:
        what, alarm = one.transition.what, one.transition.alarm
        if what is What.RAISED:
            open_now[alarm.key] = Episode(alarm.key, one.place, alarm)
            found.append(open_now[alarm.key])
        elif what is What.RETURNED:
            open_now[alarm.key].returned += 1
        elif not alarm.open:
            episode = open_now.pop(alarm.key, None)
            if episode is not None:
                episode.closed, episode.absorbed = True, what is What.ABSORBED
    return found


def _owner(episode: Episode, cases: list[Case], layout: Layout) -> Case | None:
    """Return the problem that an alarm tells of: of the same part, else the nearest one."""
    key, within = episode.key, layout.parts.within
    best: tuple[tuple[int, int], Case] | None = None
    for case in cases:
        fault = case.fault
        first, last = case.span
        if not (first <= episode.place <= last + GRACE or _begun(case, episode)):
            continue
        if (key.family, key.aspect) not in ((fault.family, fault.aspect), *fault.also):
            continue
        if key.part == fault.part:
            rank = 0
        elif within(key.part, fault.part):
            rank = 1
        elif within(fault.part, key.part):
            rank = 2
        else:
            continue
        size = len(layout.detectors_in(fault.part))
        order = (rank, size if rank == 1 else -size)
        if best is None or order < best[0]:
            best = (order, case)
    return best[1] if best else None


def _begun(case: Case, episode: Episode) -> bool:
    """Whether an exposure of another kind told of it earlier on its first day."""
    if case.fault.family != "readout":
        return False
    first, _ = case.span
    return first - sum(PROGRAM.values()) < episode.place <= first


def _find(case: Case, order: list[Slot], told: list[Told], layout: Layout) -> None:
    """Look for the first notice that tells of the problem."""
    fault, within = case.fault, layout.parts.within
    first, last = case.span
    mine = {e.place for e in case.episodes}
    for one in told:
        alarm = one.transition.alarm
        if not alarm.active or one.place > last + GRACE or one.transition.quiet:
            continue
        if (alarm.key.family, alarm.key.aspect) != (fault.family, fault.aspect):
            continue
        members = alarm.members or (alarm.key.part,)
        if not any(within(m, fault.part) or within(fault.part, m) for m in members):
            continue
        if one.place < first and one.place not in mine:
            continue
        case.found, case.told_by = one.place, alarm.name
        slot = order[one.place]
        case.delay = sum(s.kind == slot.kind and s.day >= fault.day for s in order[: one.place + 1])
        hits = case.hits.get(slot.kind) or []
        if hits and hits[0] <= one.place:
            case.delay = sum(s.kind == slot.kind for s in order[hits[0] : one.place + 1])
        return
