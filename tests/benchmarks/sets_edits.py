"""Faults that the simulator does not have, put into raw frames before the ISR."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from calwatch.arrays import DoubleArray, IntArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.simulate.maps import PixelMaps
from calwatch.verify.sets.boundaries import boundaries


def signal_of(pixels: IntArray, amp: Amplifier) -> tuple[DoubleArray, DoubleArray]:
    """Return the signal of the imaging pixels over the overscan of their rows, and its levels."""
    overscan, data = amp.serial_overscan, amp.data
    level = np.median(pixels[:, overscan.x0 + 5 : overscan.x1 - 2], axis=1)
    signal = pixels[data.slices] - level[data.y0 : data.y1, np.newaxis]
    return signal, level


def rounded(values: DoubleArray, rng: np.random.Generator) -> IntArray:
    """Round up or down at random, so that the mean stays."""
    found: IntArray = np.floor(values + rng.random(values.shape)).astype(np.int32)
    return found


def scaled(raw: IntArray, detector: Detector, factors: Mapping[str, float]) -> IntArray:
    """Multiply the signal of some amplifiers, as one does that is not linear up there."""
    return _with_signal(raw, detector, factors, lambda signal, factor, _: signal * factor)


def rows_moved(
    raw: IntArray, detector: Detector, shares: Mapping[str, float], gains: Mapping[str, float]
) -> IntArray:
    """Add to the imaging pixels of each row what they have in common, and the overscan has not.

    Its variance is a share of that which the shot noise gives the mean of a row.
    """

    def moved(signal: DoubleArray, name: str, rng: np.random.Generator) -> DoubleArray:
        variance = shares[name] * signal.mean() / gains[name] / signal.shape[1]
        return signal + rng.normal(0.0, np.sqrt(variance), (len(signal), 1))

    return _with_signal(raw, detector, {name: name for name in shares}, moved)


def charge_left(raw: IntArray, detector: Detector, shares: Mapping[str, float]) -> IntArray:
    """Leave a share of the charge behind at each parallel transfer: it comes a row later."""
    out = raw.copy()
    for i, amp in enumerate(detector.amplifiers):
        if amp.name not in shares:
            continue
        rng = _rng(raw, i)
        signal, _ = signal_of(raw[i], amp)
        # The row that is read first is moved once, the last one as often as there are rows.
        lost = signal * (shares[amp.name] * np.arange(1, len(signal) + 1))[:, np.newaxis]
        data = amp.data
        columns = slice(data.x0, data.x1)
        change = np.zeros((len(signal) + 1, signal.shape[1]))
        change[:-1] -= lost
        change[1:] += lost
        out[i, data.y0 : data.y1 + 1, columns] = rounded(
            raw[i, data.y0 : data.y1 + 1, columns] + change, rng
        )
    return out


def torn(raw: IntArray, detector: Detector, places: Collection[int], step: float) -> IntArray:
    """Move charge between the edge columns at some boundaries of `boundaries`, by their number."""
    out = raw.copy()
    all_of_them = boundaries(detector)
    for place in places:
        boundary = all_of_them[place]
        for index, right, sign in ((boundary.before, True, 1), (boundary.after, False, -1)):
            amp = detector.amplifiers[index]
            data = amp.data
            # The right edge of the assembled frame is read first where x is flipped.
            column = data.x0 if right == amp.flip_x else data.x1 - 1
            signal, _ = signal_of(raw[index], amp)
            more = sign * step / 2 * signal[:, column - data.x0]
            rows = slice(data.y0, data.y1)
            out[index, rows, column] = rounded(
                raw[index, rows, column] + more, _rng(raw, 100 + index)
            )
    return out


def added(raw: IntArray, detector: Detector, more: Mapping[str, float | DoubleArray]) -> IntArray:
    """Add ADU to the imaging pixels of some amplifiers."""
    return _with_signal(
        raw, detector, more, lambda signal, value, _: signal + np.asarray(value, float)
    )


def _with_signal(
    raw: IntArray,
    detector: Detector,
    by_amp: Mapping[str, Any],
    change: Callable[[DoubleArray, Any, np.random.Generator], DoubleArray],
) -> IntArray:
    """Change the signal of some amplifiers, each by what is given for it."""
    out = raw.copy()
    for i, amp in enumerate(detector.amplifiers):
        if amp.name in by_amp:
            rng = _rng(raw, i)
            signal, level = signal_of(raw[i], amp)
            new = change(signal, by_amp[amp.name], rng)
            rows = level[amp.data.y0 : amp.data.y1, np.newaxis]
            out[i][amp.data.slices] = rounded(new + rows, rng)
    return out


def _rng(raw: IntArray, index: int) -> np.random.Generator:
    """Return a stream of its own for each frame and amplifier."""
    return np.random.default_rng([int(raw[0].sum(dtype=np.int64)), index])


def places_in(amp: Amplifier, count: int, seed: int) -> IntArray:
    """Return so many pixels of the imaging area at random, as flat indices."""
    found: IntArray = np.random.default_rng(seed).choice(amp.data.area, count, replace=False)
    return found


def with_maps(
    detector: Detector,
    maps: PixelMaps,
    *,
    response: Mapping[str, tuple[IntArray, float]] | None = None,
    dark_rate: Mapping[str, tuple[IntArray, float]] | None = None,
    columns: Mapping[str, tuple[tuple[int, ...], float]] | None = None,
) -> PixelMaps:
    """Return maps in which some pixels respond by a factor, and some have more e-/s.

    ``columns`` are of the response. Pixels are flat indices of the imaging area.
    """
    responses = [one.copy() for one in maps.response]
    rates = [one.copy() for one in maps.dark_rate]
    for i, amp in enumerate(detector.amplifiers):
        if response and amp.name in response:
            places, factor = response[amp.name]
            responses[i].flat[places] *= np.float32(factor)
        if columns and amp.name in columns:
            which, factor = columns[amp.name]
            responses[i][:, list(which)] *= np.float32(factor)
        if dark_rate and amp.name in dark_rate:
            places, more = dark_rate[amp.name]
            rates[i].flat[places] += np.float32(more)
    return PixelMaps(tuple(responses), tuple(rates))
