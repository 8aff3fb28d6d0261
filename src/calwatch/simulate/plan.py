"""What a simulation is to hold, and the exposures that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.errors import StopError
from calwatch.simulate.faults import Fault, parse_fault
from calwatch.simulate.model import CONTROLLER, SimulatedExposure

FIRST_DAY = date(2026, 3, 1)
"""day_obs of the first calibration session."""

DAYS_TO_NIGHTS = 7
"""Days from the first calibration session to the eve of the first night."""

FLAT_ELECTRONS = 50_000.0
"""Level of the flats, e-. Below about 30 ke- the noise of the certified flat outweighs the
brighter-fatter effect, and the noise of a good flat exceeds the square root of its mean."""

FLAT_RATE = 5_000.0
"""e-/s of the flat lamp at the centre of a detector, in every filter."""

SPOT_ELECTRONS = 60_000.0
"""e- in a spot of light."""

SPOT_BACKGROUND = 500.0
"""e- beside the spots."""

RAMP_RANGE = (800.0, 110_000.0)
"""Levels of the faintest and brightest flat pair, e-; less where the converter rails before."""

RAMP_HEADROOM = 32_000
"""ADU that the bias level, and scatter of gain and light, take from a converter's range."""

DEFAULT_FILTERS = {
    "LATISS": ("SDSSr_65mm~empty",),
    "LSSTComCam": ("r_03",),
    "LSSTCam": ("i_39",),
}

DAILY_PROGRAM = "BLOCK-T664"
"""Program of the nights' exposures; those of the calibration sessions have another."""

SESSION_TYPES = ("bias", "dark", "flat")
"""Types that a calibration session takes, in order."""

_EVENING_UTC_HOUR = 19.0
_SESSION_UTC_HOUR = 22.0
_TAI_MINUS_UTC = 37.0
_MJD_OF_ORDINAL = 678_576
_OVERHEAD_SECONDS = 5.0
_SECOND_SESSION_FIRST_SEQ = 1001
_MAX_DETECTORS_BY_DEFAULT = 9


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """Everything that decides what `calwatch.simulate.repository.simulate` makes."""

    root: str
    instrument: str
    camera: str = ""
    """A camera file; the built-in camera of the instrument if empty."""
    detectors: tuple[int | str, ...] = ()
    """Numbers or names; all of them if empty and the camera has no more than nine."""
    nights: int = 2
    seed: int = 1
    faults: tuple[str, ...] = ()
    """Specifications of `calwatch.simulate.faults`."""
    biases: int = 3
    darks: int = 3
    flats: int = 3
    """Exposures of each kind in one night; flats in each filter."""
    pairs: int = 0
    """Pairs of flats of a nightly photon transfer curve."""
    spots: int = 0
    """Flats with spots of light in one night, for crosstalk."""
    photodiode: bool = True
    """Write what the photodiode sees of the flats of a night, if the camera has one."""
    filters: tuple[str, ...] = ()
    dark_time: float = 30.0
    """Seconds, of the daily darks."""
    calib_biases: int = 20
    calib_darks: int = 12
    calib_flats: int = 20
    """Exposures from which certified calibrations are built, in each session."""
    calib_dark_time: float = 120.0
    """Seconds: few long darks give as little noise as many short ones."""
    ramp_pairs: int = 12
    """Pairs of flats from which PTC and linearizer are measured."""
    second_generation: tuple[str, ...] = ("bias", "dark", "flat")
    """Types that the second session makes anew."""
    compress: bool = True
    """Compress certified images without loss; without it they are larger and sooner written."""
    processes: int = 2

    def check(self) -> None:
        """Refuse what cannot be simulated.

        Raises
        ------
        StopError
            If a count is out of range; the message names the option.
        """
        least = {
            "nights": 0,
            "biases": 0,
            "darks": 0,
            "flats": 0,
            "pairs": 0,
            "spots": 0,
            "calib_biases": 2,
            "calib_darks": 2,
            "calib_flats": 2,
            "ramp_pairs": 4,
            "processes": 1,
            "seed": 0,
        }
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise StopError(f"{name.replace('_', '-')} must be at least {minimum}")
        for name in ("dark_time", "calib_dark_time"):
            if not 0 < getattr(self, name) < 3600:
                raise StopError(f"{name.replace('_', '-')} must lie between 0 and 3600 s")
        unknown = set(self.second_generation) - set(SESSION_TYPES)
        if unknown or not self.second_generation:
            raise StopError(
                f"second-generation must name one at least of {', '.join(SESSION_TYPES)}, "
                f"got {', '.join(self.second_generation) or 'none'}"
            )
        if not Path(self.root).name:
            raise StopError("name the directory of the repository")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SimulationPlan:
        """Rebuild what `to_dict` gave."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)

    @property
    def switch_night(self) -> int:
        """First night on which the second generation is in force."""
        return self.nights // 2 + 1


@dataclass(frozen=True, slots=True)
class Setup:
    """A plan with everything it names looked up."""

    plan: SimulationPlan
    camera: Camera
    detectors: tuple[Detector, ...]
    filters: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def root(self) -> Path:
        """Directory of the repository."""
        return Path(self.plan.root)


def set_up(plan: SimulationPlan) -> Setup:
    """Look up all a plan names.

    Raises
    ------
    StopError
        If an instrument, detector, filter or fault is not known, or a count is out of range.
    """
    plan.check()
    camera = load_camera(plan.camera or plan.instrument)
    if camera.instrument != plan.instrument:
        raise StopError(f"{plan.camera} describes {camera.instrument}, not {plan.instrument!r}")
    wanted: Sequence[int | str] = plan.detectors
    if not wanted:
        if len(camera.detectors) > _MAX_DETECTORS_BY_DEFAULT:
            raise StopError(
                f"{camera.instrument} has {len(camera.detectors)} detectors: say which, or all"
            )
        wanted = [det.number for det in camera.detectors]
    detectors = tuple(dict.fromkeys(camera.detector(which) for which in wanted))
    filters = plan.filters or _default_filters(camera)
    for name in filters:
        if camera.filters and name not in camera.filters:
            raise StopError(
                f"{camera.instrument} has no filter {name!r}; known: {', '.join(camera.filters)}"
            )
    faults = tuple(parse_fault(spec, camera, detectors) for spec in plan.faults)
    return Setup(plan, camera, detectors, tuple(filters), faults)


def _default_filters(camera: Camera) -> tuple[str, ...]:
    if camera.instrument in DEFAULT_FILTERS:
        return DEFAULT_FILTERS[camera.instrument]
    banded = [name for name, band in camera.filters.items() if band]
    return tuple(banded[-1:] or list(camera.filters)[:1] or ["clear"])


def day_of(night: int) -> date:
    """Return the day_obs of a night, from 1."""
    return FIRST_DAY + timedelta(days=DAYS_TO_NIGHTS + night)


def first_session(setup: Setup) -> list[SimulatedExposure]:
    """Exposures of the first calibration session: bias, dark, flats, and a ramp of flat pairs."""
    plan = setup.plan
    clock = _Clock(setup, FIRST_DAY, _EVENING_UTC_HOUR, 1, "generation 1", 0)
    exposures = list(_build_sets(setup, clock, SESSION_TYPES))
    return exposures + _ramp(setup, clock, plan.ramp_pairs, "build_ptc")


def _ramp(setup: Setup, clock: _Clock, pairs: int, reason: str) -> list[SimulatedExposure]:
    """Take pairs of flats from faint to bright."""
    low, high = RAMP_RANGE[0], _brightest(setup)
    step = (high / low) ** (1.0 / max(pairs - 1, 1))
    exposures: list[SimulatedExposure] = []
    for pair in range(pairs):
        seconds = low * step**pair / FLAT_RATE
        exposures += clock.take("flat", 2, reason, seconds, FLAT_RATE * seconds, setup.filters[0])
    return exposures


def _brightest(setup: Setup) -> float:
    """Level of the brightest pair of the ramp, e-: what every converter can still count."""
    top = (1 << min(int(setup.camera.raw_layout.get("bitpix", 32)), 18)) - RAMP_HEADROOM
    gain = min(amp.nominal_gain for det in setup.detectors for amp in det.amplifiers)
    return min(RAMP_RANGE[1], max(top * gain, 2.0 * RAMP_RANGE[0]))


def second_session(setup: Setup) -> list[SimulatedExposure]:
    """Exposures of the second calibration session, on the eve of its first night."""
    plan = setup.plan
    day = day_of(plan.switch_night) - timedelta(days=1)
    clock = _Clock(setup, day, _SESSION_UTC_HOUR, _SECOND_SESSION_FIRST_SEQ, "generation 2", 0)
    return list(_build_sets(setup, clock, plan.second_generation))


def night_exposures(setup: Setup, night: int) -> list[SimulatedExposure]:
    """Daily set of one night, from 1: biases, darks, flats in each filter, pairs, spots."""
    plan = setup.plan
    clock = _Clock(setup, day_of(night), _EVENING_UTC_HOUR, 1, f"night {night}", night)
    exposures = clock.take("bias", plan.biases, "daily_bias", 0.0, 0.0, setup.filters[0])
    exposures += clock.take("dark", plan.darks, "daily_dark", plan.dark_time, 0.0, setup.filters[0])
    for name in setup.filters:
        seconds = FLAT_ELECTRONS / FLAT_RATE
        exposures += clock.take("flat", plan.flats, "daily_flat", seconds, FLAT_ELECTRONS, name)
    exposures += _ramp(setup, clock, plan.pairs, "daily_ptc")
    seconds = SPOT_BACKGROUND / FLAT_RATE
    spots = clock.take(
        "flat", plan.spots, "daily_crosstalk", seconds, SPOT_BACKGROUND, setup.filters[0]
    )
    return exposures + [replace(exposure, spots=SPOT_ELECTRONS) for exposure in spots]


def _build_sets(setup: Setup, clock: _Clock, types: Sequence[str]) -> Iterator[SimulatedExposure]:
    plan = setup.plan
    first = setup.filters[0]
    if "bias" in types:
        yield from clock.take("bias", plan.calib_biases, "build_bias", 0.0, 0.0, first)
    if "dark" in types:
        seconds = plan.calib_dark_time
        yield from clock.take("dark", plan.calib_darks, "build_dark", seconds, 0.0, first)
    for name in setup.filters if "flat" in types else ():
        seconds = FLAT_ELECTRONS / FLAT_RATE
        yield from clock.take("flat", plan.calib_flats, "build_flat", seconds, FLAT_ELECTRONS, name)


class _Clock:
    """Numbers and times the exposures of one session in the order they are taken."""

    def __init__(
        self, setup: Setup, day: date, utc_hour: float, first_seq: int, session: str, night: int
    ) -> None:
        self._camera = setup.camera
        self._day_obs = int(day.strftime("%Y%m%d"))
        self._seq = first_seq
        self._session = session
        self._night = night
        midnight = day.toordinal() - _MJD_OF_ORDINAL
        self._mjd = midnight + utc_hour / 24.0 + _TAI_MINUS_UTC / 86_400.0

    def take(
        self,
        kind: str,
        count: int,
        reason: str,
        seconds: float,
        electrons: float,
        physical_filter: str,
    ) -> list[SimulatedExposure]:
        """Take a set of equal exposures."""
        return [
            self._one(kind, reason, seconds, electrons, physical_filter, current, count)
            for current in range(1, count + 1)
        ]

    def _one(
        self,
        kind: str,
        reason: str,
        seconds: float,
        electrons: float,
        physical_filter: str,
        current: int,
        maximum: int,
    ) -> SimulatedExposure:
        day, seq = self._day_obs, self._seq
        dark_time = seconds + (0.05 if kind == "bias" else 0.01)
        exposure = SimulatedExposure(
            exposure_id=day * 100_000 + seq,
            obs_id=f"{self._camera.camera_code}_{CONTROLLER}_{day}_{seq:06d}",
            day_obs=day,
            seq_num=seq,
            observation_type=kind,
            reason=reason,
            program=DAILY_PROGRAM if self._night else "BLOCK-T400",
            group=f"{day}_{seq:06d}",
            physical_filter=physical_filter,
            band=self._camera.filters.get(physical_filter, ""),
            exposure_time=seconds,
            dark_time=dark_time,
            begin_mjd=self._mjd,
            electrons=electrons,
            session=self._session,
            night=self._night,
            current=current,
            maximum=maximum,
        )
        self._seq += 1
        self._mjd += (dark_time + _OVERHEAD_SECONDS) / 86_400.0
        return exposure
