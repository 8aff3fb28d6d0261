"""New defects of darks and flats, and what is none."""

from dataclasses import replace

import numpy as np
import pytest

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import CalibrationSet, Defects
from calwatch.camera.model import Box, Detector
from calwatch.simulate.cosmics import add_cosmic_rays
from calwatch.verify.definitions.defects import METRICS
from calwatch.verify.judge import judge_numbers
from calwatch.verify.limits import load_limits
from calwatch.verify.model import Verdict
from calwatch.verify.sets import defects
from calwatch.verify.sets.defects import BRIGHT, COLUMN, DARK, MOST_PLACES, UNSTABLE
from calwatch.verify.sets.model import CorrectedFrame

NOISE, RATE, LEVEL, PRNU = 6.0, 0.03, 20_000.0, 0.002
WIDTH, HEIGHT, COLUMNS = 120, 100, 20
N_AMP = 200
RATE_OF_TRACKS = 0.03
"""Per second and million pixels, as the simulator has it."""
COUNTS = ("NEW_BRIGHT_PIXELS", "NEW_DARK_PIXELS", "UNSTABLE_PIXELS", "NEW_BAD_COLUMNS")


@pytest.fixture(scope="module")
def many(detector) -> Detector:
    """200 amplifiers of 120×100 pixels: 2.4 million pixels."""
    first = detector.amplifiers[0]
    amps = tuple(
        replace(
            first,
            name=f"A{i:03d}",
            bbox=Box(WIDTH * (i % COLUMNS), HEIGHT * (i // COLUMNS), WIDTH, HEIGHT),
        )
        for i in range(N_AMP)
    )
    height = N_AMP // COLUMNS * HEIGHT
    return replace(detector, width=COLUMNS * WIDTH, height=height, amplifiers=amps)


def _frame(detector, number, image, seconds=30.0, mask=None):
    n = len(detector.amplifiers)
    return CorrectedFrame(
        exposure_id=number,
        exposure_time=seconds,
        dark_time=seconds,
        image=image,
        mask=np.zeros(detector.shape, np.uint16) if mask is None else mask,
        gain=np.full(n, 1.5),
        overscan_noise=np.full(n, NOISE / 1.5),
        faults=("",) * n,
    )


def _frames(detector, n_frames, kind="dark", seed=0, rates=None, times=(30.0,), tracks=0.0):
    """Yield frames; `rates` are e-/s of a dark or factors of a flat, or a function of the frame."""
    for n in range(n_frames):
        rng = np.random.default_rng([seed, n])
        seconds = times[n % len(times)]
        extra = rates(n) if callable(rates) else rates
        if kind == "dark":
            charge = np.full(detector.shape, RATE * seconds, np.float32)
            charge += 0 if extra is None else extra * seconds
        else:
            charge = np.full(detector.shape, LEVEL, np.float32)
            pattern = np.random.default_rng(seed).standard_normal(detector.shape, np.float32)
            charge *= 1 + PRNU * pattern
            charge *= 1 if extra is None else extra
        noise = rng.standard_normal(detector.shape, np.float32)
        charge += noise * np.sqrt(NOISE**2 + np.maximum(charge, 0))
        add_cosmic_rays(charge, tracks, seconds, rng)
        yield _frame(detector, n, charge, seconds)


def _measure(detector, frames, kind="dark", certified=True):
    held = CalibrationSet(defects=Defects((), {})) if certified else CalibrationSet()
    return defects.measure(detector, frames, kind, held)


def _counts(found, name):
    return np.array([numbers[name] for numbers in found.amps.values()])


@pytest.mark.parametrize(("kind", "times"), [("dark", (30.0,)), ("flat", (10.0,)),
                                             ("dark", (5.0, 15.0, 30.0))])  # fmt: skip
def test_cosmic_rays_are_no_defects(many, kind, times):
    """Twenty times as many tracks as the simulator has, over ten frames."""
    frames = _frames(many, 10, kind, 1, times=times, tracks=20 * RATE_OF_TRACKS)
    found = _measure(many, frames, kind)
    assert not found.faults
    assert not found.warnings
    for name in COUNTS[:2] + COUNTS[3:]:
        assert not _counts(found, name).any(), name
    # Pixels that were hit twice: 1 of 100 amplifiers at the most at twenty times the rate.
    assert np.count_nonzero(_counts(found, "UNSTABLE_PIXELS")) <= 0.01 * N_AMP
    assert (_counts(found, "DEFECT_FRAMES") == 10).all()


@pytest.mark.parametrize("n_frames", [4, 10])
def test_new_defects_of_darks_are_found(many, n_frames):
    """One hot pixel, one telegraph pixel and one column in every amplifier, among tracks."""
    rng = np.random.default_rng(2)
    boxes = [amp.bbox for amp in many.amplifiers]
    hot = [(b.y0 + rng.integers(HEIGHT), b.x0 + rng.integers(60)) for b in boxes]
    jumpy = [(b.y0 + rng.integers(HEIGHT), b.x0 + 61 + rng.integers(20)) for b in boxes]
    hot_rate = rng.uniform(6, 100, N_AMP)

    def rates(n):
        plane = np.zeros(many.shape, np.float32)
        for k, box in enumerate(boxes):
            plane[hot[k]] = hot_rate[k]
            plane[jumpy[k]] = 8.0 * (n % 2)
            plane[box.y0 + 20 : box.y1, box.x0 + 100] = 2.0
        return plane

    found = _measure(many, _frames(many, n_frames, seed=3, rates=rates, tracks=RATE_OF_TRACKS))
    assert np.mean(_counts(found, "NEW_BRIGHT_PIXELS") == 1) >= 0.95
    assert np.mean(_counts(found, "UNSTABLE_PIXELS") == 1) >= 0.95
    assert np.mean(_counts(found, "NEW_BAD_COLUMNS") == 1) >= 0.95
    assert not _counts(found, "NEW_DARK_PIXELS").any()
    places = found.arrays["defect_places"]
    assert len(places) == MOST_PLACES
    assert np.count_nonzero(places[:, 2] == COLUMN) >= 150
    hot_places = {(x, y) for y, x in hot}
    drawn = {(int(x), int(y)) for x, y, kind in places if kind == BRIGHT}
    assert len(drawn & hot_places) >= 0.95 * len(drawn)


def test_new_defects_of_flats_are_found(many):
    boxes = [amp.bbox for amp in many.amplifiers]

    def factors(n):
        plane = np.ones(many.shape, np.float32)
        for box in boxes:
            plane[box.y0 + 30, box.x0 + 10] = 0.7
            plane[box.y0 + 31, box.x0 + 10] = 0.0
            plane[box.y0 + 32, box.x0 + 40] = 1.3
            plane[box.y0 + 33, box.x0 + 60] = 1.0 - 0.15 * (n % 2)
            plane[box.y0 : box.y1, box.x0 + 100] = 0.9
        return plane

    found = _measure(many, _frames(many, 6, "flat", 4, factors, tracks=RATE_OF_TRACKS), "flat")
    wanted = dict(zip(COUNTS, (1, 2, 1, 1), strict=True))
    for name, count in wanted.items():
        assert np.mean(_counts(found, name) == count) >= 0.95, name
    kinds = {int(kind) for kind in found.arrays["defect_places"][:, 2]}
    assert kinds == {BRIGHT, DARK, UNSTABLE, COLUMN}


def test_what_the_mask_has_is_not_new(detector):
    rates = np.zeros(detector.shape, np.float32)
    rates[10, 10:20] = 50.0
    rates[:, 130] = 20.0
    mask = np.zeros(detector.shape, np.uint16)
    mask[10, 10:16] = int(Mask.BAD)
    mask[:, 130] = int(Mask.BAD)
    mask[50, 50:53] = int(Mask.BAD)
    frames = (replace(f, mask=mask) for f in _frames(detector, 6, rates=rates))
    found = _measure(detector, frames)
    numbers = found.amps["C10"]
    assert numbers["NEW_BRIGHT_PIXELS"] == 4
    assert numbers["CERTIFIED_DEFECTS"] == 9
    assert numbers["NO_LONGER_SEEN"] == 3
    assert found.amps["C11"]["NEW_BAD_COLUMNS"] == 0
    assert found.amps["C11"]["NEW_BRIGHT_PIXELS"] == 0
    assert found.amps["C11"]["NO_LONGER_SEEN"] == 0
    assert found.arrays["defect_places"].tolist() == [[x, 10, BRIGHT] for x in range(16, 20)]


def test_a_leak_of_light_makes_no_defects(detector):
    """Uniform in one frame, and a slope in another."""
    slope = np.linspace(0, 2, detector.width, dtype=np.float32)[None, :]

    def rates(n):
        return {3: 4.0, 5: slope}.get(n, 0.0) * np.ones(detector.shape, np.float32)

    found = _measure(detector, _frames(detector, 8, rates=rates))
    for name in COUNTS:
        assert not _counts(found, name).any(), name


def test_the_telegraph_of_a_hot_pixel_needs_more_than_its_drift(detector):
    """A hot pixel that is masked and one that drifts by 4 % are not unstable."""

    def rates(n):
        plane = np.zeros(detector.shape, np.float32)
        plane[5, 5] = 4.0 * (1 + 0.04 * (n % 2))
        return plane

    found = _measure(detector, _frames(detector, 20, rates=rates))
    assert _counts(found, "UNSTABLE_PIXELS").sum() == 0
    assert _counts(found, "NEW_BRIGHT_PIXELS").sum() == 0


def test_where_two_cosmic_rays_cross_is_no_defect(detector):
    frames = list(_frames(detector, 12))
    frames[2].image[40, 20:60] += 900
    frames[7].image[20:60, 40] += 700
    found = _measure(detector, frames)
    for name in COUNTS:
        assert not _counts(found, name).any(), name
    # A telegraph pixel that is up three times is one.
    for n in (1, 4, 8):
        frames[n].image[70, 70] += 400
    assert _measure(detector, frames).amps["C10"]["UNSTABLE_PIXELS"] == 1


def test_bad_input_is_a_fault_of_its_amplifier(detector):
    frames = list(_frames(detector, 5))
    frames[1] = replace(frames[1], faults=("", "", "not read out", ""))
    frames[2] = replace(frames[2], faults=("", "not read out", "not read out", ""))
    frames[3].image[120:130, :10] = np.nan
    for frame in frames:
        frame.image[100:, 120:] = np.nan
    found = _measure(detector, frames, certified=False)
    assert set(found.faults) == {"C00", "C01"}
    assert found.faults["C01"] == "only 3 darks of at least 4 (not read out)"
    assert "0 % of its pixels" in found.faults["C00"]
    assert found.amps["C10"]["NEW_BRIGHT_PIXELS"] == 0
    assert found.amps["C11"]["DEFECT_FRAMES"] == 4
    assert any("no certified defects" in warning for warning in found.warnings)
    for numbers in found.amps.values():
        assert set(numbers) == {metric.name for metric in METRICS}
    nothing = _measure(detector, [])
    assert set(nothing.faults) == set(detector.amp_names)
    assert nothing.arrays["defect_places"].shape == (0, 3)


def test_flats_of_no_light_are_none(detector):
    found = _measure(detector, [_frame(detector, n, np.full(detector.shape, -1.0, np.float32)
                     + np.random.default_rng(n).random(detector.shape, np.float32) * 0.1)
                     for n in range(5)], "flat")  # fmt: skip
    assert set(found.faults.values()) == {"only 0 flats of at least 4 (no light)"}
    with pytest.raises(ValueError, match="bias"):
        _measure(detector, [], "bias")


def test_statistics_of_cp_verify_are_of_the_first_frame(detector):
    frames = list(_frames(detector, 4))
    frames[0].image[3, 3] = 5000.0
    frames[0].image[4, 4] = -500.0
    mask = frames[0].mask
    mask[3, 3] = int(Mask.BAD)
    numbers = _measure(detector, frames).amps["C10"]
    inside = frames[0].image[:HEIGHT, :WIDTH]
    assert numbers["DEFECT_PIXELS"] == 1
    assert numbers["DEFECT_FRACTION"] == 1 / inside.size
    assert numbers["UNMASKED_MAX"] == 5000.0
    assert numbers["DEFECT_MAX"] == np.delete(inside.ravel(), 3 * WIDTH + 3).max()
    assert numbers["DEFECT_MIN"] == numbers["UNMASKED_MIN"] == -500.0
    assert numbers["UNMASKED_OUTLIERS"] == numbers["DEFECT_OUTLIERS"] + 1 == 2
    assert numbers["STAT_OUTLIERS"] == 2


@pytest.mark.parametrize("profile", ["dmtn101", "cp_verify"])
def test_verdicts(detector, exposure, profile):
    rates = np.zeros(detector.shape, np.float32)
    rates[20:28, 10:20] = 50.0
    rates[:, 150] = 30.0
    found = _measure(detector, _frames(detector, 6, rates=rates))
    result = judge_numbers(
        replace(exposure("dark"), calib_type="defects"), detector, found.amps, found.detector,
        load_limits(profile), faults=found.faults,
    )  # fmt: skip
    good, pixels, column = (result.amps[name] for name in ("C01", "C10", "C11"))
    if profile == "cp_verify":
        assert good.tests["DEFECT_MIN"].verdict is Verdict.PASS
        assert pixels.tests["DEFECT_PROBABILITY"].verdict is Verdict.FAIL
        return
    assert good.verdict is Verdict.PASS
    assert not any(test.severity for test in good.tests.values())
    assert pixels.tests["NEW_BRIGHT_PIXELS"].severity == "WARNING"
    assert column.tests["NEW_BAD_COLUMNS"].severity == "WARNING"
    assert not column.tests["NEW_BRIGHT_PIXELS"].severity
