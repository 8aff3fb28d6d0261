"""What is measured of a photon transfer curve: the fits, its end, the noise (DMTN-101 §16)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calwatch.arrays import BoolArray, DoubleArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.amplifier import Measured, Metrics
from calwatch.verify.definitions import ptc as definitions
from calwatch.verify.sets.covariances import MAX_LAG
from calwatch.verify.sets.model import Earlier, numbers
from calwatch.verify.sets.pair import IMBALANCE_SIGMA, MAX_IMBALANCE, inner_box
from calwatch.verify.sets.ptc_fit import CurveFit, Selected, select_and_fit
from calwatch.verify.sets.ptc_full import LEAST_PIXELS, FullFit, fit_full
from calwatch.verify.sets.references import fault_of_ptc, references

REQUIRED_TURNOFF = 90_000.0
"""e- (DMTN-101 §16.3)."""
A00_RANGES = {"ITL": (-4.56e-6, 6.91e-7), "E2V": (-3.52e-6, -2.61e-6)}
"""1/e-, by vendor (DMTN-101 §16.4; cp_verify ``verifyPtc.py``)."""

_NAMES = (
    *(metric.name for metric in definitions.METRICS),
    *("CERTIFIED_GAIN", "CERTIFIED_NOISE", "CERTIFIED_TURNOFF", "CERTIFIED_A00"),
    *("NOMINAL_GAIN", "NOMINAL_NOISE"),
)


def measure(
    detector: Detector, points: Sequence[Earlier], calibrations: CalibrationSet
) -> Measured:
    """Fit the photon transfer curve of every amplifier of a detector.

    Parameters
    ----------
    detector
        Gives the amplifiers and the vendor.
    points
        The measurements of the pairs, in any order.
    calibrations
        The PTC under test gives the references.

    Returns
    -------
    Measured
        With the arrays ``a``, ``a_error`` and ``b``, shape (n_amp, 8, 8), 1/e-, NaN where there
        is no FULLCOVARIANCE fit, and ``used``, shape (n_amp, n_points), 1 for a pair that was
        fitted, in the order given.
    """
    count = len(detector.amplifiers)
    matrices = {name: np.full((count, MAX_LAG, MAX_LAG), np.nan) for name in ("a", "a_error", "b")}
    used = np.zeros((count, len(points)))
    amps: dict[str, Metrics] = {}
    faults: dict[str, str] = {}
    failed: list[str] = []
    small: list[str] = []
    for i, amp in enumerate(detector.amplifiers):
        found = dict.fromkeys(_NAMES, math.nan) | _references(detector, i, calibrations)
        selected = _select(points, amp.name)
        used[i] = selected.used
        fault = selected.fault
        if not fault:
            full = _fit_full(points, amp.name, selected)
            found |= _curve_metrics(selected) | _a00_metrics(selected.fit, detector.vendor)
            found |= _noise_metrics(points, amp.name, selected)
            found |= _row_metrics(points, amp, selected)
            if full is None:
                counts = column(points, amp.name, "PAIR_NPIXELS")[selected.used]
                (small if counts.max() < LEAST_PIXELS else failed).append(amp.name)
            else:
                found |= _full_metrics(full)
                matrices["a"][i], matrices["a_error"][i] = full.a, full.a_error
                matrices["b"][i] = full.b
        found |= _counts(points, amp.name, selected)
        amps[amp.name] = found
        if fault := fault or fault_of_ptc(calibrations.ptc, i):
            faults[amp.name] = fault
    return Measured(
        amps, warnings=_warnings(failed, small), faults=faults, arrays={**matrices, "used": used}
    )


def _warnings(failed: Sequence[str], small: Sequence[str]) -> tuple[str, ...]:
    found = [f"no fit of all covariances of {', '.join(failed)}"] if failed else []
    if small:
        found.append(
            f"no fit of all covariances of {', '.join(small)}: it needs {LEAST_PIXELS} good pixels"
        )
    return tuple(found)


def column(points: Sequence[Earlier], amp: str, metric: str) -> DoubleArray:
    """Return one number of one amplifier from every pair; shape (n,)."""
    return np.array(numbers(points, amp, metric), dtype=np.float64)


def means(points: Sequence[Earlier], amp: str) -> DoubleArray:
    """Return the mean of every pair, ADU; NaN where its halves had different light."""
    mean = column(points, amp, "PAIR_MEAN")
    first, second = column(points, amp, "PAIR_MEAN_1"), column(points, amp, "PAIR_MEAN_2")
    count = column(points, amp, "PAIR_NPIXELS")
    variance = column(points, amp, "PAIR_VARIANCE")
    with np.errstate(divide="ignore", invalid="ignore"):
        allowed = MAX_IMBALANCE * mean + IMBALANCE_SIGMA * np.sqrt(2.0 * variance / count)
        return np.where(np.abs(second - first) > allowed, np.nan, mean)


def _select(points: Sequence[Earlier], amp: str) -> Selected:
    mean, variance = means(points, amp), column(points, amp, "PAIR_VARIANCE")
    noise = column(points, amp, "NOISE_ADU")
    if not (np.isfinite(mean) & np.isfinite(variance)).any():
        return Selected(
            CurveFit(), np.zeros(len(points), bool), fault="none of its pairs was measured"
        )
    offset = float(np.nanmedian(noise)) ** 2 if np.isfinite(noise).any() else 0.0
    return select_and_fit(mean, variance, column(points, amp, "PAIR_NPIXELS"), offset)


def _references(detector: Detector, index: int, calibrations: CalibrationSet) -> Metrics:
    """Return what the camera and the certified PTC say, its turnoff in electrons."""
    ptc = calibrations.ptc
    found = references(detector.amplifiers[index], ptc, index)
    if ptc is not None:
        found["CERTIFIED_A00"] = float(ptc.a00[index])
        if "CERTIFIED_GAIN" in found:
            found["CERTIFIED_TURNOFF"] = float(ptc.turnoff[index]) * found["CERTIFIED_GAIN"]
    return found


def _counts(points: Sequence[Earlier], amp: str, selected: Selected) -> Metrics:
    mean = column(points, amp, "PAIR_MEAN")
    measured = np.isfinite(mean)
    return {
        "PTC_MAX_MEAN": float(mean[measured].max()) if measured.any() else math.nan,
        "PTC_POINTS": float(selected.used.sum()),
        "PTC_REJECTED": float((measured & ~selected.used).sum()),
    }


def _curve_metrics(selected: Selected) -> Metrics:
    """Return the numbers of the fit and of the end of the curve.

    A sequence that stops on the curve shows only that the turnoff is not below its last pair. If
    that is short of what is required, nothing is, and the test is left out.
    """
    fit = selected.fit
    noise, noise_error = fit.noise()
    turnoff = selected.end * fit.gain
    reached = math.isfinite(selected.beyond)
    return {
        "PTC_GAIN": fit.gain,
        "PTC_GAIN_ERROR": fit.error(0),
        "PTC_FIT_NOISE": noise,
        "PTC_FIT_NOISE_ERROR": noise_error,
        "PTC_A00": fit.a00,
        "PTC_A00_ERROR": fit.error(1),
        "PTC_CHI2": selected.chi2,
        "PTC_TURNOFF": turnoff,
        "PTC_TURNOFF_ERROR": (selected.beyond - selected.end) * fit.gain if reached else 0.0,
        "PTC_TURNOFF_REQUIRED": REQUIRED_TURNOFF
        if reached or turnoff >= REQUIRED_TURNOFF
        else math.nan,
    }


def _a00_metrics(fit: CurveFit, vendor: str) -> Metrics:
    if vendor.upper() not in A00_RANGES:
        return {}
    lower, upper = A00_RANGES[vendor.upper()]
    return {
        "PTC_A00_OFFSET": fit.a00 - 0.5 * (lower + upper),
        "PTC_A00_VENDOR_RANGE": 0.5 * (upper - lower),
    }


def _noise_metrics(points: Sequence[Earlier], amp: str, selected: Selected) -> Metrics:
    """Return how the overscan noise scatters, and how it changes with the signal.

    cp_verify takes the scatter for a χ²: a noise that is 20 % higher at the top passes. The slope
    says what is meant.
    """
    noise, mean = column(points, amp, "NOISE_ADU"), column(points, amp, "PAIR_MEAN")
    good = selected.used & np.isfinite(noise) & (noise > 0)
    if good.sum() < 4:
        return {}
    noise, mean = noise[good], mean[good]
    # At a line's middle its level and its slope have independent errors.
    x = mean - mean.mean()
    spread = float(x @ x)
    slope = float(x @ noise) / spread if spread > 0 else math.nan
    left = noise - noise.mean() - slope * x
    error = math.sqrt(float(left @ left) / (noise.size - 2) / spread) if spread > 0 else math.nan
    per_noise = float(mean.max()) / float(noise.mean())
    return {
        "PTC_NOISE_SCATTER": float(noise.std()),
        "PTC_NOISE_CHANGE": slope * per_noise,
        "PTC_NOISE_CHANGE_ERROR": error * per_noise,
    }


def _row_metrics(points: Sequence[Earlier], amp: Amplifier, selected: Selected) -> Metrics:
    """Return the variance of the row means over that of independent pixels (``verifyPtc.py``).

    The row means are those of the difference of two flats, 2·μ/(g·columns) ADU².
    """
    box = inner_box(amp.bbox)
    measured, mean = column(points, amp.name, "ROW_MEAN_VARIANCE"), means(points, amp.name)
    good = selected.used & np.isfinite(measured) & (measured > 0)
    if not good.any() or box.height < 2:
        return {}
    gain = selected.fit.gain
    expected = float(np.sum(2.0 * mean[good] * gain / box.width))
    variances = measured[good] * gain**2
    error = math.sqrt(2.0 / (box.height - 1) * float(variances @ variances)) / expected
    return {
        "ROW_MEAN_VARIANCE_SLOPE": float(variances.sum()) / expected,
        "ROW_MEAN_VARIANCE_SLOPE_ERROR": error,
    }


def _fit_full(points: Sequence[Earlier], amp: str, selected: Selected) -> FullFit | None:
    """Fit all covariances of the pairs on the curve that have them."""
    mean, count = means(points, amp), column(points, amp, "PAIR_NPIXELS")
    lags = [_lags(point, amp) for point in points]
    usable: BoolArray = selected.used & np.array([found is not None for found in lags])
    if not usable.any():
        return None
    found = np.stack(
        [lag for lag, good in zip(lags, usable, strict=True) if good and lag is not None]
    )
    fit = selected.fit
    return fit_full(
        mean[usable], found, fit.variance(mean[usable]), count[usable], (fit.gain, fit.a00)
    )


def _lags(point: Earlier, amp: str) -> DoubleArray | None:
    """Return the covariances of one amplifier of one pair; None where they are not whole."""
    if "covariances" not in point.arrays or amp not in point.amps:
        return None
    found = np.asarray(point.arrays["covariances"], np.float64)
    index = list(point.amps).index(amp)
    if found.ndim != 3 or found.shape[1:] != (MAX_LAG, MAX_LAG) or index >= found.shape[0]:
        return None
    return found[index] if np.isfinite(found[index]).all() else None


def _full_metrics(full: FullFit) -> Metrics:
    return {
        "PTC_FULL_GAIN": full.gain,
        "PTC_FULL_GAIN_ERROR": full.gain_error,
        "PTC_FULL_NOISE": full.noise,
        "PTC_FULL_NOISE_ERROR": full.noise_error,
        "PTC_FULL_A00": float(full.a[0, 0]),
        "PTC_FULL_A00_ERROR": float(full.a_error[0, 0]),
        "PTC_FULL_CHI2": full.chi2,
    }
