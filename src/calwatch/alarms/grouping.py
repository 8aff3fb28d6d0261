"""Which parts of the camera a problem is a problem of.

When most of a part has one problem in one direction, the part has it, and not each amplifier for
itself: one alarm of raft R22 stands in place of 144.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from calwatch.alarms.model import Severity
from calwatch.alarms.parts import Node, Parts
from calwatch.alarms.rules import Group, Rules


@dataclass(slots=True)
class _Weight:
    """How many amplifiers of each part are bad, and how many were judged."""

    bad: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    voices: dict[str, int] = field(default_factory=dict)
    """How many parts say so: one bad detector is one, however many amplifiers it has."""

    def is_group(self, node: Node, rule: Group | None) -> bool:
        """Tell whether most of a part is bad, by the word of more than one."""
        if self.voices.get(node.name, 0) < 2:
            return False
        return is_group(node, self.bad[node.name], self.judged.get(node.name, 0), rule)


def cover(
    bad: Collection[str],
    judged: Collection[str],
    parts: Parts,
    rules: Rules,
    standing: Collection[str] = (),
    *,
    at_once: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Return the parts that have the problem, each with the bad parts it stands for.

    From the top of the camera down: a part that is bad itself, that has an alarm already
    (``standing``) or of which most is bad takes all that is bad below it; what is left stands for
    itself. A part with a single part below it is the same thing and is left out.

    Parameters
    ----------
    bad
        Names of the bad parts: amplifiers, CCDs, or the whole camera.
    judged
        Names of the parts of which that could be told; what is bad counts as judged.
    parts
        The camera.
    rules
        Say what "most" means at each level.
    standing
        Parts with an active alarm of this problem: it stays theirs until all below is good.
    at_once
        Only by the rules for which one exposure is enough.

    Returns
    -------
    dict
        Name of the part to the names of the bad ones in it, in the camera's order.
    """
    weight = _weigh(bad, {*judged, *bad}, parts)
    found: dict[str, tuple[str, ...]] = {}
    unknown = [name for name in bad if parts.find(name) is None]
    if weight.bad:
        _descend(parts.root, set(bad), weight, rules, set(standing), at_once, found)
    if not at_once:
        found.update({name: (name,) for name in sorted(unknown)})
    return {name: parts.sorted(members) for name, members in found.items()}


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


def _descend(
    node: Node,
    bad: set[str],
    weight: _Weight,
    rules: Rules,
    standing: set[str],
    at_once: bool,
    found: dict[str, tuple[str, ...]],
) -> None:
    """Take a part as a whole, or look at the parts below it."""
    if not weight.bad.get(node.name):
        return
    rule = rule_of(node, rules)
    if at_once and rule is not None and not rule.at_once:
        rule = None
    alone = node.name in bad and not at_once
    if alone or node.name in standing or weight.is_group(node, rule):
        found[node.name] = tuple(_bad_below(node, bad))
        return
    for child in node.children:
        _descend(child, bad, weight, rules, standing, at_once, found)


def _bad_below(node: Node, bad: set[str]) -> list[str]:
    names = [node.name] if node.name in bad else []
    for child in node.children:
        names += _bad_below(child, bad)
    return names
