"""What a camera is: detectors, amplifiers, the boxes they occupy, and how raw files name things.

Two frames of reference are used everywhere:

*readout order*
    One amplifier, pixel ``[0, 0]`` is the first pixel read. Crosstalk, charge-transfer and overscan
    formulae are simplest here, so the ISR keeps every amplifier in readout order until assembly.
*assembled*
    The whole detector, trimmed, in focal-plane orientation, as certified biases are stored.

All boxes are 0-based with the lower-left corner first; arrays are indexed ``[y, x]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calwatch.errors import CameraError


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels."""

    x0: int
    y0: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The ``[y, x]`` slices that select this box from an array."""
        return (
            slice(self.y0, self.y0 + self.height),
            slice(self.x0, self.x0 + self.width),
        )

    @property
    def x1(self) -> int:
        """One past the last column."""
        return self.x0 + self.width

    @property
    def y1(self) -> int:
        """One past the last row."""
        return self.y0 + self.height

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Place:
    """Where a detector is in the focal plane, as one looks at its image: x to the right, y up."""

    x: float
    y: float
    """Centre, mm from the centre of the camera."""
    yaw: int
    """Degrees by which the assembled frame is turned, counter-clockwise: 0, 90, 180 or 270."""
    pixel: float
    """Size of a pixel, mm."""


@dataclass(frozen=True, slots=True)
class Amplifier:
    """One amplifier of one detector."""

    name: str
    """Name in the field's terms, such as ``C00``."""
    hdu: str
    """EXTNAME of the HDU that holds it (or its number as text)."""
    hdu_box: Box
    """The part of the HDU's pixel array that is this amplifier, overscans included."""
    hdu_flip_x: bool
    hdu_flip_y: bool
    """Flips that bring ``hdu_box`` into readout order (all False for the Rubin cameras)."""
    data: Box
    """Imaging pixels, in readout order."""
    serial_overscan: Box
    """Serial overscan columns over all rows, in readout order. Width 0 if there is none."""
    parallel_overscan: Box
    """Parallel overscan rows over the data columns, in readout order. Height 0 if there is none."""
    bbox: Box
    """Place in the assembled detector."""
    flip_x: bool
    flip_y: bool
    """Flips from readout order to the assembled frame."""
    nominal_gain: float
    """e-/ADU."""
    nominal_read_noise: float
    """e-."""

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Rows and columns of the raw amplifier."""
        return (self.hdu_box.height, self.hdu_box.width)


@dataclass(frozen=True, slots=True)
class Detector:
    """One CCD."""

    number: int
    name: str
    """Full name, such as ``R22_S11``."""
    raft: str
    slot: str
    reb: str
    """Readout board within the camera, such as ``R22_Reb1``."""
    vendor: str
    """``E2V``, ``ITL`` or a test stand's own word."""
    kind: str
    """Geometry: the key of the amplifier layout, such as ``ITL_WF``."""
    purpose: str
    """``SCIENCE``, ``GUIDER`` or ``WAVEFRONT``."""
    serial: str
    """Serial number if the camera file gives one, else empty (then it is not checked)."""
    width: int
    height: int
    """Size of the assembled detector."""
    amplifiers: tuple[Amplifier, ...]
    """In camera order (C10…C17, C07…C00), which is the order of crosstalk matrices."""
    parts: tuple[tuple[str, str], ...]
    """The path through the tree of parts, from the top down: (level, name) pairs such as
    ``(("focal plane", "LSSTCam"), ("raft", "R22"), ("REB", "R22_Reb1"), ("CCD", "R22_S11"))``."""
    place: Place = Place(0.0, 0.0, 0, 0.01)
    """In the focal plane; a camera file that gives none has its detectors in a row."""
    former_serials: tuple[str, ...] = ()
    """Serial numbers of CCDs that held this place before, which older raws still name."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the assembled detector."""
        return (self.height, self.width)

    @property
    def amp_names(self) -> tuple[str, ...]:
        """Names of the amplifiers in camera order."""
        return tuple(amp.name for amp in self.amplifiers)

    def amplifier(self, name: str) -> Amplifier:
        """Return the amplifier of that name.

        Raises
        ------
        CameraError
            If this detector has no such amplifier.
        """
        for amp in self.amplifiers:
            if amp.name == name:
                return amp
        raise CameraError(f"detector {self.name} has no amplifier {name!r}")


@dataclass(frozen=True, slots=True)
class Camera:
    """One instrument: all its detectors and the words its raw headers use."""

    instrument: str
    """Butler instrument name, such as ``LATISS``."""
    controllers: str
    """Letters allowed as controller in an OBSID, in the order that numbers them (``OCHPQS``)."""
    camera_code: str
    """Two-letter code of the OBSID, such as ``AT``."""
    keywords: Mapping[str, tuple[str, ...]]
    """For each fact (``exposure_time``, ``detector_serial``, …) the keywords tried, in order."""
    instrument_words: tuple[str, ...]
    """Values of the instrument keyword that mean this camera."""
    sequencer_keywords: tuple[str, ...]
    """Keywords compared between a raw and each certified calibration."""
    raw_layout: Mapping[str, Any]
    """Compression and HDU layout of a raw file, for the reader's checks and the simulator:
    ``compression`` (what the camera writes), ``accepted`` (compressions the reader takes),
    ``tile`` ((x, y) or None), ``bitpix``, ``header_hdus`` (EXTNAMEs of header-only tables merged
    into the header), ``unnamed_tables`` (how many header-only tables without a name may follow),
    ``range`` (least and greatest count the converter can give, or None)."""
    isr: Mapping[str, bool | tuple[str, ...]]
    """Overrides of the ISR switches (fields of ``IsrSwitches``) for this camera: on or off for
    every calibration type, or the calibration types for which the step is on (off for others)."""
    optional_calibrations: frozenset[str]
    """Calibration types whose absence does not make a verdict UNKNOWN."""
    detectors: tuple[Detector, ...] = field(repr=False)
    header_rules: Mapping[str, Any] = field(default_factory=dict)
    """How facts are made of keywords, for `calwatch.camera.header`."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Band of each physical filter (empty: no band)."""
    raft_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other names that raw headers use for a raft."""

    def detector(self, which: int | str) -> Detector:
        """Return a detector by number or by full name.

        Raises
        ------
        CameraError
            If this camera has no such detector.
        """
        for det in self.detectors:
            if which in (det.number, det.name):
                return det
        raise CameraError(f"{self.instrument} has no detector {which!r}")
