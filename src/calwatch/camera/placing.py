"""Where detectors and their amplifiers are in the focal plane (obs_lsst ``policy/lsstCam``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calwatch.camera.model import Box, Detector

Point = tuple[float, float]
GAP = 1.1
"""Detectors without a place stand in a row, so many times their width apart."""
_TURNS: dict[int, tuple[int, int]] = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}
"""Cosine and sine of each yaw."""


def corners(detector: Detector, box: Box | None = None) -> tuple[Point, Point, Point, Point]:
    """Return the corners of a detector, or of a box of its assembled frame, counter-clockwise.

    Parameters
    ----------
    detector
        The detector.
    box
        Pixels, such as an amplifier's ``bbox``; all of the detector if None.

    Returns
    -------
    tuple
        (x, y) in the focal plane, mm; first what is lower left in the assembled frame.
    """
    box = box or Box(0, 0, detector.width, detector.height)
    place = detector.place
    found = []
    for x, y in ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)):
        from_centre = (
            (x - detector.width / 2) * place.pixel,
            (y - detector.height / 2) * place.pixel,
        )
        turned = turn(from_centre, place.yaw)
        found.append((place.x + turned[0], place.y + turned[1]))
    return (found[0], found[1], found[2], found[3])


def turn(point: Point, yaw: int) -> Point:
    """Turn a point about the origin, counter-clockwise."""
    cosine, sine = _TURNS[yaw]
    x, y = point
    return cosine * x - sine * y, sine * x + cosine * y


def place_in_raft(at: Point, yaw: int, raft_at: Point, raft_yaw: int) -> tuple[Point, int]:
    """Return centre and yaw in the focal plane of a CCD whose place in its raft is given."""
    x, y = turn(at, raft_yaw)
    return (raft_at[0] + x, raft_at[1] + y), (yaw + raft_yaw) % 360


def in_a_row(detectors: Sequence[Detector]) -> tuple[Detector, ...]:
    """Return the detectors of a camera without places, side by side in their order."""
    pitch = GAP * max(d.width * d.place.pixel for d in detectors)
    middle = (len(detectors) - 1) / 2
    return tuple(
        replace(detector, place=replace(detector.place, x=(i - middle) * pitch, y=0.0, yaw=0))
        for i, detector in enumerate(detectors)
    )
