"""The whole chain: from one raw frame to a corrected detector, in the order of IsrTaskLSST."""

from __future__ import annotations

from contextlib import suppress

from calwatch.isr.checks import check_input
from calwatch.isr.model import IsrInput, IsrResult
from calwatch.isr.reference import run_reference
from calwatch.isr.steps import amplifier_facts, decide_steps
from calwatch.isr.stream.engine import run_stream
from calwatch.isr.stream.plan import CannotStreamError


def run_isr(given: IsrInput) -> IsrResult:
    """Remove the instrument signature from one raw frame.

    The steps, their order and their formulae are those of IsrTaskLSST (ip_isr ``isrTaskLSST.py``).
    Nothing that is given is written to. A step that is switched on but has no calibration, or
    cannot be done, is recorded in `IsrResult.not_applied` and left out. Without certified gains
    everything stays in ADU. Where a bias or dark is in ADU and the image in electrons, or the
    reverse, it is brought to the units of the image by the gains.

    Raises
    ------
    RawError
        If the raw frame is not of the detector's size, or a tile of it is damaged.
    CalibrationError
        If a calibration is not of the detector's size or amplifiers, or not of its stated form.
    """
    check_input(given)
    amps = amplifier_facts(given)
    steps = decide_steps(given, amps)
    if given.engine == "fast":
        with suppress(CannotStreamError):
            return run_stream(given, amps, steps)
    return run_reference(given, amps, steps)
