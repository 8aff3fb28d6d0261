"""Charge transfer inefficiency in the serial register (Snyder et al. 2021, JATIS 7, 048002)."""

from __future__ import annotations

import numpy as np
from numba import njit

from calwatch.arrays import DoubleArray, FloatArray
from calwatch.calibrations.model import ChargeTransfer, SerialTrap
from calwatch.camera.model import Amplifier
from calwatch.errors import CalibrationError
from calwatch.isr.buffers import copy_into

OFFSET_PIXELS = 15
"""Pixels back to which the drift of the output amplifier is felt (ip_isr ``deferredCharge.py``)."""
TRAP_PIXELS = 6
"""Pixels back from which trapped charge comes."""


def correct_charge_transfer(
    stack: FloatArray,
    amplifiers: tuple[Amplifier, ...],
    calibration: ChargeTransfer,
    out: FloatArray | None = None,
) -> FloatArray:
    """Put deferred charge back into the pixels it came from.

    The pixels read before the data of a row (prescan) count as empty.

    Parameters
    ----------
    stack
        Shape (n_amp, rows, columns), readout order, electrons.
    amplifiers
        In the order of the stack and of the calibration.
    calibration
        Parameters of each amplifier; one without a positive drift scale has no drift, one without
        a trap has no trap.
    out
        Where to write the result; it may be `stack`. None makes a new array.

    Returns
    -------
    FloatArray
        The corrected stack; only data pixels differ.

    Raises
    ------
    CalibrationError
        If a trap is of a kind that is not known.
    """
    corrected = copy_into(stack, out)
    for k, amp in enumerate(amplifiers):
        data = corrected[k][amp.data.slices]
        row = np.zeros((amp.data.height, amp.data.x1))
        row[:, amp.data.x0 :] = data
        drift, decay = calibration.drift_scale[k], calibration.decay_time[k]
        if drift > 0 and decay > 0:
            row = remove_drift(row, float(drift), float(decay))
        trap = calibration.traps[k]
        if trap is not None:
            row = remove_trap(row, trap, float(calibration.global_cti[k]))
        data[...] = row[:, amp.data.x0 :]
    return corrected


def remove_drift(image: DoubleArray, scale: float, decay_time: float) -> DoubleArray:
    """Subtract the drift of the output amplifier: the largest decayed share of 15 pixels.

    Parameters
    ----------
    image
        Shape (rows, columns), electrons, first pixel read first.
    scale
        Share of a pixel's charge.
    decay_time
        In pixel transfers.
    """
    offset = np.empty_like(image)
    _window_maximum(scale * np.maximum(image, 0.0), np.exp(-1.0 / decay_time), 0, offset)
    return image - offset


def remove_trap(image: DoubleArray, trap: SerialTrap, global_cti: float) -> DoubleArray:
    """Give back what a serial trap captured and take away what it released.

    Parameters
    ----------
    image
        Shape (rows, columns), electrons, first pixel read first.
    trap
        Of the amplifier.
    global_cti
        Share of charge lost at each transfer; one that is not finite counts as 0.
    """
    r = np.exp(-1.0 / trap.emission_time)
    captured = capture(trap, np.maximum(image, 0.0))
    occupancy = np.empty_like(image)
    _window_maximum(captured, r, 1, occupancy)
    released = occupancy * (1.0 - r)
    fresh = np.maximum(captured - occupancy * r, 0.0)
    a = 1.0 - (global_cti if np.isfinite(global_cti) else 0.0)
    corrected: DoubleArray = image - a * (released - fresh)
    return corrected


def capture(trap: SerialTrap, charge: DoubleArray) -> DoubleArray:
    """Return the charge a trap takes from pixels of `charge` electrons.

    Raises
    ------
    CalibrationError
        If the trap's kind is not ``linear``, ``logistic`` or ``spline``.
    """
    c = trap.coefficients
    captured: DoubleArray
    match trap.kind:
        case "linear":
            captured = np.minimum(trap.size, c[0] * charge)
        case "logistic":
            captured = trap.size / (1.0 + np.exp(-c[1] * (charge - c[0])))
        case "spline":
            nodes, values = np.split(c, 2)
            captured = np.interp(charge, nodes, values)
        case _:
            raise unknown_trap(trap)
    return captured


def unknown_trap(trap: SerialTrap) -> CalibrationError:
    """Return the error that says that there is no such kind of trap."""
    return CalibrationError(f"cti: there is no kind of trap {trap.kind!r}")


@njit(cache=True, nogil=True)
def _window_maximum(source: DoubleArray, r: float, shift: int, largest: DoubleArray) -> None:
    """Fill ``largest[x] = max(0, source[x − shift − n]·r^n)``, n below the length of the window.

    The window is 15 pixels without a shift (drift) and 6 with one (trap).
    """
    rows, columns = source.shape
    length = OFFSET_PIXELS if shift == 0 else TRAP_PIXELS
    for y in range(rows):
        for x in range(columns):
            largest[y, x] = 0.0
        for n in range(length):
            power = r**n
            start = shift + n
            for x in range(start, columns):
                largest[y, x] = max(largest[y, x], source[y, x - start] * power)
