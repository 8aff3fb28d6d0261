"""What a set is laid beside: the certified PTC and the camera description."""

from __future__ import annotations

from calwatch.calibrations.model import PhotonTransferCurve
from calwatch.camera.model import Amplifier
from calwatch.verify.amplifier import Metrics
from calwatch.verify.inputs import reference_fault


def references(amp: Amplifier, ptc: PhotonTransferCurve | None, index: int) -> Metrics:
    """Return what the camera and the certified PTC say; what is absurd is not said."""
    found = {"NOMINAL_GAIN": amp.nominal_gain, "NOMINAL_NOISE": amp.nominal_read_noise}
    if ptc is not None:
        gain, noise = float(ptc.gain[index]), float(ptc.noise[index])
        if not reference_fault(gain, 1.0):
            found["CERTIFIED_GAIN"] = gain
        if not reference_fault(1.0, noise):
            found["CERTIFIED_NOISE"] = noise
    return found


def fault_of_ptc(ptc: PhotonTransferCurve | None, index: int) -> str:
    """Say why an amplifier's certified gain or noise is no reference; empty without a PTC, too."""
    return reference_fault(float(ptc.gain[index]), float(ptc.noise[index])) if ptc else ""
