"""Which parts of the camera a problem is a problem of.

When most of a part has one problem in one direction, the part has it, and not each amplifier for
itself: one alarm of raft R22 stands in place of 144. And when a crowd of parts gets it at the same
time, they have it together, wherever in the camera they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from calwatch.alarms.model import Severity
from calwatch.alarms.parts import Node, Parts
from calwatch.alarms.rules import Group, Rules

_MOST = 0.8
"""Of a crowd: if one part below has so much of it, it is that part's."""


@dataclass(slots=True)
class _Weight:
    """How many amplifiers of each part are bad, and how many were judged."""

    bad: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    voices: dict[str, int] = field(default_factory=dict)
    """How many parts say so: one bad detector is one, however many amplifiers it has."""

    def is_group(self, node: Node, rule: Group | None, *, stands: bool = False) -> bool:
        """Tell whether most of a part is bad, by the word of more than one.

        Where its alarm stands already, half as much is enough.
        """
        if self.voices.get(node.name, 0) < 2:
            return False
        bad = self.bad[node.name] * (2 if stands else 1)
        return is_group(node, bad, self.judged.get(node.name, 0), rule)


def cover(
    bad: Collection[str],
    judged: Collection[str],
    parts: Parts,
    rules: Rules,
    standing: Mapping[str, Collection[str]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return the parts that have the problem, each with the bad parts it stands for.

    First, from the top of the camera down, every part of which most is bad takes all that is bad
    in it; one that has an alarm already keeps it while half as much is bad. Then every alarm that
    stands keeps what belongs to it. Of what is left, a crowd that has come at the same time is one
    problem of the smallest part that has most of it, and the rest stands for itself.

    Parameters
    ----------
    bad
        Names of the bad parts: amplifiers, CCDs, or the whole camera.
    judged
        Names of the parts of which that could be told; what is bad counts as judged.
    parts
        The camera.
    rules
        Say what "most" and "a crowd" mean at each level.
    standing
        Parts with an active alarm of this problem, each with the parts that belong to it.

    Returns
    -------
    dict
        Name of the part to the names of the bad ones in it, in the camera's order.
    """
    covering = _Covering(parts, rules, bad, judged)
    covering.take_wholes(parts.root, standing or {})
    covering.take_what_stands(standing or {})
    covering.take_crowds(parts.root)
    covering.take_the_rest(parts.root)
    return {name: parts.sorted(members) for name, members in covering.found.items()}


def together(bad: Collection[str], judged: Collection[str], parts: Parts, rules: Rules) -> set[str]:
    """Return the bad parts of which so many are bad at once that one exposure is enough."""
    covering = _Covering(parts, rules, bad, judged)
    covering.take_wholes(parts.root, {}, at_once=True)
    return {member for members in covering.found.values() for member in members}


class _Covering:
    """Finds places for all that is bad; what has none yet is in ``left``."""

    def __init__(
        self, parts: Parts, rules: Rules, bad: Collection[str], judged: Collection[str]
    ) -> None:
        self._parts = parts
        self._rules = rules
        self._weight = _weigh(bad, {*judged, *bad}, parts)
        self.left = set(bad)
        self.found: dict[str, set[str]] = {}

    def take_wholes(
        self,
        node: Node,
        standing: Mapping[str, Collection[str]],
        above: tuple[str, ...] = (),
        *,
        at_once: bool = False,
    ) -> None:
        """Give every part of which most is bad all that is bad in it.

        What belongs, by half of it, to the alarm of a larger part (``above``) stays with that.
        """
        if not self._weight.bad.get(node.name):
            return
        rule = rule_of(node, self._rules)
        if at_once and rule is not None and not rule.at_once:
            rule = None
        if self._weight.is_group(node, rule, stands=node.name in standing):
            here = _bad_below(node, self.left)
            owners = (p for p in above if 2 * len({*here}.intersection(standing[p])) >= len(here))
            self._take(next(owners, node.name), here)
            return
        if node.name in standing:
            above = (*above, node.name)
        for child in node.children:
            self.take_wholes(child, standing, above, at_once=at_once)

    def take_what_stands(self, standing: Mapping[str, Collection[str]]) -> None:
        """Let every alarm that stands keep what belongs to it."""
        for part in self._parts.sorted(standing):
            mine = {m for m in self.left.intersection(standing[part]) if self._within(m, part)}
            if mine:
                self.found.setdefault(part, set()).update(mine)
                self.left -= mine

    def take_crowds(self, node: Node) -> None:
        """Give what has come in a crowd to the smallest part that has most of it."""
        here = _bad_below(node, self.left)
        if len(here) < 2 or not node.children:
            return
        rule = rule_of(node, self._rules)
        largest = max((len(_bad_below(child, self.left)) for child in node.children), default=0)
        crowd = rule is not None and rule.many is not None and len(here) >= rule.many
        if crowd and largest < _MOST * len(here):
            self._take(node.name, here)
            return
        for child in node.children:
            self.take_crowds(child)

    def take_the_rest(self, node: Node) -> None:
        """Let the rest stand for itself; a bad detector has its own amplifiers."""
        if node.name in self.left:
            self._take(node.name, _bad_below(node, self.left))
        for child in node.children:
            self.take_the_rest(child)
        if node.parent is None:
            for name in [name for name in self.left if self._parts.find(name) is None]:
                self.found[name] = {name}
                self.left.discard(name)

    def _take(self, part: str, members: Collection[str]) -> None:
        self.found.setdefault(part, set()).update(members)
        self.left.difference_update(members)

    def _within(self, member: str, part: str) -> bool:
        return self._parts.within(member, part)


def rule_of(node: Node, rules: Rules) -> Group | None:
    """Return the rule for a part.

    One that is the whole of a larger part (the only detector of a camera) is as grave as that.
    """
    rule = rules.group(node.level)
    while node.parent is not None and len(node.parent.children) == 1:
        node = node.parent
        larger = rules.group(node.level)
        if larger is None or rule is None:
            rule = rule or larger
            continue
        rule = rule.model_copy(
            update={
                "at_once": rule.at_once or larger.at_once,
                "severity": max(rule.severity, larger.severity),
            }
        )
    return rule


def is_group(node: Node, bad: int, judged: int, rule: Group | None) -> bool:
    """Tell whether so many bad ones of so many judged ones make a part bad.

    Parameters
    ----------
    node
        The part; one with a single part below it never is a group.
    bad, judged
        Numbers of amplifiers.
    rule
        Of the part's level.
    """
    if rule is None or len(node.children) < 2 or not judged:
        return False
    return bad >= rule.fraction * judged and judged >= rule.coverage * node.amps


def group_severity(
    node: str,
    severities: Mapping[str, Severity],
    judged: Collection[str],
    parts: Parts,
    rules: Rules,
) -> Severity:
    """Return how grave the alarm of a part is: its gravest member's, or more if most are SERIOUS.

    Parameters
    ----------
    node
        Name of the part.
    severities
        Of the bad parts in it, by name.
    judged
        As for `cover`.
    parts, rules
        The camera and the rule of the part's level.
    """
    gravest = max(severities.values(), default=Severity.NONE)
    found = parts.find(node)
    rule = rule_of(found, rules) if found else None
    if found is None or rule is None or gravest < Severity.SERIOUS:
        return gravest
    serious = [name for name, severity in severities.items() if severity >= Severity.SERIOUS]
    weight = _weigh(serious, {*judged, *severities}, parts)
    return max(gravest, rule.severity) if weight.is_group(found, rule) else gravest


def _weigh(bad: Collection[str], judged: Collection[str], parts: Parts) -> _Weight:
    weight = _Weight()
    for names, counts in ((bad, weight.bad), (_largest(judged, parts), weight.judged)):
        for name in names:
            node = parts.find(name)
            if node is None:
                continue
            for above in node.above():
                counts[above.name] = counts.get(above.name, 0) + node.amps
                if counts is weight.bad:
                    weight.voices[above.name] = weight.voices.get(above.name, 0) + 1
    # A CCD that is bad beside its own amplifiers is not counted twice.
    for name, number in weight.bad.items():
        weight.bad[name] = min(number, weight.judged.get(name, number))
    return weight


def _largest(names: Collection[str], parts: Parts) -> list[str]:
    """Return the names less those that belong to another of them."""
    chosen = set(names)
    return [name for name in chosen if not _inside(name, chosen, parts)]


def _inside(name: str, others: Collection[str], parts: Parts) -> bool:
    node = parts.find(name)
    return node is not None and any(n.name in others for n in node.above() if n is not node)


def _bad_below(node: Node, bad: set[str]) -> list[str]:
    names = [node.name] if node.name in bad else []
    for child in node.children:
        names += _bad_below(child, bad)
    return names
