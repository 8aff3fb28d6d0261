"""One raw frame, forward through the physics that the ISR undoes (ip_isr ``isrTaskLSST.py``).

Order: light and dark charge, shot noise with brighter-fatter, cosmic rays, full well, charge
transfer, non-linearity, crosstalk, read noise, conversion to ADU, bias.
"""

from __future__ import annotations

import numpy as np

from calwatch.arrays import DoubleArray, FloatArray, IntArray
from calwatch.camera.model import Amplifier, Detector
from calwatch.simulate.cosmics import add_cosmic_rays
from calwatch.simulate.kernels import digitise, flat_charge, poisson_charge, transfer
from calwatch.simulate.maps import PixelMaps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.spots import spot_pattern
from calwatch.simulate.truth import NONLINEARITY_REFERENCE, AmpTruth, DetectorTruth

READOUT_SECONDS = 2.0
"""Time to read the detector; a pixel waits half of it on average and collects cosmic rays."""

LAMP_SCATTER = 1e-4
"""Relative rms of the lamp from exposure to exposure."""

_GAUSSIAN_LEVEL = 200.0
"""e-: flats above this get brighter-fatter Gaussian noise, everything else Poisson noise."""

_FRAME_STREAM = 3
_SESSION_STREAM = 4
_LAMP_STREAM = 5
_HOT_STREAM = 6


def make_frame(
    detector: Detector,
    truth: DetectorTruth,
    maps: PixelMaps,
    exposure: SimulatedExposure,
    effects: FrameEffects,
) -> IntArray:
    """Make one raw frame; the same arguments always give the same pixels.

    Parameters
    ----------
    detector, truth, maps
        The detector and all that is true of it.
    exposure
        What is taken.
    effects
        Faults that change the pixels.

    Returns
    -------
    pixels : `numpy.ndarray`
        Shape (n_amp, rows, columns), ADU, every amplifier in readout order, camera order.
    """
    amps = detector.amplifiers
    shape = (len(amps), *amps[0].raw_shape)
    signal = np.zeros(shape, dtype=np.float32)
    noise = np.empty(shape, dtype=np.float32)
    level = exposure.electrons * effects.lamp_factor * lamp_level(truth.seed, exposure)
    for index, amp in enumerate(amps):
        rng = _frame_rng(truth, exposure, index)
        amp_truth = truth.amps[amp.name]
        hot = _hot_pixels(truth, index, amp, effects)
        light = _light(exposure, level, effects, amp, index, len(amps))
        charge = _collect(maps, index, amp_truth, exposure, light, hot, rng)
        seconds = exposure.dark_time + READOUT_SECONDS / 2
        add_cosmic_rays(charge, truth.cosmic_rate, seconds, rng)
        curvature = -amp_truth.nonlinearity / NONLINEARITY_REFERENCE / amp_truth.gain
        cti = amp_truth.cti + effects.lost_charge.get(amp.name, 0.0)
        _read_out(charge, amp, amp_truth, cti, curvature, signal[index])
        rng.standard_normal(out=noise[index], dtype=np.float32)
    pixels = np.empty(shape, dtype=np.int32)
    digitise(
        signal,
        _crosstalk(detector, truth, effects),
        truth.quadratic_array,
        noise,
        _per_amp(detector, truth, effects, "read_noise"),
        _per_amp(detector, truth, effects, "gain"),
        *_bias_terms(detector, truth, exposure, effects),
        pixels,
    )
    for index, amp in enumerate(amps):
        if amp.name in effects.stuck:
            pixels[index] = effects.stuck[amp.name]
    return pixels


def bias_level(
    truth: DetectorTruth, exposure: SimulatedExposure, index: int, amp: Amplifier
) -> float:
    """Bias level of one amplifier in one exposure, ADU: its own, the session's, the settling."""
    amp_truth = truth.amps[amp.name]
    rng = np.random.default_rng(
        [truth.seed, truth.number, index, exposure.day_obs, _SESSION_STREAM]
    )
    session = amp_truth.bias_drift * rng.standard_normal()
    settling = 2.0 * amp_truth.bias_drift * np.exp(-(exposure.current - 1) / 2.0)
    return float(amp_truth.bias_level + session + settling)


def lamp_level(seed: int, exposure: SimulatedExposure) -> float:
    """Return how bright the lamp is in one exposure, beside what it was set to."""
    rng = np.random.default_rng([seed, exposure.exposure_id, _LAMP_STREAM])
    return float(1.0 + LAMP_SCATTER * rng.standard_normal())


def _frame_rng(
    truth: DetectorTruth, exposure: SimulatedExposure, index: int
) -> np.random.Generator:
    entropy = [truth.seed, exposure.exposure_id, truth.number, index, _FRAME_STREAM]
    return np.random.Generator(np.random.SFC64(entropy))


def _collect(
    maps: PixelMaps,
    index: int,
    amp_truth: AmpTruth,
    exposure: SimulatedExposure,
    light: float | FloatArray,
    hot: tuple[IntArray, float],
    rng: np.random.Generator,
) -> FloatArray:
    """Charge of the imaging pixels with its shot noise, e-."""
    response = maps.response[index]
    dark = exposure.dark_time
    mean = maps.dark_rate[index] * np.float32(dark)
    places, rate = hot
    mean.flat[places] += np.float32(rate * dark)
    least = float(np.min(light))
    if np.any(light):
        mean += response * np.asarray(light, np.float32)
    charge = np.empty_like(mean)
    if least > _GAUSSIAN_LEVEL:
        normal = rng.standard_normal(mean.shape, dtype=np.float32)
        flat_charge(mean, normal, amp_truth.a00, charge)
    else:
        poisson_charge(mean, rng.integers(0, 1 << 63, dtype=np.uint64), charge)
    return charge


def _light(
    exposure: SimulatedExposure,
    level: float,
    effects: FrameEffects,
    amp: Amplifier,
    index: int,
    count: int,
) -> float | FloatArray:
    """Light that falls on the imaging pixels of an amplifier, e-."""
    light = level + effects.leak_rate * exposure.dark_time
    if not exposure.spots:
        return light
    shape = (amp.data.y1 - amp.data.y0, amp.data.x1 - amp.data.x0)
    pattern = spot_pattern(shape, index, count, exposure.current)
    return np.float32(light) + np.float32(exposure.spots * effects.lamp_factor) * pattern


def _crosstalk(detector: Detector, truth: DetectorTruth, effects: FrameEffects) -> DoubleArray:
    """Return crosstalk, ``[source, target]``, with the faults applied."""
    coefficients = truth.crosstalk_array
    for amp, more in effects.more_crosstalk.items():
        source = detector.amp_names.index(amp)
        coefficients[source] += more
        coefficients[source, source] -= more
    return coefficients


def _hot_pixels(
    truth: DetectorTruth, index: int, amp: Amplifier, effects: FrameEffects
) -> tuple[IntArray, float]:
    """Return which pixels have become hot, and their e-/s: the same in every frame."""
    count, rate = effects.hot_pixels.get(amp.name, (0, 0.0))
    rng = np.random.default_rng([truth.seed, truth.number, index, _HOT_STREAM])
    size = amp.data.area
    return rng.choice(size, min(count, size), replace=False).astype(np.int32), rate


def _read_out(
    charge: FloatArray,
    amp: Amplifier,
    amp_truth: AmpTruth,
    cti: float,
    curvature: float,
    out: FloatArray,
) -> None:
    """Move the charge of the imaging pixels through the serial register into the raw frame."""
    rows = slice(amp.data.y0, amp.data.y1)
    transfer(charge, amp_truth.full_well, cti, amp.data.x0, curvature, out[rows])


def _per_amp(
    detector: Detector, truth: DetectorTruth, effects: FrameEffects, name: str
) -> DoubleArray:
    """Gain or read noise of every amplifier with the faults applied."""
    factors = effects.gain_factor if name == "gain" else effects.noise_factor
    return np.array(
        [getattr(truth.amps[a], name) * factors.get(a, 1.0) for a in detector.amp_names]
    )


def _bias_terms(
    detector: Detector,
    truth: DetectorTruth,
    exposure: SimulatedExposure,
    effects: FrameEffects,
) -> tuple[DoubleArray, DoubleArray, DoubleArray, DoubleArray]:
    """Row and column levels and the factors of the fixed pattern, each (n_amp, size), ADU."""
    n_amp = len(detector.amplifiers)
    height, width = detector.amplifiers[0].raw_shape
    rows, glow_rows = np.zeros((n_amp, height)), np.zeros((n_amp, height))
    columns, glow_columns = np.zeros((n_amp, width)), np.zeros((n_amp, width))
    y, x = np.arange(height), np.arange(width)
    for index, amp in enumerate(detector.amplifiers):
        t = truth.amps[amp.name]
        rng = _frame_rng(truth, exposure, n_amp + index)
        jump = effects.level_jump.get(amp.name, 0.0)
        rows[index] = bias_level(truth, exposure, index, amp) + jump
        rows[index] += t.row_amplitude * np.exp(-y / t.row_scale)
        rows[index] += t.row_noise * rng.standard_normal(height)
        for shift in effects.bias_shift.get(amp.name, ()):
            rows[index, shift.first_row : shift.end_row] += shift.adu
        data = (x >= amp.data.x0) & (x < amp.data.x1)
        from_corner = np.where(data, x - amp.data.x0, 0)
        columns[index] = data * t.column_amplitude * np.exp(-from_corner / t.column_scale)
        light_rows = (y >= amp.data.y0) & (y < amp.data.y1)
        glow_rows[index] = light_rows * t.glow_amplitude * np.exp(-y / (0.2 * height))
        glow_columns[index] = data * np.exp(-from_corner / (0.2 * width))
    return rows, columns, glow_rows, glow_columns
