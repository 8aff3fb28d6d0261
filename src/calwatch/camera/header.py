"""What a raw header says, in the field's terms (rules of obs_lsst ``translators/``).

Nothing here raises on a bad header: a number that is missing or not finite is NaN, a count that
makes no sense is None, a word that is missing is empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from calwatch.camera.model import Camera, Detector

CONTROLLERS = "OCHPQS"
"""Controllers in the order that numbers them (obs_lsst ``translators/lsst.py``)."""

_OBSID = re.compile(r"^[A-Z]{2}_([A-Z])_(\d{8})_(\d{1,6})$")
_CALIBRATION_WORD = re.compile(r"bias|dark|flat")
_MJD_EPOCH = datetime(1858, 11, 17)
_SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """The facts of one raw header."""

    instrument: str
    """Butler instrument name if the header's word is one of the camera's, else that word."""
    obs_id: str
    controller: str
    day_obs: int | None
    """YYYYMMDD."""
    seq_num: int | None
    exposure_id: int | None
    observation_type: str
    """Lower case; ``unknown`` if the header does not say."""
    test_type: str
    reason: str
    exposure_time: float
    """Seconds."""
    dark_time: float
    """Seconds."""
    physical_filter: str
    band: str
    program: str
    begin_tai: float
    """MJD."""
    end_tai: float
    """MJD."""
    detector_name: str
    """From raft and slot, else from the serial number, else that of a camera's only detector."""
    serial: str
    vendor: str
    sequencer: Mapping[str, Any]
    """Those of the camera's sequencer keywords that have a value."""


def translate(header: Mapping[str, Any], camera: Camera) -> HeaderFacts:
    """Return what a raw header says, by the camera's keywords and rules."""
    words = _Words(header, camera)
    obs_id = words.text("obs_id")
    match = _OBSID.match(obs_id)
    from_id = match.groups() if match else ("", "", "")
    controller = words.text("controller") or from_id[0]
    day_obs = _day(words.first("day_obs") or from_id[1])
    seq_num = _count(words.first("seq_num"))
    if seq_num is None:
        seq_num = _count(from_id[2])
    exposure_time = _exposure_time(words)
    observation_type = _observation_type(words, exposure_time)
    physical_filter = _physical_filter(words, camera, observation_type)
    begin = _first_mjd(words, "begin", header)
    end = _first_mjd(words, "end", header)
    if math.isnan(end) and not math.isnan(exposure_time):
        end = begin + exposure_time / _SECONDS_PER_DAY
    return HeaderFacts(
        instrument=_instrument(words, camera),
        obs_id=obs_id,
        controller=controller,
        day_obs=day_obs,
        seq_num=seq_num,
        exposure_id=exposure_id(day_obs, seq_num, controller, camera),
        observation_type=observation_type,
        test_type=words.text("test_type").lower(),
        reason=words.text("reason").lower(),
        exposure_time=exposure_time,
        dark_time=_dark_time(words, camera, exposure_time),
        physical_filter=physical_filter,
        band=camera.filters.get(physical_filter, words.text("band").lower()),
        program=words.text("program"),
        begin_tai=begin,
        end_tai=end,
        detector_name=_detector_name(words, camera),
        serial=words.text("serial"),
        vendor=words.text("vendor"),
        sequencer={
            key: header[key] for key in camera.sequencer_keywords if header.get(key) is not None
        },
    )


def exposure_id(
    day_obs: int | None, seq_num: int | None, controller: str, camera: Camera
) -> int | None:
    """Return the Butler exposure id, or None if the facts do not give one.

    DAYOBS × 100000 + SEQNUM; for a controller that kept its own count at the time, the year is
    shifted by 1000 × the controller's index (obs_lsst ``compute_exposure_id``).
    """
    if day_obs is None or seq_num is None or seq_num >= 100_000:
        return None
    if controller and controller not in camera.controllers:
        return None
    since: Mapping[str, int] = camera.header_rules.get("plain_exposure_id_since", {})
    shift = 0
    if controller and day_obs < since.get(controller, 99991231):
        shift = camera.controllers.index(controller) * 10_000_000
    return (day_obs + shift) * 100_000 + seq_num


def unpack_exposure_id(exposure: int) -> tuple[int, int, str]:
    """Return day_obs, sequence number and controller of a Rubin exposure id.

    Without a shift of years the controller is ``O`` (obs_lsst ``unpack_exposure_id``).

    Raises
    ------
    ValueError
        If the id is not of this form.
    """
    day, seq_num = divmod(exposure, 100_000)
    index = day // 10_000_000 - 2
    day_obs = _day(day - index * 10_000_000)
    if not 0 <= index < len(CONTROLLERS) or day_obs is None:
        raise ValueError(f"{exposure} is not an exposure id of the form YYYYMMDDnnnnn")
    return day_obs, seq_num, CONTROLLERS[index]


def detector_exposure_id(day_obs: int, seq_num: int, controller: str, detector: int) -> int:
    """Return the packed detector-exposure id, which seeds the dither (obs_lsst ``_packer.py``).

    The stack packs what `unpack_exposure_id` gives: for an exposure id without a shift of years
    the controller is ``O``, whatever the OBSID says. A controller of another camera's own counts
    as ``O`` too. (The seed is the low 32 bits, which the controller does not reach.)

    Raises
    ------
    ValueError
        If day_obs is no date.
    """
    day = date(day_obs // 10000, day_obs // 100 % 100, day_obs % 100)
    days = day.toordinal() - date(2010, 1, 1).toordinal()
    controller_index = max(CONTROLLERS.find(controller), 0)
    return detector + 256 * (seq_num + 32768 * (days + 16384 * controller_index))


def contradictions(
    facts: HeaderFacts | Mapping[str, Any],
    camera: Camera,
    detector: Detector,
    observation_type: str,
) -> tuple[str, ...]:
    """Return where a raw header contradicts itself, the Butler or the camera.

    These are worth a mention; none decides a verdict. The Butler's observation type does that.

    Parameters
    ----------
    facts
        What `translate` gave, or the header itself.
    observation_type
        As the Butler's exposure record has it.
    """
    if not isinstance(facts, HeaderFacts):
        facts = translate(facts, camera)
    return (
        *_contradictions_of_type(facts, observation_type.lower()),
        *_contradictions_of_place(facts, camera, detector),
    )


def _contradictions_of_type(facts: HeaderFacts, observation_type: str) -> Iterator[str]:
    said = facts.observation_type
    if said not in ("unknown", observation_type):
        yield f"the header says it is a {said}, the Butler says {observation_type}"
    calibration_types = ("bias", "dark", "flat")
    if said in calibration_types and facts.test_type:
        test_words = set(_CALIBRATION_WORD.findall(facts.test_type))
        if test_words and said not in test_words:
            yield f"IMGTYPE is {said} but TESTTYPE is {facts.test_type}"
        elif "persistence" in facts.test_type:
            yield f"the {said} was taken in a test of persistence (TESTTYPE {facts.test_type})"
    if said == "bias" and facts.exposure_time > 0:
        yield f"a bias with an exposure time of {facts.exposure_time:g} s"
    if said in ("dark", "flat") and facts.exposure_time == 0:
        yield f"a {said} with an exposure time of 0 s"
    if facts.end_tai < facts.begin_tai:
        yield "the exposure ends before it begins"


def _contradictions_of_place(
    facts: HeaderFacts, camera: Camera, detector: Detector
) -> Iterator[str]:
    if facts.instrument and facts.instrument != camera.instrument:
        yield f"the header is of instrument {facts.instrument}, not {camera.instrument}"
    if facts.detector_name and facts.detector_name != detector.name:
        yield f"the header is of detector {facts.detector_name}, not {detector.name}"
    if facts.serial in detector.former_serials:
        yield f"the CCD is {facts.serial}, which {detector.serial} has replaced"
    elif facts.serial and detector.serial and facts.serial != detector.serial:
        yield f"the CCD is {facts.serial}, not {detector.serial}"
    if facts.vendor and facts.vendor.upper() != detector.vendor.upper():
        yield f"the CCD is made by {facts.vendor}, not {detector.vendor}"
    match = _OBSID.match(facts.obs_id)
    if match:
        said = (facts.controller, facts.day_obs, facts.seq_num)
        if said != (match[1], int(match[2]), int(match[3])):
            yield f"OBSID {facts.obs_id} does not agree with its controller, day and number"


class _Words:
    """Access to a header by fact, trying the camera's keywords in order."""

    def __init__(self, header: Mapping[str, Any], camera: Camera) -> None:
        self._header = header
        self._keywords = camera.keywords

    def items(self, fact: str) -> Iterator[tuple[str, Any]]:
        """Yield every (keyword, value) of a fact, None for a keyword without a value."""
        for keyword in self._keywords.get(fact, ()):
            value = self._header.get(keyword)
            if isinstance(value, str):
                value = value.strip() or None
            yield keyword, value

    def values(self, fact: str) -> list[Any]:
        """Return the values of a fact that are defined."""
        return [value for _, value in self.items(fact) if value is not None]

    def first(self, fact: str) -> Any:
        """Return the first value that is defined, else None."""
        return next(iter(self.values(fact)), None)

    def text(self, fact: str) -> str:
        """Return the first defined value as text, else an empty string."""
        value = self.first(fact)
        return "" if value is None else str(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number >= 0 and number.is_integer() else None


def _day(value: Any) -> int | None:
    text = str(value).partition("T")[0].replace("-", "")
    if not re.fullmatch(r"[0-9]{8}", text):
        return None
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return None
    return int(text)


def _instrument(words: _Words, camera: Camera) -> str:
    word = words.text("instrument")
    known = {other.lower() for other in camera.instrument_words}
    return camera.instrument if word.lower() in known else word


def _exposure_time(words: _Words) -> float:
    """Return the first time above zero, else the last that is a time at all."""
    times = [number for value in words.values("exposure_time") if (number := _number(value)) >= 0]
    return next((time for time in times if time > 0), times[-1] if times else math.nan)


def _dark_time(words: _Words, camera: Camera, exposure_time: float) -> float:
    """Return the dark time; a missing one is the exposure time, a NaN one stays NaN."""
    value = words.first("dark_time")
    if value is None:
        return exposure_time
    dark_time = _number(value)
    if dark_time < 0:
        return math.nan
    if camera.header_rules.get("dark_time_at_least_exposure") and dark_time < exposure_time:
        return exposure_time
    return dark_time


def _observation_type(words: _Words, exposure_time: float) -> str:
    word = words.text("observation_type").lower()
    if not word:
        return "bias" if exposure_time == 0 else "unknown"
    return "science" if word in ("object", "skyexp") else word


def _physical_filter(words: _Words, camera: Camera, observation_type: str) -> str:
    rule = camera.header_rules["filter"]
    parts = []
    for index, (_, value) in enumerate(words.items("physical_filter")):
        if value is not None:
            part = str(value)
        elif not rule["all_keywords"]:
            continue
        else:
            nothing_due = index == 0 and observation_type in ("bias", "dark")
            part = "none" if nothing_due else "unknown"
        for word in rule["collapse"]:
            if re.fullmatch(rf"{re.escape(word)}_?\d*", part.lower()):
                part = word
        parts.append("none" if part == "NONE" else part)
    while len(parts) > 1 and parts[-1] == rule["drop_trailing"]:
        parts.pop()
    return str(rule["join"]).join(parts) or "unknown"


def _first_mjd(words: _Words, fact: str, header: Mapping[str, Any]) -> float:
    """Return the first value that is a time, as MJD in TAI."""
    utc = str(header.get("TIMESYS") or "").strip().upper() == "UTC"
    for value in words.values(fact):
        mjd = _mjd(value)
        if not math.isnan(mjd):
            return _utc_to_tai(mjd) if utc else mjd
    return math.nan


def _mjd(value: Any) -> float:
    number = _number(value)
    if not math.isnan(number):
        return number
    try:
        moment = datetime.fromisoformat(str(value).rstrip("Zz"))
    except ValueError:
        return math.nan
    return (moment.replace(tzinfo=None) - _MJD_EPOCH).total_seconds() / _SECONDS_PER_DAY


def _utc_to_tai(mjd: float) -> float:
    from astropy.time import Time

    try:
        return float(Time(mjd, format="mjd", scale="utc").tai.mjd)
    except ValueError:
        return math.nan


def _detector_name(words: _Words, camera: Camera) -> str:
    raft, slot = words.text("raft"), words.text("slot")
    if not (raft and slot):
        serial = words.text("serial")
        known = [det.name for det in camera.detectors if serial and det.serial == serial]
        only = [det.name for det in camera.detectors] if len(camera.detectors) == 1 else []
        return next(iter(known + only), "")
    for name, other_words in camera.raft_words.items():
        if raft in other_words:
            raft = name
    return f"{raft}_{slot}"
