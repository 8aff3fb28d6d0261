"""Faults on request: their specifications, and what each does to frames and files.

A specification is ``KIND[:key=value[,key=value…]]``, such as
``read_noise:amp=R22_S11/C03,factor=1.3,night=2`` or ``light_leak:rate=2.0``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from calwatch.camera.model import Camera, Detector
from calwatch.errors import CameraError, StopError
from calwatch.simulate.kernels import ADC_MAX
from calwatch.simulate.lamp import OF_THE_LAMP, factor_of
from calwatch.simulate.model import (
    BiasShiftEffect,
    FileEffects,
    FrameEffects,
    SimulatedExposure,
)

SCOPES = ("amp", "detector", "reb", "raft")
_COMMON = frozenset({*SCOPES, "night", "type", "number"})
FRAME_TYPES = ("bias", "dark", "flat")
CALIBRATION_TYPES = ("bias", "dark", "flat", "defects", "ptc", "linearizer", "crosstalk", "cti")
_HEADER_NUMBERS = ("DARKTIME", "EXPTIME", "SHUTTIME")


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault and its rules."""

    summary: str
    defaults: Mapping[str, float | int | str]
    """Its own keys; a default's type is the type of the value."""
    types: tuple[str, ...] = FRAME_TYPES
    """Exposure types it touches unless the specification chooses."""
    needs_amp: bool = False
    """Whether a single amplifier has to be named."""
    tests: tuple[str, ...] = ()
    """Tests that are expected to notice it; ``UNKNOWN`` for a verdict that cannot be given."""


KINDS: Mapping[str, FaultKind] = {
    "read_noise": FaultKind(
        "read noise times `factor` (up or down)",
        {"factor": 1.3},
        tests=("NOISE", "READ_NOISE_CONSISTENT"),
    ),
    "gain_step": FaultKind(
        "gain (e-/ADU) times `factor`", {"factor": 1.06}, tests=("RELATIVE_LEVEL", "NOISE")
    ),
    "bias_jump": FaultKind(
        "bias level moves by `adu` over the whole frame", {"adu": 80.0}, tests=("OVERSCAN_LEVEL",)
    ),
    "bias_shift": FaultKind(
        "rows `r0` to `r1` (exclusive) move by `adu`, overscan included",
        {"r0": 0, "r1": 0, "adu": 10.0},
        types=("bias",),
        tests=("BIAS_SHIFT",),
    ),
    "light_leak": FaultKind(
        "stray light of `rate` e-/s", {"rate": 2.0}, types=("dark",), tests=("MEAN", "NOISE")
    ),
    "lamp_off": FaultKind(
        "the flat lamp stays dark", {}, types=("flat",), tests=("LEVEL", "NOISE")
    ),
    "dead_amp": FaultKind(
        "an amplifier gives `value` ADU everywhere",
        {"value": 0},
        needs_amp=True,
        tests=("UNKNOWN",),
    ),
    "saturated_flat": FaultKind(
        "the flat lamp is `factor` times too bright",
        {"factor": 10.0},
        types=("flat",),
        tests=("SATURATION", "NOISE"),
    ),
    "lamp_drift": FaultKind(
        "the flat lamp is `factor` times as bright",
        {"factor": 1.03},
        types=("flat",),
        tests=("UNKNOWN",),
    ),
    "lamp_fading": FaultKind(
        "the flat lamp is `factor` times as bright from one exposure of the night to the next",
        {"factor": 0.998},
        types=("flat",),
        tests=("LAMP_DRIFT",),
    ),
    "hot_pixels": FaultKind(
        "`count` pixels have become hot: `rate` e-/s",
        {"count": 200, "rate": 50.0},
        types=("dark",),
        tests=("NEW_BRIGHT_PIXELS",),
    ),
    "charge_loss": FaultKind(
        "`cti` more charge is lost in each serial transfer",
        {"cti": 2e-5},
        types=("flat",),
        tests=("SERIAL_CTI",),
    ),
    "more_crosstalk": FaultKind(
        "an amplifier gives `coefficient` more of its charge to all others",
        {"coefficient": 3e-4},
        types=("flat",),
        tests=("CROSSTALK_RESIDUAL",),
    ),
    "wrong_sequencer": FaultKind(
        "the sequencer keywords name another file",
        {"file": "FP_TEST_v1.seq"},
        tests=("SEQUENCER",),
    ),
    "missing_hdu": FaultKind(
        "the HDU of one amplifier is missing", {}, needs_amp=True, tests=("UNKNOWN",)
    ),
    "truncated_file": FaultKind(
        "only `keep` of the file remains", {"keep": 0.6}, tests=("UNKNOWN",)
    ),
    "nan_header": FaultKind(
        "the keyword `key` holds NaN", {"key": "DARKTIME"}, types=("dark",), tests=("UNKNOWN",)
    ),
    "missing_calibration": FaultKind(
        "no calibration of `type` is certified on these nights", {}, tests=("UNKNOWN",)
    ),
}
"""Every kind of fault by name."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, checked against the camera."""

    spec: str
    kind: str
    values: Mapping[str, float | int | str]
    """Its own keys with their values."""
    scope: str
    """``amp``, ``detector``, ``reb``, ``raft`` or ``camera``."""
    part: str
    """Name of the part: ``R22_S11/C03``, ``R22_S11``, ``R22_Reb1``, ``R22``, or empty."""
    types: tuple[str, ...]
    night: int | None
    number: int | None
    """Place in the set, from 1."""

    def touches(self, exposure: SimulatedExposure) -> bool:
        """Whether this fault is present in an exposure. Calibration sessions are never faulty."""
        return (
            exposure.night > 0
            and self.kind != "missing_calibration"
            and exposure.observation_type in self.types
            and self.night in (None, exposure.night)
            and self.number in (None, exposure.current)
        )

    def amps(self, detector: Detector) -> tuple[str, ...]:
        """Return the amplifiers of a detector that lie in the scope."""
        if self.scope == "amp":
            name, amp = self.part.split("/")
            return (amp,) if name == detector.name else ()
        inside = {
            "camera": True,
            "detector": self.part == detector.name,
            "reb": self.part == detector.reb,
            "raft": self.part == detector.raft,
        }[self.scope]
        return detector.amp_names if inside else ()

    def describe(
        self, exposures: Sequence[SimulatedExposure], detectors: Sequence[Detector]
    ) -> dict[str, Any]:
        """Return the record of this fault for ``truth.json``."""
        touched = [exposure for exposure in exposures if self.touches(exposure)]
        if self.kind == "missing_calibration":
            touched = [
                exposure
                for exposure in exposures
                if exposure.night > 0 and self.night in (None, exposure.night)
            ]
        hit = {det.name: list(self.amps(det)) for det in detectors if self.amps(det)}
        return asdict(self) | {
            "exposures": [exposure.exposure_id for exposure in touched],
            "detectors": sorted(hit),
            "amps": hit,
            "expected_tests": list(KINDS[self.kind].tests),
        }


def parse_fault(spec: str, camera: Camera, detectors: Sequence[Detector]) -> Fault:
    """Read one specification and check it against the camera.

    Parameters
    ----------
    spec
        ``KIND[:key=value[,key=value…]]``.
    camera
        The whole camera.
    detectors
        Those that are simulated.

    Raises
    ------
    StopError
        If the kind, a key, a value or the part is not known; the message names it.
    """
    kind_name, _, rest = spec.partition(":")
    if kind_name not in KINDS:
        raise StopError(f"fault {spec!r}: unknown kind {kind_name!r}; known: {', '.join(KINDS)}")
    kind = KINDS[kind_name]
    given = _pairs(spec, rest)
    allowed = _COMMON | set(kind.defaults)
    for key in given:
        if key not in allowed:
            raise StopError(
                f"fault {spec!r}: {kind_name} has no key {key!r}; it takes "
                f"{', '.join(sorted(allowed))}"
            )
    values = {
        key: _value(spec, key, given.get(key), default) for key, default in kind.defaults.items()
    }
    scope, part = _scope(spec, kind, given, camera, detectors)
    fault = Fault(
        spec=spec,
        kind=kind_name,
        values=values,
        scope=scope,
        part=part,
        types=_types(spec, kind_name, kind, given),
        night=_positive(spec, "night", given),
        number=_positive(spec, "number", given),
    )
    _check_values(fault, detectors)
    return fault


def frame_effects(
    faults: Sequence[Fault], exposure: SimulatedExposure, detector: Detector
) -> FrameEffects:
    """Gather what all faults do to the pixels of one exposure and detector."""
    factors: dict[str, dict[str, float]] = {"read_noise": {}, "gain_step": {}}
    jumps: dict[str, float] = {}
    shifts: dict[str, tuple[BiasShiftEffect, ...]] = {}
    stuck: dict[str, int] = {}
    hot: dict[str, tuple[int, float]] = {}
    lost: dict[str, float] = {}
    ghosts: dict[str, float] = {}
    leak, lamp = 0.0, 1.0
    for fault in faults:
        amps = fault.amps(detector) if fault.touches(exposure) else ()
        values = fault.values
        if fault.kind in factors:
            chosen = factors[fault.kind]
            chosen.update({a: chosen.get(a, 1.0) * float(values["factor"]) for a in amps})
        elif fault.kind == "bias_jump":
            jumps.update({a: jumps.get(a, 0.0) + float(values["adu"]) for a in amps})
        elif fault.kind == "bias_shift":
            r0, r1 = _rows(fault, detector)
            shift = BiasShiftEffect(r0, r1, float(values["adu"]))
            shifts.update({a: (*shifts.get(a, ()), shift) for a in amps})
        elif fault.kind == "dead_amp":
            stuck.update({a: int(values["value"]) for a in amps})
        elif fault.kind == "light_leak" and amps:
            leak += float(values["rate"])
        elif fault.kind in OF_THE_LAMP and amps:
            lamp *= factor_of(fault, exposure)
        elif fault.kind == "hot_pixels":
            hot.update({a: (int(values["count"]), float(values["rate"])) for a in amps})
        elif fault.kind == "charge_loss":
            lost.update({a: lost.get(a, 0.0) + float(values["cti"]) for a in amps})
        elif fault.kind == "more_crosstalk":
            ghosts.update({a: ghosts.get(a, 0.0) + float(values["coefficient"]) for a in amps})
    return FrameEffects(
        noise_factor=factors["read_noise"],
        gain_factor=factors["gain_step"],
        level_jump=jumps,
        bias_shift=shifts,
        stuck=stuck,
        leak_rate=leak,
        lamp_factor=lamp,
        hot_pixels=hot,
        lost_charge=lost,
        more_crosstalk=ghosts,
    )


def file_effects(
    faults: Sequence[Fault], exposure: SimulatedExposure, detector: Detector
) -> FileEffects:
    """Gather what all faults do to the file of one exposure and detector."""
    header: dict[str, object] = {}
    dropped: tuple[str, ...] = ()
    keep = 1.0
    for fault in faults:
        amps = fault.amps(detector) if fault.touches(exposure) else ()
        if not amps:
            continue
        if fault.kind == "wrong_sequencer":
            name = fault.values["file"]
            header |= {"SEQFILE": name, "SEQNAME": name, "SEQCKSUM": "1"}
        elif fault.kind == "nan_header":
            header[str(fault.values["key"])] = "NaN"
        elif fault.kind == "missing_hdu":
            dropped += amps
        elif fault.kind == "truncated_file":
            keep = min(keep, float(fault.values["keep"]))
    return FileEffects(header=header, drop_segments=dropped, keep_fraction=keep)


def _pairs(spec: str, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = (word.strip() for word in item.partition("="))
        if not equals or not key or not value:
            raise StopError(f"fault {spec!r}: {item!r} is not key=value")
        if key in pairs:
            raise StopError(f"fault {spec!r}: {key!r} is given twice")
        pairs[key] = value
    return pairs


def _value(spec: str, key: str, text: str | None, default: float | int | str) -> float | int | str:
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError as error:
        raise StopError(f"fault {spec!r}: {key}={text} is not a number") from error
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise StopError(f"fault {spec!r}: {key}={text} is not a finite number")
    return value


def _positive(spec: str, key: str, given: Mapping[str, str]) -> int | None:
    if key not in given:
        return None
    value = int(_value(spec, key, given[key], 0))
    if value < 1:
        raise StopError(f"fault {spec!r}: {key} counts from 1")
    return value


def _types(spec: str, kind_name: str, kind: FaultKind, given: Mapping[str, str]) -> tuple[str, ...]:
    if kind_name == "missing_calibration":
        chosen = given.get("type")
        if chosen not in CALIBRATION_TYPES:
            raise StopError(
                f"fault {spec!r}: say which calibration is missing: type= one of "
                f"{', '.join(CALIBRATION_TYPES)}"
            )
        return (chosen,)
    if "type" not in given:
        return kind.types
    if given["type"] not in FRAME_TYPES or (
        kind_name in ("lamp_off", "lamp_drift", "saturated_flat") and given["type"] != "flat"
    ):
        raise StopError(f"fault {spec!r}: type={given['type']} has no {kind_name}")
    return (given["type"],)


def _scope(
    spec: str,
    kind: FaultKind,
    given: Mapping[str, str],
    camera: Camera,
    detectors: Sequence[Detector],
) -> tuple[str, str]:
    chosen = [scope for scope in SCOPES if scope in given]
    if len(chosen) > 1:
        raise StopError(f"fault {spec!r}: give only one of {', '.join(chosen)}")
    if kind.needs_amp and chosen != ["amp"]:
        raise StopError(f"fault {spec!r}: name the amplifier, amp={detectors[0].name}/C03 or so")
    if not chosen:
        return "camera", ""
    scope, part = chosen[0], given[chosen[0]]
    if scope == "amp":
        return scope, _amp_name(spec, part, detectors)
    if scope == "detector":
        try:
            part = camera.detector(int(part) if part.isdigit() else part).name
        except CameraError as error:
            raise StopError(f"fault {spec!r}: {error}") from error
    names = {getattr(det, "name" if scope == "detector" else scope) for det in detectors}
    if part not in names:
        raise StopError(
            f"fault {spec!r}: {scope} {part!r} is not simulated; there is "
            f"{', '.join(sorted(names)[:5])}"
        )
    return scope, part


def _amp_name(spec: str, part: str, detectors: Sequence[Detector]) -> str:
    """Return ``DETECTOR/AMP``; the detector may be left out where there is only one."""
    name, slash, amp = part.partition("/")
    if not slash and len(detectors) == 1:
        name, amp = detectors[0].name, part
    for det in detectors:
        if name in (det.name, str(det.number)) and amp in det.amp_names:
            return f"{det.name}/{amp}"
    raise StopError(
        f"fault {spec!r}: no simulated amplifier {part!r}; write it as "
        f"{detectors[0].name}/{detectors[0].amp_names[0]}"
    )


def _rows(fault: Fault, detector: Detector) -> tuple[int, int]:
    """Rows of a bias shift; by default the middle third of the frame."""
    height = detector.amplifiers[0].raw_shape[0]
    r0, r1 = int(fault.values["r0"]), int(fault.values["r1"])
    return (r0, r1) if r1 else (height // 3, 2 * height // 3)


def _check_values(fault: Fault, detectors: Sequence[Detector]) -> None:
    values = fault.values
    name = f"fault {fault.spec!r}"
    for key in ("factor", "rate", "keep", "count", "cti"):
        if key in values and float(values[key]) <= 0:
            raise StopError(f"{name}: {key} must be above 0")
    if "keep" in values and float(values["keep"]) >= 1:
        raise StopError(f"{name}: keep must be below 1")
    if "value" in values and not 0 <= int(values["value"]) <= ADC_MAX:
        raise StopError(f"{name}: value must lie in 0…{ADC_MAX}")
    if "key" in values and values["key"] not in _HEADER_NUMBERS:
        raise StopError(f"{name}: key must be one of {', '.join(_HEADER_NUMBERS)}")
    if fault.kind == "bias_shift":
        for det in detectors:
            r0, r1 = _rows(fault, det)
            if not 0 <= r0 < r1 <= det.amplifiers[0].raw_shape[0]:
                raise StopError(f"{name}: rows {r0} to {r1} are not in the frame")
