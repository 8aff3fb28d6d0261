"""Stacks of darks or flats of one detector, one frame in memory at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from calwatch.arrays import BoolArray
from calwatch.calibrations.masks import Mask
from calwatch.camera.model import Box, Detector
from calwatch.isr.clipped import clipped_statistics
from calwatch.verify.sets.model import CorrectedFrame
from calwatch.verify.sets.stack_kernels import Frames, Planes, add_frame, boxes_of, settle
from calwatch.verify.statistics import CLIP_PASSES, CLIP_SIGMA

LEAST_FRAMES = 4
MOST_FRAMES = 255
"""Frames of a stack beyond these are left out: their number is kept in a byte."""
SAMPLED_ROWS = 64
"""Rows of an amplifier from which level and noise of a frame are taken."""
LEAST_GOOD = 0.5
"""An amplifier of which fewer pixels can be used is not measured."""
KNOWN = int(Mask.BAD | Mask.NO_DATA)
"""Pixels that the certified calibrations say are no good."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one frame says of one amplifier; τ of 0 where the frame is not used."""

    centre: float = 0.0
    """Median of the sampled good pixels, e-."""
    noise: float = 1.0
    """Clipped deviation of the same, e-."""
    scale: float = 0.0
    """What one unit of rate leaves in a pixel: seconds of a dark, level of a flat in e-."""
    read_noise: float = math.nan
    """Overscan noise, e-."""
    fault: str = ""
    """Why it is not used."""

    @property
    def tau(self) -> float:
        """`scale` in units of the noise."""
        return self.scale / self.noise


@dataclass(slots=True, eq=False)
class Stack:
    """Frames of one detector, added up.

    The rate of a pixel is its excess over the median of its amplifier: e-/s for darks, and for
    flats the fraction of the amplifier's level. Frames are weighted by the inverse variance of
    their rates. A level that differs between frames, such as a leak of light, is so taken out
    of every pixel, and kept in `levels`.
    """

    detector: Detector
    kind: str
    """``dark`` or ``flat``."""
    parts: int = 1
    """1, or 2 for even and odd frames apart."""
    threshold: float = math.inf
    """Rate of which the frames that go beyond it are counted; for darks only upwards."""
    scatter: bool = False
    """Whether the scatter between frames is wanted."""
    planes: Planes = field(init=False)
    known: BoolArray = field(init=False)
    """Pixels that the calibrations say are bad. Shape (height, width)."""
    levels: list[list[Level]] = field(init=False)
    """By amplifier, one of each frame."""
    exposures: list[int] = field(default_factory=list)
    left_out: int = 0
    """Frames beyond `MOST_FRAMES`."""

    def __post_init__(self) -> None:
        self.planes = Planes.of(self.detector.shape, self.parts, self.scatter)
        self.known = np.zeros(self.detector.shape, bool)
        self.levels = [[] for _ in self.detector.amplifiers]

    def add(self, frame: CorrectedFrame) -> list[int]:
        """Add one frame; return the amplifiers that it is the first usable one of.

        Even frames, counted from 0 in the order they come, go to the first part.
        """
        if len(self.exposures) == MOST_FRAMES:
            self.left_out += 1
            return []
        number, new = len(self.exposures), []
        terms = np.zeros((len(self.levels), 5), np.float32)
        for i, amp in enumerate(self.detector.amplifiers):
            level = self._level(frame, i, amp.bbox)
            if level.tau > 0:
                if not any(earlier.tau > 0 for earlier in self.levels[i]):
                    new.append(i)
                    here = amp.bbox.slices
                    self.known[here] = frame.mask[here] & frame.mask.dtype.type(KNOWN) != 0
                high = self.threshold * level.tau
                low = -high if self.kind == "flat" else -math.inf
                terms[i] = (level.centre, 1.0 / level.noise, level.tau, low, high)
            self.levels[i].append(level)
        self.exposures.append(frame.exposure_id)
        boxes = boxes_of([amp.bbox for amp in self.detector.amplifiers])
        add_frame(self.planes, frame.image, boxes, terms, number % self.parts, number)
        return new

    def fault(self, index: int) -> str:
        """Say why an amplifier cannot be measured; empty if it can."""
        used = [n for n, level in enumerate(self.levels[index]) if level.tau > 0]
        faults = [level.fault for level in self.levels[index] if level.fault]
        last = f" ({faults[-1]})" if faults else ""
        if len(used) < LEAST_FRAMES:
            return f"only {_counted(len(used), self.kind)} of at least {LEAST_FRAMES}{last}"
        halves = [sum(n % self.parts == part for n in used) for part in range(self.parts)]
        if min(halves) < 2:
            which = ("even", "odd")[halves.index(min(halves))]
            return f"only {_counted(min(halves), self.kind)} in the {which} half{last}"
        return ""

    def frames(self, index: int) -> Frames:
        """Return how the frames of one amplifier are weighted."""
        levels = self.levels[index]
        return Frames(
            tau=np.array([np.float32(level.tau) for level in levels], float),
            shot=np.array([level.scale / level.noise**2 for level in levels]),
            part=np.arange(len(levels), dtype=np.int32) % self.parts,
        )

    def settle(self, index: int, limits: tuple[float, float] = (1.0, 1.0)) -> BoolArray:
        """Make the sums of an amplifier rates; return which pixels good calibrations let be used.

        The limits are those of `stack_kernels.settle`. To be called once.
        """
        box = self.detector.amplifiers[index].bbox
        settle(self.planes, box, self.frames(index), limits)
        good: BoolArray = np.isfinite(self.planes.sums[0][box.slices])
        good &= ~self.known[box.slices]
        return good

    def warnings(self) -> tuple[str, ...]:
        """Say which frames were used in part only."""
        found = [f"{self.left_out} frames beyond {MOST_FRAMES} left out"] if self.left_out else []
        for n, exposure in enumerate(self.exposures):
            reasons = {levels[n].fault for levels in self.levels if levels[n].fault}
            if reasons:
                count = sum(bool(levels[n].fault) for levels in self.levels)
                found.append(
                    f"exposure {exposure}: {count} of {len(self.levels)} amplifiers left out: "
                    + "; ".join(sorted(reasons))
                )
        return tuple(found)

    def _level(self, frame: CorrectedFrame, index: int, box: Box) -> Level:
        """Take level and noise of one amplifier from some of its rows."""
        if frame.faults[index]:
            return Level(fault=frame.faults[index])
        step = max(1, box.height // SAMPLED_ROWS)
        rows = np.s_[box.y0 + step // 2 : box.y1 : step, box.x0 : box.x1]
        pixels = frame.image[rows]
        good = np.isfinite(pixels) & (frame.mask[rows] & KNOWN == 0)
        if np.count_nonzero(good) < LEAST_GOOD * good.size:
            share = 100.0 * np.count_nonzero(good) / good.size
            return Level(fault=f"masked or no numbers: {share:.3g} % of its pixels can be used")
        found = clipped_statistics(pixels[good], CLIP_SIGMA, CLIP_PASSES)
        if not found.stdev > 0:
            return Level(fault="its pixels have no noise at all")
        scale = self._seconds(frame) if self.kind == "dark" else found.median
        if not scale > 0:
            return Level(fault="there is no dark time" if self.kind == "dark" else "no light")
        read_noise = float(frame.overscan_noise[index] * frame.gain[index])
        # As the kernel has it, so that what it subtracts can be put back.
        return Level(float(np.float32(found.median)), found.stdev, scale, read_noise)

    @staticmethod
    def _seconds(frame: CorrectedFrame) -> float:
        times = (frame.dark_time, frame.exposure_time)
        return next((float(t) for t in times if math.isfinite(t) and t > 0), 0.0)


def _counted(count: int, kind: str) -> str:
    return f"{count} {kind}" if count == 1 else f"{count} {kind}s"
