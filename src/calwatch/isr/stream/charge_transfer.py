"""Charge transfer of one row: formulae of `calwatch.isr.cti`.

The largest of 15 (or 6) decayed neighbours is found by doubling: the largest of the last two, then
of the last four, eight, and with one more overlapping step of the number wanted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from calwatch.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from calwatch.calibrations.model import ChargeTransfer, SerialTrap
from calwatch.isr.cti import OFFSET_PIXELS, TRAP_PIXELS, unknown_trap
from calwatch.isr.stream.linearity import count_outside

_LINEAR, _LOGISTIC, _SPLINE = 1, 2, 3
_CHUNK = 128
"""Pixels for which one line of a spline is tried."""
_KINDS = {"linear": _LINEAR, "logistic": _LOGISTIC, "spline": _SPLINE}


class Transfer(NamedTuple):
    """Parameters of every amplifier; arrays have one entry each."""

    active: BoolArray
    """Whether there is anything to correct."""
    drift_scale: DoubleArray
    """Share of a pixel's charge; 0: no drift."""
    drift_decay: DoubleArray
    """What is left of the drift after one transfer."""
    trap_kind: IntArray
    """0: no trap."""
    trap_size: DoubleArray
    """e-."""
    trap_decay: DoubleArray
    """What a trap keeps at one transfer."""
    trap_numbers: DoubleArray
    """Shape (n_amp, most): coefficients of the trap; of a spline nodes, then values."""
    trap_count: IntArray
    """How many of them there are."""
    efficiency: DoubleArray
    """1 − global CTI."""


def no_transfer(n_amp: int) -> Transfer:
    """Return parameters that leave every amplifier as it is."""
    zero, none = np.zeros(n_amp), np.zeros(n_amp, np.int32)
    return Transfer(none > 0, zero, zero, none, zero, zero, np.zeros((n_amp, 1)), none, zero + 1.0)


def transfer_of(calibration: ChargeTransfer) -> Transfer:
    """Return the parameters of a calibration in the form of the kernels.

    Raises
    ------
    CalibrationError
        If a trap is of a kind that is not known.
    """
    n_amp = len(calibration.amp_names)
    most = max((trap.coefficients.size for trap in calibration.traps if trap), default=1)
    found = no_transfer(n_amp)._replace(trap_numbers=np.zeros((n_amp, most)))
    drifts = (calibration.drift_scale > 0) & (calibration.decay_time > 0)
    lost = np.where(np.isfinite(calibration.global_cti), calibration.global_cti, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        decay = np.exp(-1.0 / calibration.decay_time)
    found = found._replace(
        drift_scale=np.where(drifts, calibration.drift_scale, 0.0),
        drift_decay=np.where(drifts, decay, 0.0),
        trap_kind=np.array([_kind(trap) for trap in calibration.traps], np.int32),
        trap_size=np.array([trap.size if trap else 0.0 for trap in calibration.traps]),
        trap_decay=np.array(
            [np.exp(-1.0 / trap.emission_time) if trap else 0.0 for trap in calibration.traps]
        ),
        trap_count=np.array(
            [trap.coefficients.size if trap else 0 for trap in calibration.traps], np.int32
        ),
        efficiency=1.0 - lost,
    )
    for k, trap in enumerate(calibration.traps):
        if trap:
            found.trap_numbers[k, : trap.coefficients.size] = trap.coefficients
    return found._replace(active=(found.drift_scale > 0) | (found.trap_kind > 0))


def _kind(trap: SerialTrap | None) -> int:
    if trap is None:
        return 0
    if trap.kind not in _KINDS:
        raise unknown_trap(trap)
    return _KINDS[trap.kind]


@njit(cache=True, nogil=True)
def correct_row(row: FloatArray, transfer: Transfer, k: int, a: FloatArray, b: FloatArray) -> None:
    """Correct one row of amplifier number `k` in place.

    Parameters
    ----------
    row
        From the first pixel read to the last of the data, electrons; prescan 0.
    transfer
        Parameters of every amplifier.
    k
        Number of the amplifier.
    a, b
        Room for as many pixels.
    """
    if transfer.drift_scale[k] > 0:
        _scaled_charge(row, transfer.drift_scale[k], a)
        offset = _largest_decayed(a, b, transfer.drift_decay[k], OFFSET_PIXELS)
        for x in range(row.size):
            row[x] -= offset[x]
    if transfer.trap_kind[k] > 0:
        captured = np.empty_like(row)
        _capture(row, transfer, k, captured)
        a[0] = 0.0
        a[1:] = captured[:-1]  # a trap gives to the pixels after the one it took from
        occupancy = _largest_decayed(a, b, transfer.trap_decay[k], TRAP_PIXELS)
        _exchange(row, captured, occupancy, transfer.trap_decay[k], transfer.efficiency[k])


@njit(cache=True, nogil=True)
def _scaled_charge(row: FloatArray, scale: float, charge: FloatArray) -> None:
    share = np.float32(scale)
    for x in range(row.size):
        value = row[x] * share
        charge[x] = value if value > 0 else np.float32(0.0)


@njit(cache=True, nogil=True)
def _largest_decayed(a: FloatArray, b: FloatArray, decay: float, length: int) -> FloatArray:
    """Return ``max(0, a[x − n]·decay^n)``, n below `length`, in `a` or `b`; both are used."""
    for x in range(a.size):
        a[x] = a[x] if a[x] > 0 else np.float32(0.0)
    done = 1
    while done < length:
        step = min(done, length - done)
        _larger(a, step, decay**step, b)
        a, b = b, a
        done += step
    return a


@njit(cache=True, nogil=True)
def _larger(source: FloatArray, step: int, factor: float, largest: FloatArray) -> None:
    """Fill ``largest[x] = max(source[x], source[x − step]·factor)``."""
    largest[:step] = source[:step]
    own, before, result = source[step:], source[: source.size - step], largest[step:]
    share = np.float32(factor)
    for x in range(own.size):
        decayed = before[x] * share
        result[x] = own[x] if own[x] > decayed else decayed


@njit(cache=True, nogil=True)
def _capture(row: FloatArray, transfer: Transfer, k: int, captured: FloatArray) -> None:
    """Fill in what the trap takes from the charge of each pixel."""
    size = transfer.trap_size[k]
    numbers = transfer.trap_numbers[k, : transfer.trap_count[k]]
    if transfer.trap_kind[k] == _LINEAR:
        _capture_linear(row, size, numbers[0], captured)
    elif transfer.trap_kind[k] == _LOGISTIC:
        _capture_logistic(row, size, numbers[0], numbers[1], captured)
    else:
        n = numbers.size // 2
        for x0 in range(0, row.size, _CHUNK):
            part, taken = row[x0 : x0 + _CHUNK], captured[x0 : x0 + _CHUNK]
            _capture_spline(part, numbers[:n], numbers[n : 2 * n], taken)


@njit(cache=True, nogil=True)
def _capture_linear(row: FloatArray, size: float, slope: float, captured: FloatArray) -> None:
    most, share = np.float32(size), np.float32(slope)
    for x in range(row.size):
        charge = row[x] if row[x] > 0 else np.float32(0.0)
        taken = share * charge
        captured[x] = taken if taken < most else most


@njit(cache=True, nogil=True)
def _capture_logistic(
    row: FloatArray, size: float, middle: float, slope: float, captured: FloatArray
) -> None:
    for x in range(row.size):
        charge = max(np.float64(row[x]), 0.0)
        captured[x] = size / (1.0 + np.exp(-slope * (charge - middle)))


@njit(cache=True, nogil=True)
def _capture_spline(
    part: FloatArray, nodes: DoubleArray, values: DoubleArray, captured: FloatArray
) -> None:
    """Interpolate between nodes the values, holding them at the ends, as ``np.interp`` does.

    Most parts of a row lie between two nodes, so that one straight line does for all pixels; those
    that lie elsewhere are then done one by one.
    """
    k = _node_below(nodes, max(np.float64(part[part.size // 2]), 0.0), 0)
    if nodes.size < 2 or nodes[k + 1] <= nodes[k]:
        _interpolate_outside(part, nodes, values, k, 0.0, 0.0, captured)
        return
    bottom, top = max(nodes[0], 0.0), nodes[-1]
    slope = (values[k + 1] - values[k]) / (nodes[k + 1] - nodes[k])
    _along_line(part, bottom, top, nodes[k], values[k], slope, captured)
    low = nodes[k] if nodes[k] > bottom else -np.inf
    high = nodes[k + 1] if k < nodes.size - 2 else np.inf
    if count_outside(part, low, high) > 0:
        _interpolate_outside(part, nodes, values, k, low, high, captured)


@njit(cache=True, nogil=True)
def _along_line(
    part: FloatArray,
    bottom: float,
    top: float,
    node: float,
    value: float,
    slope: float,
    captured: FloatArray,
) -> None:
    """Follow one straight line, in float64, from `bottom` to `top` and level beyond."""
    for x in range(part.size):
        charge = np.float64(part[x])
        clipped = bottom if charge < bottom else (top if charge > top else charge)
        captured[x] = value + slope * (clipped - node)


@njit(cache=True, nogil=True)
def _interpolate_outside(
    part: FloatArray,
    nodes: DoubleArray,
    values: DoubleArray,
    k: int,
    low: float,
    high: float,
    captured: FloatArray,
) -> None:
    """Interpolate for the pixels outside [low, high), looking first near node number `k`."""
    for x in range(part.size):
        if low <= part[x] < high:
            continue
        charge = max(np.float64(part[x]), 0.0)
        if charge >= nodes[-1]:
            captured[x] = values[-1]
        elif charge <= nodes[0]:
            captured[x] = values[0]
        else:
            k = _node_below(nodes, charge, k)
            share = (charge - nodes[k]) / (nodes[k + 1] - nodes[k])
            captured[x] = values[k] + share * (values[k + 1] - values[k])


@njit(cache=True, nogil=True)
def _node_below(nodes: DoubleArray, charge: float, k: int) -> int:
    """Return the last node but one, or the last at or below a charge; begin the search at `k`."""
    while k < nodes.size - 2 and charge >= nodes[k + 1]:
        k += 1
    while k > 0 and charge < nodes[k]:
        k -= 1
    return k


@njit(cache=True, nogil=True)
def _exchange(
    row: FloatArray, captured: FloatArray, occupancy: FloatArray, decay: float, efficiency: float
) -> None:
    """Give back what was captured anew and take away what was released."""
    kept, lost, share = np.float32(decay), np.float32(1.0 - decay), np.float32(efficiency)
    for x in range(row.size):
        fresh = captured[x] - occupancy[x] * kept
        fresh = fresh if fresh > 0 else np.float32(0.0)
        row[x] -= share * (occupancy[x] * lost - fresh)
