"""Loading a camera file (YAML) into a `Camera`, checking that its geometry holds together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from calwatch.camera.model import Amplifier, Box, Camera, Detector, Place
from calwatch.camera.placing import Point, in_a_row, place_in_raft
from calwatch.camera.schema import KEYWORDS, AmplifierEntry, CameraFile, DetectorEntry, Layout
from calwatch.errors import CameraError
from calwatch.yaml_file import YamlFileError, parse_yaml

_BUILT_IN = {"LATISS": "latiss.yaml", "LSSTComCam": "comcam.yaml", "LSSTCam": "lsstcam.yaml"}


def known_instruments() -> tuple[str, ...]:
    """Return the instruments whose camera files ship with calwatch."""
    return tuple(_BUILT_IN)


def load_camera(name_or_path: str | Path) -> Camera:
    """Return a camera by instrument name or from a YAML file of its own; cached.

    Raises
    ------
    CameraError
        If the instrument is not known, or the file is unreadable or contradicts itself. The
        message names the file and the field.
    """
    if str(name_or_path) in _BUILT_IN:
        return _load_built_in(str(name_or_path))
    path = Path(name_or_path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        known = ", ".join(_BUILT_IN)
        raise CameraError(
            f"unknown instrument {str(name_or_path)!r}: known are {known}, or give a camera file "
            "(.yaml)"
        )
    try:
        status = path.stat()
    except OSError as error:
        raise CameraError(f"{path}: cannot be read ({error.strerror})") from error
    return _load_file(path, status.st_mtime_ns, status.st_size)


@cache
def _load_built_in(instrument: str) -> Camera:
    file = _BUILT_IN[instrument]
    text = resources.files("calwatch.camera").joinpath("data", file).read_text(encoding="utf-8")
    return parse_camera(text, file)


@lru_cache(maxsize=32)
def _load_file(path: Path, _mtime_ns: int, _size: int) -> Camera:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"{path}: cannot be read ({error})") from error
    return parse_camera(text, str(path))


def parse_camera(text: str, source: str) -> Camera:
    """Build a camera from the text of a camera file.

    Parameters
    ----------
    text
        YAML.
    source
        Name of the file, for messages.

    Raises
    ------
    CameraError
        If anything in it is malformed or contradictory.
    """
    try:
        content = parse_yaml(text).content
    except YamlFileError as error:
        raise CameraError(f"{source}: {error}") from error
    if not isinstance(content, dict):
        raise CameraError(f"{source}: a camera file is a mapping of fields")
    try:
        file = CameraFile.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors()
        )
        raise CameraError(f"{source}: {faults}") from error
    return _Builder(file, source).camera()


class _Builder:
    """Turns a checked file into a camera; every fault names the file and the field."""

    def __init__(self, file: CameraFile, source: str) -> None:
        self._file = file
        self._source = source

    def _fail(self, field: str, why: str) -> CameraError:
        return CameraError(f"{self._source}: {field}: {why}")

    def camera(self) -> Camera:
        file = self._file
        layouts = {kind: self._amplifiers(kind, lay) for kind, lay in file.layouts.items()}
        detectors = tuple(self._detector(entry, layouts) for entry in self._entries())
        if any(entry.at is None for entry in self._entries()):
            detectors = in_a_row(detectors)
        self._check_unique("number", [d.number for d in detectors])
        self._check_unique("name", [d.name for d in detectors])
        accepted = tuple(dict.fromkeys((file.raw.compression, *file.raw.accepted)))
        return Camera(
            instrument=file.instrument,
            controllers=file.controllers,
            camera_code=file.camera_code,
            keywords={fact: tuple(file.keywords.get(fact, ())) for fact in KEYWORDS},
            instrument_words=tuple(file.instrument_words),
            sequencer_keywords=tuple(file.sequencer_keywords),
            raw_layout=file.raw.model_dump() | {"accepted": accepted},
            isr={
                step: value if isinstance(value, bool) else tuple(value)
                for step, value in file.isr.items()
            },
            optional_calibrations=frozenset(file.optional_calibrations),
            detectors=tuple(sorted(detectors, key=lambda det: det.number)),
            header_rules=file.header_rules.model_dump(),
            filters=dict(file.filters),
            raft_words={raft: tuple(words) for raft, words in file.raft_words.items()},
        )

    def _entries(self) -> Iterable[DetectorEntry]:
        yield from self._file.detectors
        for raft_name, raft in self._file.rafts.items():
            field = f"rafts.{raft_name}"
            raft_type = self._file.raft_types.get(raft.type)
            if raft_type is None:
                raise self._fail(f"{field}.type", f"there is no raft type {raft.type!r}")
            unknown = sorted(set(raft.serials) - set(raft_type.slots))
            if unknown:
                raise self._fail(f"{field}.serials", f"no slot {', '.join(unknown)}")
            for offset, (slot_name, slot) in enumerate(raft_type.slots.items()):
                layout = slot.layout or raft.layout
                if layout is None:
                    raise self._fail(
                        f"{field}.layout", f"neither raft nor slot {slot_name} has one"
                    )
                at: Point | None = None
                yaw: int = raft.yaw
                if slot.at is not None:
                    at, yaw = place_in_raft(slot.at, slot.yaw, raft.at, raft.yaw)
                yield DetectorEntry(
                    number=raft.first + offset,
                    name=f"{raft_name}_{slot_name}",
                    raft=raft_name,
                    slot=slot_name,
                    reb=f"{raft_name}_{slot.reb}",
                    layout=layout,
                    purpose=slot.purpose,
                    at=at,
                    yaw=yaw,
                    serial=raft.serials.get(slot_name, ""),
                )
        if not self._file.detectors and not self._file.rafts:
            raise self._fail("detectors", "the camera has neither detectors nor rafts")

    def _check_unique(self, what: str, values: list[Any]) -> None:
        doubled = sorted({value for value in values if values.count(value) > 1})
        if doubled:
            raise self._fail("detectors", f"{what} {doubled[0]} is given to two detectors")

    def _detector(
        self, entry: DetectorEntry, layouts: dict[str, tuple[Amplifier, ...]]
    ) -> Detector:
        if entry.layout not in layouts:
            raise self._fail(
                f"detectors.{entry.name}.layout", f"there is no layout {entry.layout!r}"
            )
        layout = self._file.layouts[entry.layout]
        fields = {
            "instrument": self._file.instrument,
            "raft": entry.raft,
            "slot": entry.slot,
            "reb": entry.reb,
            "name": entry.name,
        }
        try:
            parts = tuple((p.level, p.name.format_map(fields)) for p in self._file.parts)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise self._fail("parts", f"a name may use {', '.join(fields)} ({error!r})") from error
        return Detector(
            number=entry.number,
            name=entry.name,
            raft=entry.raft,
            slot=entry.slot,
            reb=entry.reb,
            vendor=layout.vendor,
            kind=entry.layout,
            purpose=entry.purpose,
            serial=entry.serial,
            width=layout.detector[0],
            height=layout.detector[1],
            amplifiers=layouts[entry.layout],
            parts=parts,
            place=Place(*(entry.at or (0.0, 0.0)), entry.yaw, self._file.pixel_mm),
            former_serials=entry.former_serials,
        )

    def _amplifiers(self, kind: str, layout: Layout) -> tuple[Amplifier, ...]:
        field = f"layouts.{kind}"
        amps = []
        for entry in layout.amplifiers:
            amp = _amplifier(entry, layout)
            self._check_sections(f"{field}.{amp.name}", amp, layout)
            amps.append(amp)
        names = [amp.name for amp in amps]
        if len(set(names)) != len(names):
            raise self._fail(f"{field}.amplifiers", "two amplifiers have the same name")
        self._check_tiling(f"{field}.amplifiers", layout, amps)
        self._check_apart(
            f"{field}.amplifiers", amps, lambda a: a.hdu_box, lambda a, b: a.hdu == b.hdu
        )
        return tuple(amps)

    def _check_sections(self, field: str, amp: Amplifier, layout: Layout) -> None:
        rows, columns = amp.raw_shape
        if (columns, rows) != layout.raw:
            raise self._fail(
                f"{field}.hdu_box", f"must be {layout.raw[0]} x {layout.raw[1]} pixels"
            )
        sections = {
            "data": amp.data,
            "serial_overscan": amp.serial_overscan,
            "parallel_overscan": amp.parallel_overscan,
        }
        for name, box in sections.items():
            if box.x1 > columns or box.y1 > rows:
                raise self._fail(
                    f"{field}.{name}", f"reaches beyond the raw {columns} x {rows} pixels"
                )
        if not amp.data.area:
            raise self._fail(f"{field}.data", "is empty")
        serial, parallel = amp.serial_overscan, amp.parallel_overscan
        if serial.area and (serial.y0, serial.height) != (0, rows):
            raise self._fail(f"{field}.serial_overscan", f"must span all {rows} rows")
        if parallel.area and (parallel.x0, parallel.width) != (amp.data.x0, amp.data.width):
            raise self._fail(f"{field}.parallel_overscan", "must span the data columns exactly")
        boxes = list(sections.items())
        for i, (name, box) in enumerate(boxes):
            for other, other_box in boxes[:i]:
                if _overlap(box, other_box):
                    raise self._fail(f"{field}.{name}", f"overlaps {other}")

    def _check_tiling(self, field: str, layout: Layout, amps: list[Amplifier]) -> None:
        width, height = layout.detector
        for amp in amps:
            if amp.bbox.x1 > width or amp.bbox.y1 > height:
                raise self._fail(
                    f"{field}.{amp.name}.at", f"reaches beyond the {width} x {height} detector"
                )
        self._check_apart(field, amps, lambda a: a.bbox, lambda _a, _b: True)
        area = sum(amp.bbox.area for amp in amps)
        if area != width * height:
            raise self._fail(field, f"cover {area} pixels of a detector of {width * height}")

    def _check_apart(
        self,
        field: str,
        amps: list[Amplifier],
        box: Callable[[Amplifier], Box],
        together: Callable[[Amplifier, Amplifier], bool],
    ) -> None:
        for i, amp in enumerate(amps):
            for other in amps[:i]:
                if together(amp, other) and _overlap(box(amp), box(other)):
                    raise self._fail(field, f"{other.name} and {amp.name} overlap")


def _amplifier(entry: AmplifierEntry, layout: Layout) -> Amplifier:
    data = (entry.data or layout.data).box()
    return Amplifier(
        name=entry.name,
        hdu=str(entry.hdu),
        hdu_box=entry.hdu_box.box() if entry.hdu_box else Box(0, 0, *layout.raw),
        hdu_flip_x="x" in entry.hdu_flip,
        hdu_flip_y="y" in entry.hdu_flip,
        data=data,
        serial_overscan=(entry.serial_overscan or layout.serial_overscan).box(),
        parallel_overscan=(entry.parallel_overscan or layout.parallel_overscan).box(),
        bbox=Box(*entry.at, data.width, data.height),
        flip_x="x" in entry.flip,
        flip_y="y" in entry.flip,
        nominal_gain=entry.gain if entry.gain is not None else layout.gain,
        nominal_read_noise=(
            entry.read_noise if entry.read_noise is not None else layout.read_noise
        ),
    )


def _overlap(a: Box, b: Box) -> bool:
    if not (a.area and b.area):
        return False
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
