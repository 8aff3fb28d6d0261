"""Whether the certified chain of a CCD changed as it should: by a newer certification."""

from __future__ import annotations

import re
from dataclasses import replace
from math import inf

from calwatch.alarms.evidence import CHAIN, Finding, Link, Sighting
from calwatch.alarms.model import Sample
from calwatch.alarms.rules import Rules
from calwatch.alarms.state import Chained

_STAMP = re.compile(r"\d{8}T\d{6}Z|\d{8}")

Chains = dict[str, dict[str, Chained]]
"""By name of the CCD and of the link."""


def is_newer(link: Link, than: Link) -> bool:
    """Tell whether a calibration was certified later than another, as far as names and dates say.

    Its validity begins later, or its RUN or collection bears a later date. The same dataset under
    another certification is no change: what it is compared with is the same.
    """
    begins = [-inf if begin is None else begin for begin in (link.begin, than.begin)]
    if begins[0] != begins[1]:
        return begins[0] > begins[1]
    return _stamp(link) > _stamp(than)


def _stamp(link: Link) -> str:
    found = [*_STAMP.findall(link.run), *_STAMP.findall(link.collection)]
    return max(found, default="")


def compare(seen: Sighting, chains: Chains, rules: Rules) -> None:
    """Add to a sighting what its chains say, and remember them.

    An exposure that ended before the one that a link is known from says nothing of it.
    """
    for ccd, links in seen.chains.items():
        known = chains.setdefault(ccd, {})
        for name, link in links.items():
            before = known.get(name)
            if before is None:
                known[name] = Chained(link, link, seen.end)
            elif seen.end >= before.end:
                known[name] = _take(seen, ccd, name, before, link, rules)


def _take(
    seen: Sighting, ccd: str, name: str, before: Chained, link: Link, rules: Rules
) -> Chained:
    test = f"{CHAIN}:{name}"
    if link.uuid == before.accepted.uuid or is_newer(link, before.accepted):
        seen.good[ccd, test] = None
        return Chained(link, link, seen.end)
    reason = (
        f"{name}: {link.collection or link.run} is used now, and is not newer than "
        f"{before.accepted.collection or before.accepted.run} before"
    )
    sample = Sample(
        seen.end,
        seen.exposure_id,
        rules.family("chain").severity,
        reason=reason,
        calibration=name.partition(" ")[0],
        collection=link.collection,
        uuid=link.uuid,
    )
    seen.blame(ccd, test, Finding("chain", name.partition(" ")[0], sample))
    return replace(before, latest=link, end=seen.end)


def accept(chains: Chains, ccds: list[str], calib_type: str) -> None:
    """Take what is used now as right: somebody has acknowledged the change."""
    for ccd in ccds:
        for name, link in chains.get(ccd, {}).items():
            if name.partition(" ")[0] == calib_type:
                chains[ccd][name] = replace(link, accepted=link.latest)
