"""Which detectors of an exposure did not come, and how to say so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from calwatch.arrivals.model import Expectation
from calwatch.camera.model import Camera

_NAMED = 12
"""So many rafts or detectors are named; of more the rest is counted."""


def missing_of(expectation: Expectation, present: Collection[int]) -> tuple[int, ...]:
    """Return the expected detectors that are not among those present, sorted.

    Parameters
    ----------
    expectation
        What should be there.
    present
        The detectors whose files the Butler has.
    """
    return tuple(sorted(set(expectation.expected) - set(present)))


def finding(
    expectation: Expectation,
    missing: Sequence[int],
    camera: Camera,
    failures: Mapping[int, str] | None = None,
) -> str:
    """Return in words what is missing of an exposure, or that nothing is any more.

    Parameters
    ----------
    expectation
        What should be there.
    missing
        Detector numbers.
    camera
        Gives them their names; a raft that is missing as a whole is named as such.
    failures
        By detector: why its ingest failed, where an event said so.
    """
    what = f"{expectation.instrument} {expectation.calib_type} {expectation.obs_id}"
    if not missing:
        return f"{what}: all {len(expectation.expected)} detectors are in the Butler now"
    limit = round((expectation.due_at - expectation.end_of_readout_utc).total_seconds())
    names = _names(expectation, missing, camera)
    text = (
        f"{what}: {len(missing)} of {len(expectation.expected)} detectors are not in the Butler "
        f"{limit} s after readout: {_listed(names)}"
    )
    reasons = [
        f"{_name(camera, detector)}: {failures[detector]}"
        for detector in sorted(missing)
        if failures and failures.get(detector)
    ]
    return f"{text}. Their ingest failed: {_listed(reasons)}" if reasons else text


def _names(expectation: Expectation, missing: Sequence[int], camera: Camera) -> list[str]:
    """Return names of the missing detectors, of whole rafts where all of one is missing."""
    raft_of = {detector.number: detector.raft for detector in camera.detectors}
    due: dict[str, set[int]] = {}
    for number in expectation.expected:
        due.setdefault(raft_of.get(number, ""), set()).add(number)
    if set(missing) >= set(expectation.expected):
        return ["all of them"]
    names: dict[str, None] = {}
    for number in sorted(missing):
        raft = raft_of.get(number, "")
        whole = len(due.get(raft, ())) > 1 and due[raft] <= set(missing)
        names[f"raft {raft}" if raft and whole else _name(camera, number)] = None
    return list(names)


def _name(camera: Camera, number: int) -> str:
    for detector in camera.detectors:
        if detector.number == number:
            return f"{detector.name} ({number})"
    return f"detector {number}"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
