"""Reading limits files, and finding which limits apply to one part at one time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from pydantic import ValidationError

from calwatch.errors import LimitsError
from calwatch.verify.limits_schema import (
    AlarmPersistence,
    Bound,
    LimitEntry,
    LimitsFile,
    Override,
    TestSpec,
    offsets,
    title_of,
)
from calwatch.verify.metrics import Level
from calwatch.yaml_file import YamlFile, YamlFileError, parse_yaml

_DIGITS = 12
_REMEMBERED = 32
"""Kinds of exposures of which the tests are remembered; one exposure needs two or three."""

_Kind = tuple[str, Level, datetime | None, str]
"""What decides which tests an exposure has: type, level, time and observation reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is judged: an amplifier, a detector, or (with neither) a whole exposure."""

    instrument: str
    detector: int | None = None
    detector_name: str = ""
    amp: str = ""


@dataclass(frozen=True, slots=True)
class ActiveTest:
    """One test with the limits in force for one part."""

    spec: TestSpec
    warning: Bound | None
    serious: Bound | None
    counts: bool
    section: str
    """DMTN-101 section for the calibration type judged; may be empty."""
    note: str = ""
    """Why the limits are not the usual ones; empty where they are."""
    bounds: tuple[tuple[str, float | None, float | None], ...] = field(
        init=False, compare=False, repr=False
    )
    """Of each limit, the gravest first: severity, and the offsets below and above it stands for."""

    def __post_init__(self) -> None:
        levels = (("serious", self.serious), ("warning", self.warning))
        bounds = tuple((s, *offsets(self.spec, b)) for s, b in levels if b is not None)
        object.__setattr__(self, "bounds", bounds)  # as a frozen dataclass sets its own fields


@dataclass(frozen=True, slots=True)
class Limits:
    """A checked limits file."""

    profile: str
    version: str
    description: str
    tests: tuple[TestSpec, ...]
    source: str
    """The file it came from."""
    digest: str = field(default="", compare=False)
    """Short hash of what it says: equal limits have equal ones, wherever they lie."""
    _remembered: dict[_Kind, tuple[ActiveTest, ...]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def label(self) -> str:
        """Profile and version, such as ``dmtn101 2026-11-22``."""
        return f"{self.profile} {self.version}"

    def alarm_persistence(self, calib_type: str, test: str) -> AlarmPersistence:
        """Return what a test asks for to raise and clear an alarm; nothing if it is unknown."""
        for spec in self.tests:
            if spec.name == test and calib_type in spec.calib_types:
                return spec.alarm
        return AlarmPersistence()

    def active(
        self,
        calib_type: str,
        level: Level,
        part: Part,
        at: datetime | None,
        observation_reason: str = "",
    ) -> Iterator[ActiveTest]:
        """Yield the tests in force for one part of one exposure, in the file's order.

        Parameters
        ----------
        calib_type
            ``bias``, ``dark`` or ``flat``.
        level
            Which tests: those of amplifiers, of the detector or of the exposure.
        part
            Decides which overrides apply; the last that applies wins, field by field.
        at
            End of the exposure, aware. None (the exposure has no time) takes the latest limits and
            only overrides without dates. A test whose first entry begins later is left out.
        observation_reason
            Such as ``daily_flat``: tests that except it are left out.
        """
        for test in self._usual((calib_type, level, at, observation_reason)):
            yield _overridden(test, part, at) if test.spec.overrides else test

    def _usual(self, kind: _Kind) -> tuple[ActiveTest, ...]:
        """Return the tests of one kind of exposure without overrides, made once.

        All amplifiers of a camera share them: a focal plane has thousands, and one exposure.
        """
        found = self._remembered.get(kind)
        if found is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._remembered[kind] = tuple(_usual_tests(self.tests, *kind))
        return found


def _usual_tests(
    specs: tuple[TestSpec, ...],
    calib_type: str,
    level: Level,
    at: datetime | None,
    observation_reason: str,
) -> Iterator[ActiveTest]:
    for spec in specs:
        if calib_type not in spec.calib_types or spec.level != level:
            continue
        if any(fnmatch(observation_reason.lower(), p) for p in spec.except_reasons):
            continue
        entry = _entry_at(spec.limits, at)
        if entry is not None:
            section = spec.section_of(calib_type)
            yield ActiveTest(spec, entry.warning, entry.serious, spec.counts, section)


def _entry_at(entries: tuple[LimitEntry, ...], at: datetime | None) -> LimitEntry | None:
    """Return the last entry that has begun."""
    if at is None:
        return entries[-1]
    begun = [entry for entry in entries if entry.from_ is None or entry.from_ <= at]
    return begun[-1] if begun else None


def in_force(
    spec: TestSpec, part: Part, at: datetime | None
) -> tuple[LimitEntry | None, tuple[Override, ...]]:
    """Return where the limits of a test for one part come from: `Limits.active`, in its pieces.

    Parameters
    ----------
    spec
        The test.
    part, at
        As for `Limits.active`.

    Returns
    -------
    tuple
        The entry that has begun (None: none has), and the overrides that apply, in order.
    """
    overrides = tuple(o for o in spec.overrides if _applies(o, part, at))
    return _entry_at(spec.limits, at), overrides


def _overridden(test: ActiveTest, part: Part, at: datetime | None) -> ActiveTest:
    warning, serious, counts = test.warning, test.serious, test.counts
    notes = []
    for override in test.spec.overrides:
        if not _applies(override, part, at):
            continue
        warning = override.warning if override.warning is not None else warning
        serious = override.serious if override.serious is not None else serious
        counts = override.counts if override.counts is not None else counts
        notes.append(override.reason)
    if not notes:
        return test
    return ActiveTest(test.spec, warning, serious, counts, test.section, "; ".join(notes))


def _applies(override: Override, part: Part, at: datetime | None) -> bool:
    if override.instrument != part.instrument:
        return False
    if override.detectors and not {part.detector, part.detector_name} & set(override.detectors):
        return False
    if override.amps and part.amp not in override.amps:
        return False
    if at is None:
        return override.from_ is None and override.until is None
    return (override.from_ is None or override.from_ <= at) and (
        override.until is None or at < override.until
    )


def shipped_profiles() -> tuple[str, ...]:
    """Return the names of the profiles that come with calwatch."""
    return tuple(sorted(path.stem for path in shipped_directory().glob("*.yaml")))


def shipped_directory() -> Path:
    """Return the directory of the shipped profiles.

    It is ``limits`` inside an installed package and ``config/limits`` in a checkout.

    Raises
    ------
    LimitsError
        If neither is there.
    """
    package = Path(__file__).resolve().parent.parent
    places = (package / "limits", package.parent.parent / "config" / "limits")
    for place in places:
        if place.is_dir():
            return place
    tried = " and ".join(map(str, places))
    raise LimitsError(f"the shipped limits are in neither {tried}")


def load_limits(name_or_path: str | Path) -> Limits:
    """Read and check limits: a shipped profile by name, or any file by its path.

    Raises
    ------
    LimitsError
        With every mistake found in the file, one a line, each naming the file, the test, the field
        and what was expected.
    """
    path = _path_of(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LimitsError(f"{path}: cannot be read: {error}") from error
    try:
        file = parse_yaml(text)
    except YamlFileError as error:
        raise LimitsError(f"{path}: {error}") from error
    content = file.content
    if not isinstance(content, dict):
        raise LimitsError(f"{path}: expected profile, version, description and tests")
    try:
        checked = LimitsFile.model_validate(content)
    except ValidationError as error:
        raise LimitsError("\n".join(_problems(path, file, error))) from error
    about = (checked.profile, checked.version, checked.description)
    return Limits(*about, checked.tests, str(path), _digest(checked))


def _digest(checked: LimitsFile) -> str:
    content = json.dumps(checked.model_dump(mode="json", by_alias=True), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]


def _path_of(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix or len(path.parts) != 1 or path.exists():
        return path
    shipped = shipped_directory() / f"{path.name}.yaml"
    if not shipped.is_file():
        known = ", ".join(shipped_profiles())
        raise LimitsError(f"no limits profile {path.name!r} (known: {known}; or give a file)")
    return shipped


_UNION_TAGS = {"float", "int", "str", "Sides"}


def _problems(path: Path, file: YamlFile, error: ValidationError) -> Iterable[str]:
    """Turn pydantic's findings into lines that name file, line, test, field and expectation."""
    lines: dict[str, None] = {}
    for found in error.errors(include_url=False):
        where = [str(step) for step in found["loc"] if step not in _UNION_TAGS]
        title = ""
        tests = file.content.get("tests")
        line = file.line(found["loc"]) or 1
        if len(where) > 1 and where[0] == "tests" and isinstance(tests, list):
            index = int(where[1])
            title = f"test {index + 1} ({title_of(tests[index])}): "
            where = where[2:]
        place = ".".join(where)
        message = found["msg"].removeprefix("Value error, ")
        given = "" if isinstance(found["input"], dict | list) else f", got {found['input']!r}"
        if found["type"] in ("value_error", "missing"):
            given = ""
        for part in message.split("; ") if found["type"] == "value_error" else [message]:
            text = f"{place}: {part}" if place else part
            lines[f"{path}:{line}: {title}{text}{given}"] = None
    return list(lines)
