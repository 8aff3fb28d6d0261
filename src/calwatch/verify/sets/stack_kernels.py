"""Adding frames up pixel by pixel, and taking out what was there only once.

Of every pixel a stack keeps sums and the one frame in which it stood highest above the others. A
cosmic ray hits a pixel once, so when all frames are in that one frame is left out where it stands
apart. No frame is kept, and nothing is biased where no cosmic ray was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calwatch.arrays import AnyArray, DoubleArray, FloatArray, IntArray
from calwatch.camera.model import Box

ByteArray: TypeAlias = NDArray[np.uint8]
"""Small counts, and numbers of frames."""

OUTLIER_SIGMA = 5.0
"""The highest value is left out where it stands by more above what the other frames predict."""
DRIFT = 0.05
"""Share of a defect's own signal by which it may differ from frame to frame."""
LOWEST = np.float32(-np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """What is kept of every pixel."""

    sums: FloatArray
    """Σ τ·y. Shape (parts, height, width)."""
    squares: FloatArray
    """Σ y². Shape (height, width), or empty where the scatter is not wanted."""
    beyond: ByteArray
    """Frames in which y was beyond its thresholds. Shape as `squares`."""
    largest: FloatArray
    """Highest y. Shape (height, width)."""
    which: ByteArray
    """Number of the frame that `largest` is of. Shape (height, width)."""

    @classmethod
    def of(cls, shape: tuple[int, int], parts: int, scatter: bool) -> Planes:
        """Return planes without any frame."""
        extra = shape if scatter else (0, 0)
        return cls(
            np.zeros((parts, *shape), np.float32),
            np.zeros(extra, np.float32),
            np.zeros(extra, np.uint8),
            np.full(shape, LOWEST, np.float32),
            np.zeros(shape, np.uint8),
        )

    @property
    def scatter(self) -> bool:
        """Whether squares are summed."""
        return self.squares.size > 0


def add_frame(
    planes: Planes, image: FloatArray, boxes: IntArray, terms: FloatArray, part: int, number: int
) -> None:
    """Add one frame.

    With y = (x - centre)/σ, σ the noise of the amplifier in this frame, and τ the signal in σ that
    one unit of rate leaves (t/σ for a dark), Σ τ·y / Σ τ² is the weighted mean rate. A pixel that
    is not finite makes its sum NaN, and so is not measured at all.

    Parameters
    ----------
    planes
        Changed in place.
    image
        Shape (height, width), e-.
    boxes
        Shape (n_amp, 4): first row, rows, first column, columns.
    terms
        Shape (n_amp, 5): centre, 1/σ, τ, and the thresholds of y. With τ = 0 the amplifier is
        skipped.
    part
        Which of the sums it goes to.
    number
        Of the frame, below 256.
    """
    _add(
        image, boxes, terms, number, planes.scatter, planes.sums[part],
        planes.squares, planes.beyond, planes.largest, planes.which,
    )  # fmt: skip


def plain_add_frame(
    planes: Planes, image: FloatArray, boxes: IntArray, terms: FloatArray, part: int, number: int
) -> None:
    """Do what `add_frame` does, in plain numpy."""
    for (y0, rows, x0, columns), (centre, inverse, tau, low, high) in zip(
        boxes, terms, strict=True
    ):
        if tau == 0:
            continue
        here = np.s_[y0 : y0 + rows, x0 : x0 + columns]
        y = (image[here] - centre) * inverse
        planes.sums[part][here] += tau * y
        if planes.scatter:
            planes.squares[here] += y * y
            planes.beyond[here] += ((y > high) | (y < low)).astype(np.uint8)
        higher = y > planes.largest[here]
        planes.largest[here][higher] = y[higher]
        planes.which[here][higher] = number


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The frames that were added to one amplifier; what was skipped has τ = 0."""

    tau: DoubleArray
    """Shape (frames,): σ per unit of rate."""
    shot: DoubleArray
    """Shape (frames,): by what one unit of rate raises the variance, in σ²."""
    part: IntArray
    """Shape (frames,): which of the sums."""

    def weight(self, part: int) -> float:
        """Return Σ τ² of one part: the inverse variance of its rate."""
        return float(np.sum(self.tau[self.part == part] ** 2))

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(np.count_nonzero(self.tau))


def settle(planes: Planes, box: Box, frames: Frames, limits: tuple[float, float]) -> None:
    """Take out of an amplifier what was there once, and make the sums rates, in place.

    Then ``sums[0]`` has the mean rate. Of two parts ``sums[1]`` has the rate of the first less
    that of the second. ``squares`` has χ² between the frames, each with the variance of its noise,
    of the pixel's own shot noise and of `DRIFT`, over the limit; above 1 the pixel is unstable.

    Parameters
    ----------
    planes
        With all frames added, at least two of each part.
    box
        Of the amplifier.
    frames
        What was added.
    limits
        Of χ² with all frames, and with one left out.
    """
    weights = np.array([frames.weight(part) for part in range(len(planes.sums))])
    used = frames.tau > 0
    terms = (frames.shot[used].mean(), (frames.tau[used] ** 2).mean())
    _settle(
        np.array([box.y0, box.height, box.x0, box.width], np.int32), planes.sums, planes.squares,
        planes.largest, planes.which, frames.tau, frames.shot, frames.part, weights, terms,
        limits, planes.scatter,
    )  # fmt: skip


def plain_settle(planes: Planes, box: Box, frames: Frames, limits: tuple[float, float]) -> None:
    """Do what `settle` does, in plain numpy."""
    here = box.slices
    parts = [plane[here].astype(np.float64) for plane in planes.sums]
    weights = [np.full(p.shape, frames.weight(i)) for i, p in enumerate(parts)]
    which = planes.which[here]
    tau, high = frames.tau[which], planes.largest[here].astype(np.float64)
    total, weight = sum(parts), sum(weights)
    rest = weight - tau**2
    with np.errstate(invalid="ignore", over="ignore"):
        rate = (total - tau * high) / rest
        above = high - rate * tau
        shot = np.maximum(rate, 0) * frames.shot[which]
        spread = 1 + tau**2 / rest + shot + (DRIFT * rate * tau) ** 2
        once = (above > 0) & (above**2 > OUTLIER_SIGMA**2 * spread)
        for i in range(len(parts)):
            out = once & (frames.part[which] == i)
            parts[i] = np.where(out, parts[i] - tau * high, parts[i])
            weights[i] = np.where(out, weights[i] - tau**2, weights[i])
        total, weight = sum(parts), sum(weights)
        rate = total / weight
        planes.sums[0][here] = rate
        if len(parts) > 1:
            planes.sums[1][here] = parts[0] / weights[0] - parts[1] / weights[1]
        if planes.scatter:
            used = frames.tau > 0
            squares = planes.squares[here] - np.where(once, high**2, 0.0) - rate * total
            expected = 1 + np.maximum(rate, 0) * frames.shot[used].mean()
            expected += (DRIFT * rate) ** 2 * (frames.tau[used] ** 2).mean()
            planes.squares[here] = squares / expected / np.where(once, limits[1], limits[0])


@njit(cache=True, nogil=True)
def _add(  # type: ignore[no-untyped-def]
    image, boxes, terms, number, scatter, sums, squares, beyond, largest, which
):
    """Go through the rows of the detector as they lie in memory."""
    mark = np.uint8(number)
    for y in range(image.shape[0]):
        for k in range(boxes.shape[0]):
            y0, rows, x0, columns = boxes[k]
            tau = terms[k, 2]
            if tau == 0 or not y0 <= y < y0 + rows:
                continue
            centre, inverse = terms[k, 0], terms[k, 1]
            x1 = x0 + columns
            values = image[y][x0:x1]
            _add_sums(values, centre, inverse, tau, mark, sums[y][x0:x1],
                      largest[y][x0:x1], which[y][x0:x1])  # fmt: skip
            if scatter:
                _add_scatter(values, centre, inverse, terms[k, 3], terms[k, 4],
                             squares[y][x0:x1], beyond[y][x0:x1])  # fmt: skip


@njit(cache=True, nogil=True)
def _add_sums(values, centre, inverse, tau, mark, sums, largest, which):  # type: ignore[no-untyped-def]
    for i in range(values.size):
        y = (values[i] - centre) * inverse
        sums[i] += tau * y
        old, kept = largest[i], which[i]
        higher = y > old
        largest[i] = y if higher else old
        which[i] = mark if higher else kept


@njit(cache=True, nogil=True)
def _add_scatter(values, centre, inverse, low, high, squares, beyond):  # type: ignore[no-untyped-def]
    for i in range(values.size):
        y = (values[i] - centre) * inverse
        squares[i] += y * y
        beyond[i] += np.uint8((y > high) | (y < low))


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(  # type: ignore[no-untyped-def]
    box, sums, squares, largest, which, taus, shots, part, weights, terms, limits, scatter
):
    y0, rows, x0, columns = box
    halves = sums.shape[0] > 1
    whole = weights.sum()
    for y in range(y0, y0 + rows):
        for x in range(x0, x0 + columns):
            k = which[y, x]
            tau, high = taus[k], np.float64(largest[y, x])
            first = np.float64(sums[0, y, x])
            second = np.float64(sums[1, y, x]) if halves else 0.0
            total, weight = first + second, whole
            rest = whole - tau * tau
            rate = (total - tau * high) / rest
            above = high - rate * tau
            spread = 1.0 + tau * tau / rest + max(rate, 0.0) * shots[k] + (DRIFT * rate * tau) ** 2
            once = (above > 0.0) and (above * above > OUTLIER_SIGMA * OUTLIER_SIGMA * spread)
            if once:
                total, weight = total - tau * high, rest
            rate = total / weight
            sums[0, y, x] = rate
            if halves:
                weight_1, weight_2 = weights[0], weights[1]
                if once and part[k] == 0:
                    first, weight_1 = first - tau * high, weight_1 - tau * tau
                elif once:
                    second, weight_2 = second - tau * high, weight_2 - tau * tau
                sums[1, y, x] = first / weight_1 - second / weight_2
            if scatter:
                left = np.float64(squares[y, x]) - rate * total
                if once:
                    left -= high * high
                expected = 1.0 + max(rate, 0.0) * terms[0] + (DRIFT * rate) ** 2 * terms[1]
                squares[y, x] = left / expected / (limits[1] if once else limits[0])


def boxes_of(boxes: list[Box]) -> IntArray:
    """Return boxes as the kernels take them."""
    rows: AnyArray = np.array([(b.y0, b.height, b.x0, b.width) for b in boxes], np.int32)
    return rows
