"""Check that everything that goes into the chain belongs to the detector."""

from __future__ import annotations

from calwatch.arrays import AnyArray
from calwatch.calibrations.model import CalibrationSet
from calwatch.camera.model import Detector
from calwatch.errors import CalibrationError, RawError
from calwatch.isr.model import IsrInput


def check_input(given: IsrInput) -> None:
    """Compare the raw frame and every calibration with the detector.

    Raises
    ------
    RawError
        If the raw frame has not the detector's amplifiers or their size.
    CalibrationError
        If a calibration has another size or other amplifiers; it names type and sizes.
    """
    detector = given.detector
    expected = {(len(detector.amplifiers), *amp.raw_shape) for amp in detector.amplifiers}
    if expected != {given.raw.shape}:
        sizes = " or ".join(_by(size) for size in sorted(expected))
        raise RawError(
            f"raw of detector {detector.name}: amplifiers × rows × columns are "
            f"{_by(given.raw.shape)}, expected {sizes}"
        )
    _check_images(given.calibrations, detector)
    _check_amplifiers(given.calibrations, detector)


def _check_images(calibrations: CalibrationSet, detector: Detector) -> None:
    for image in (calibrations.bias, calibrations.dark, calibrations.flat):
        if image is None:
            continue
        planes: dict[str, AnyArray] = {
            "image": image.image,
            "mask": image.mask,
            "variance": image.variance,
        }
        for plane, pixels in planes.items():
            if pixels.shape != detector.shape:
                raise CalibrationError(
                    f"{image.calib_type}: its {plane} has rows × columns {_by(pixels.shape)}, "
                    f"detector {detector.name} has {_by(detector.shape)}"
                )


def _check_amplifiers(calibrations: CalibrationSet, detector: Detector) -> None:
    named = {
        "ptc": calibrations.ptc,
        "linearizer": calibrations.linearizer,
        "cti": calibrations.cti,
    }
    for calib_type, table in named.items():
        if table is not None and table.amp_names != detector.amp_names:
            raise CalibrationError(
                f"{calib_type}: it is for the {len(table.amp_names)} amplifiers "
                f"{', '.join(table.amp_names)}; detector {detector.name} has the "
                f"{len(detector.amp_names)} amplifiers {', '.join(detector.amp_names)}"
            )
    crosstalk, n_amp = calibrations.crosstalk, len(detector.amplifiers)
    if crosstalk is None:
        return
    for matrix in (crosstalk.coefficients, crosstalk.quadratic, crosstalk.valid):
        if matrix.shape != (n_amp, n_amp):
            raise CalibrationError(
                f"crosstalk: its matrix is {_by(matrix.shape)}, detector {detector.name} "
                f"needs {_by((n_amp, n_amp))}"
            )


def _by(sizes: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in sizes)
