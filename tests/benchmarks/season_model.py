"""A camera in numbers: what a healthy LSSTCam measures, drawn amplifier by amplifier.

The model, and where its numbers come from. "SITCOMTN-148" is the camera team's own test report.

* Certified values: gain 1.48 and 1.67 e-/ADU, read noise 5.32 and 6.26 e- (E2V, ITL; medians of
  SITCOMTN-148), scattered by 2 % and 5 % from amplifier to amplifier.
* Certified against true: noise 0.5 % (1σ); the gain is the certified one by definition, since the
  certified flat was made with it. Two analyses of one camera run differ by 0.27 %.
* From day to day: noise and gain walk at random by as much as from one camera run to the next, a
  year later: noise 0.9 % ± 1.8 %, gain ± 0.12 %. The few amplifiers that moved by more than 10 %
  in that year are no walk; they are among the faults. Each readout board moves by 0.1 % a day.
* From exposure to exposure: the statistical error of each number (as `calwatch.verify.statistics`
  has it), and 0.15 % of noise beside it.
* Bias level: 3 ADU from the certified one, a walk of 10 ADU in three years, 0.1 ADU from day to day
  (that of unstable amplifiers moves as their mean does).
* Corrected mean: its statistical error, most of it from the overscans, and a bias structure that
  the correction does not follow. SITCOMTN-148 gives its spread d (5th to 95th percentile of the
  mean): about 0.1 ADU; above 0.3 ADU in 51 of 1872 E2V amplifiers, up to 4 ADU. That was measured
  with the serial overscan corrected and a bias subtracted; here all of it is taken to be left
  though the parallel overscan is corrected too. Half its variance changes from day to day.
* First biases of a sequence: the level is off by several ADU and settles within a few exposures.
  The overscan follows; 2 % of it are left in the mean. Unstable amplifiers are twice as far off.
* Darks: 30 s at 0.025 and 0.021 e-/s, which move by 5 %; their noise is 1.25 % above the expected
  (the noise of the certified bias, which the expected noise leaves out).
* Cosmic rays: 0.03 tracks/s per million pixels, 13 ke- each, one in 10,000 leaves 1e6 e-. In one of
  700 the search leaves part of the track, which widens the noise by 4 % in the median (measured
  with `calwatch.isr.cosmic_rays` on 3364 tracks: two of them beyond 5 %).
* Flats: 20 ke-, lamp 0.5 %, illumination 0.3 % between detectors and 0.1 % within one; variance
  less the brighter-fatter effect (a00 = 3.09e-6 and 1.70e-6 /e-), more the certified flat (5 %).
* One spurious bias shift in 100,000 amplifier biases.

What it does not hold: correlations between amplifiers beside those of a board, changes of
temperature within a day, the pixels themselves. Both filters of the flats are alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import numpy as np

from calwatch.alarms.parts import Parts, amp_part
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Amplifier, Detector
from calwatch.verify.statistics import OVERSCAN_EDGE

INSTRUMENT = "LSSTCam"
KINDS = ("bias", "dark", "flat")
DARK_TIME = 30.0
FLAT_LEVEL = 20_000.0
INPUTS = 20
"""Exposures in a certified calibration."""
SECONDS = {"bias": 1.2, "dark": DARK_TIME + 1.2, "flat": 11.2}
"""Of collecting cosmic rays, half the readout included."""
TRACKS = 0.03e-6
"""Per second and pixel."""
YEAR = 365.0
Array = np.ndarray


class Layout:
    """The amplifiers of some rafts in a row, and which of them are in a part."""

    def __init__(self, rafts: tuple[str, ...] = ()) -> None:
        camera = load_camera(INSTRUMENT)
        self.detectors: list[Detector] = [
            d for d in camera.detectors
            if d.purpose != "GUIDER" and (not rafts or d.raft in rafts)
        ]  # fmt: skip
        self.parts = Parts(replace(camera, detectors=tuple(self.detectors)))
        self.amps: list[tuple[int, Amplifier]] = [
            (i, amp) for i, d in enumerate(self.detectors) for amp in d.amplifiers
        ]
        self.names = [amp_part(self.detectors[i].name, amp.name) for i, amp in self.amps]
        self.of = np.array([i for i, _ in self.amps])
        """Index of each amplifier's detector."""
        self._board = {name: i for i, name in enumerate(sorted({d.reb for d in self.detectors}))}
        self.board = np.array([self._board[self.detectors[i].reb] for i in self.of])
        self.e2v = np.array([self.detectors[i].vendor == "E2V" for i in self.of])

    @cache  # noqa: B019  (there is one layout for the whole run)
    def amps_in(self, part: str) -> Array:
        """Tell which amplifiers belong to a part."""
        return np.array([self.parts.within(name, part) for name in self.names])

    def place(self, chosen: Array) -> Array:
        """Return how far along x each chosen amplifier stands, from 0 to 1: over its own detector,
        or over the focal plane if there are several."""
        along = np.array([a.bbox.x0 / self.detectors[i].width for i, a in self.amps])[chosen]
        if len(set(self.of[chosen])) > 1:
            names = [self.detectors[i].name for i in self.of[chosen]]
            along = along + [3 * int(name[2]) + int(name[6]) for name in names]
        return (along - along.min()) / np.ptp(along)

    def detectors_in(self, part: str) -> list[str]:
        """Return the names of the detectors of a part, or that of the one it is in."""
        return [
            d.name for d in self.detectors
            if self.parts.within(d.name, part) or self.parts.within(part, d.name)
        ]  # fmt: skip

    @cached_property
    def pixels(self) -> Array:
        return np.array([float(amp.bbox.area) for _, amp in self.amps])

    @cached_property
    def overscan_pixels(self) -> Array:
        return np.array([
            float((a.serial_overscan.width - OVERSCAN_EDGE) * a.hdu_box.height)
            for _, a in self.amps
        ])  # fmt: skip

    @cached_property
    def level_error(self) -> Array:
        """Error of the overscan levels in a mean, in units of the noise."""
        found = []
        for _, a in self.amps:
            n_s = a.serial_overscan.width - OVERSCAN_EDGE
            n_p = a.parallel_overscan.height - OVERSCAN_EDGE
            terms = 1 / (n_s * a.data.height) + 1 / (n_p * a.data.width) + 1 / (n_s * n_p)
            found.append(np.sqrt(np.pi / 2 * terms))
        return np.array(found)


@dataclass
class Conditions:
    """What is wrong with the camera in one exposure; by amplifier unless something else is said."""

    size: int
    noise: Array = field(init=False)
    """Factor of the read noise."""
    ratio: Array = field(init=False)
    """True noise over the certified one, in place of what has become of it; NaN: leave it."""
    gain: Array = field(init=False)
    """Factor of the true gain: of everything that is counted in electrons."""
    level: Array = field(init=False)
    """ADU of bias level."""
    mean: Array = field(init=False)
    """e- left in a corrected bias or dark."""
    light: Array = field(init=False)
    """Factor of the light of a flat."""
    hot: Array = field(init=False)
    """e-², variance of outliers that are no cosmic rays."""
    saturated: Array = field(init=False)
    shifts: Array = field(init=False)
    dead: dict[int, str] = field(default_factory=dict)
    """Index of an amplifier that cannot be judged, with the reason."""
    sequencer: set[str] = field(default_factory=set)
    """Detectors read by another sequencer."""
    missing: dict[str, dict[str, str]] = field(default_factory=dict)
    """Detector to the calibrations that are missing."""
    unreadable: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    chains: dict[str, dict[str, int]] = field(default_factory=dict)
    """Detector to the generation of a certified calibration, where it is not 0."""

    def __post_init__(self) -> None:
        for name in ("noise", "gain", "light"):
            setattr(self, name, np.ones(self.size))
        for name in ("level", "mean", "hot", "saturated", "shifts"):
            setattr(self, name, np.zeros(self.size))
        self.ratio = np.full(self.size, np.nan)


class Season:
    """Draws the numbers of every exposure; the same seed gives the same ones in any order."""

    def __init__(self, layout: Layout, days: int, seed: int) -> None:
        self.layout, self.seed = layout, seed
        rng = np.random.default_rng([seed, 0])
        n = len(layout.amps)
        e2v = layout.e2v
        self.gain = np.where(e2v, 1.48, 1.67) * rng.normal(1, 0.02, n)
        self.ptc_noise = np.where(e2v, 5.32, 6.26) * rng.normal(1, 0.05, n)
        self.ptc_level = rng.uniform(18_000, 26_000, n)
        self.dark_current = np.where(e2v, 0.025, 0.021) * rng.uniform(0.8, 1.2, n)
        self.a00 = np.where(e2v, 3.09e-6, 1.70e-6) * rng.normal(1, 0.02, n)
        step = np.sqrt(1 / YEAR)
        trend = 0.009 / YEAR * np.arange(1, days + 1)[:, None]
        walk = np.cumsum(rng.normal(0, 0.018 * step, (days, n)), axis=0)
        board = rng.normal(0, 0.001, (days, layout.board.max() + 1))[:, layout.board]
        self.noise_ratio = (1 + rng.normal(0, 0.005, n)) * (1 + trend + walk + board)
        self.gain_ratio = 1 + np.cumsum(rng.normal(0, 0.0012 * step, (days, n)), axis=0)
        level = np.cumsum(rng.normal(0, 10 / np.sqrt(3 * YEAR), (days, n)), axis=0)
        self.level = self.ptc_level + rng.normal(0, 3, n) + level
        self.unstable = e2v & (rng.random(n) < 51 / 1872)
        quiet = np.minimum(0.1 * np.exp(rng.normal(0, 0.4, n)), 0.3)
        loud = 0.3 * (4 / 0.3) ** rng.random(n)
        self.structure = np.where(self.unstable, loud, quiet) / 3.29 * self.gain
        """e-, standard deviation of what the bias correction does not follow."""
        self.daily = rng.normal(0, 1, (days, n)) * self.structure / np.sqrt(2)
        self.session = rng.normal(0, 1, (days, n)) * np.where(self.unstable, loud / 3.29, 0.1)
        self.settling = rng.normal(3.5, 1.0, n)
        self.offset = rng.normal(0, 0.03, n)
        self.dark_offset = rng.normal(1.0125, 0.003, n)
        self.warm = rng.normal(0, 0.05, n) + rng.normal(0, 0.02, (days, 1))
        detector = rng.normal(0, 0.003, len(layout.detectors)) + rng.normal(
            0, 0.001, (days, len(layout.detectors))
        )
        self.pattern = (1 + detector[:, layout.of]) * (1 + rng.normal(0, 0.001, (days, n)))

    def rng(self, day: int, kind: str, number: int) -> np.random.Generator:
        """Return the source of randomness of one exposure."""
        return np.random.default_rng([self.seed, 1, day, KINDS.index(kind), number])

    def measure(self, kind: str, day: int, number: int, at: Conditions) -> dict[str, Array]:
        """Return all numbers of one exposure, by amplifier."""
        rng = self.rng(day, kind, number)
        n = len(self.layout.amps)
        ratio = np.where(np.isnan(at.ratio), self.noise_ratio[day] * at.noise, at.ratio)
        ratio = ratio * rng.normal(1, 0.0015, n)
        gain = self.gain_ratio[day] * at.gain
        settling = self.settling * np.exp(-(number - 1) / 2) if kind == "bias" else np.zeros(n)
        tracks = rng.poisson(TRACKS * SECONDS[kind] * self.layout.pixels)
        numbers = {
            "GAIN": self.gain,
            "PTC_NOISE": self.ptc_noise,
            "PTC_OVERSCAN_MEDIAN": self.ptc_level,
            "OVERSCAN_LEVEL": self.level[day] + self.session[day] + settling + at.level
            + rng.normal(0, 0.05, n),
            "NGOOD": self.layout.pixels,
        }  # fmt: skip
        read = self.ptc_noise * 0.969 * ratio * gain
        numbers["READ_NOISE_ERROR"] = read / np.sqrt(2 * self.layout.overscan_pixels)
        numbers["READ_NOISE"] = read + numbers["READ_NOISE_ERROR"] * rng.normal(0, 1, n)
        noise = self.ptc_noise * ratio
        if kind == "flat":
            self._flat(numbers, day, noise, gain, at, rng)
        else:
            self._noise(numbers, kind, noise, gain)
            self._outliers(numbers, tracks, at, rng)
            self._mean(numbers, kind, day, settling, gain, tracks, at, rng)
            if kind == "bias":
                numbers["BIAS_SHIFT_COUNT"] = at.shifts + (rng.random(n) < 1e-5)
        return numbers

    def _noise(self, numbers: dict[str, Array], kind: str, noise: Array, gain: Array) -> None:
        base = self.ptc_noise**2
        if kind == "bias":
            numbers["EXPECTED_NOISE"] = np.sqrt(base * (1 + 1 / INPUTS))
            found = noise * np.sqrt(1 + 1 / INPUTS)
        else:
            signal = self.dark_current * DARK_TIME
            numbers["EXPECTED_NOISE"] = np.sqrt(base + signal * (1 + 1 / INPUTS))
            found = np.sqrt(noise**2 + signal * (1 + 1 / INPUTS)) * self.dark_offset
        numbers["NOISE"] = found * gain
        numbers["NOISE_ERROR"] = numbers["NOISE"] / np.sqrt(2 * numbers["NGOOD"])

    def _outliers(
        self, numbers: dict[str, Array], tracks: Array, at: Conditions, rng: np.random.Generator
    ) -> None:
        n = tracks.size
        left = (rng.random(n) < 1.5e-3 * tracks) * 3.0 * np.exp(rng.normal(0, 0.7, n))
        noise = numbers["NOISE"]
        numbers["CR_NOISE"] = np.sqrt(noise**2 * rng.normal(1.002, 0.0005, n) + left + at.hot)
        numbers["PROCESSING"] = np.ones(n)
        numbers["STDEV"] = np.sqrt(numbers["CR_NOISE"] ** 2 + tracks * 20.0)

    def _mean(
        self,
        numbers: dict[str, Array],
        kind: str,
        day: int,
        settling: Array,
        gain: Array,
        tracks: Array,
        at: Conditions,
        rng: np.random.Generator,
    ) -> None:
        n = tracks.size
        calibrations = 1 if kind == "bias" else 2
        one = np.sqrt(
            numbers["STDEV"] ** 2 / numbers["NGOOD"]
            + (numbers["NOISE"] * self.layout.level_error) ** 2
        )
        numbers["MEAN_ERROR"] = one * np.sqrt(1 + calibrations / INPUTS)
        structure = self.daily[day] + self.structure / np.sqrt(2) * rng.normal(0, 1, n)
        structure *= np.where(self.unstable & (settling > 1), 2, 1)
        heavy = rng.random(n) < 1e-4 * tracks
        charge = tracks * 13_000.0 + heavy * 1e6
        mean = self.offset + structure + 0.02 * settling * self.gain + at.mean
        if kind == "dark":
            mean = mean + self.warm[day] * self.dark_current * DARK_TIME
        mean = mean * gain + charge / numbers["NGOOD"]
        numbers["MEAN"] = mean + numbers["MEAN_ERROR"] * rng.normal(0, 1, n)
        numbers["SATURATED"] = np.zeros(n)

    def _flat(
        self,
        numbers: dict[str, Array],
        day: int,
        noise: Array,
        gain: Array,
        at: Conditions,
        rng: np.random.Generator,
    ) -> None:
        n = noise.size
        lamp = rng.normal(1, 0.005)
        true = FLAT_LEVEL * lamp * self.pattern[day] * at.light
        shot = true * np.maximum(1 + 1 / INPUTS - self.a00 * true, 0.0)
        found = np.sqrt(shot + noise**2) * gain
        error = np.sqrt(found**2 / numbers["NGOOD"] + (noise * self.layout.level_error) ** 2)
        numbers["MEAN_ERROR"] = error * np.sqrt(1 + 2 / INPUTS)
        mean = true * gain + numbers["MEAN_ERROR"] * rng.normal(0, 1, n)
        numbers["MEAN"] = mean
        expected = np.maximum(mean, 0) * (1 + 1 / INPUTS) + self.ptc_noise**2
        numbers["EXPECTED_NOISE"] = np.sqrt(expected)
        numbers["NOISE"] = found
        numbers["NOISE_ERROR"] = found / np.sqrt(2 * numbers["NGOOD"])
        numbers["STDEV"] = found
        numbers["SATURATED"] = np.minimum(at.saturated + rng.exponential(1e-4, n), 1.0)
