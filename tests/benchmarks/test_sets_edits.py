"""Faults that are put into raw frames are as large as said, and where they are said to be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sets_camera import Stand
from sets_edits import added, charge_left, rows_moved, scaled, signal_of, torn
from sets_found import CROSSED, Found, dealt, only_warning, signs
from sets_stacks import telegraph_step, warm_rate
from sets_stages import STAGES

from calwatch.verify.sets.boundaries import boundaries

ROWS, LEVEL = 60, 40_000.0


@pytest.fixture(scope="module")
def stand() -> Stand:
    return Stand.of(94, 7, ROWS)


@pytest.fixture(scope="module")
def raw(stand):
    return stand.raw(1, "flat", 8.0, LEVEL)


def _signals(stand, pixels) -> dict[str, np.ndarray]:
    return {
        amp.name: signal_of(pixels[i], amp)[0] for i, amp in enumerate(stand.detector.amplifiers)
    }


def test_only_the_named_amplifier_is_scaled(stand, raw) -> None:
    before, after = (_signals(stand, x) for x in (raw, scaled(raw, stand.detector, {"C11": 1.01})))
    assert after["C11"].mean() / before["C11"].mean() == pytest.approx(1.01, abs=1e-5)
    assert np.array_equal(after["C12"], before["C12"])


def test_what_is_added_stays_in_the_imaging_pixels(stand, raw) -> None:
    more = added(raw, stand.detector, {"C11": 2.5})
    before, after = _signals(stand, raw)["C11"], _signals(stand, more)["C11"]
    assert (after - before).mean() == pytest.approx(2.5, abs=0.02)
    amp = stand.detector.amplifiers[1]
    assert np.array_equal(more[1][amp.serial_overscan.slices], raw[1][amp.serial_overscan.slices])
    assert np.array_equal(
        more[1][amp.parallel_overscan.slices], raw[1][amp.parallel_overscan.slices]
    )


def test_rows_move_by_a_share_of_the_shot_noise_of_their_mean(stand, raw) -> None:
    gain = {name: one.gain for name, one in stand.truth.amps.items()}
    moved = rows_moved(raw, stand.detector, {"C11": 100.0}, gain)
    signal = _signals(stand, raw)["C11"]
    step = (_signals(stand, moved)["C11"] - signal).mean(axis=1)
    wanted = 100.0 * signal.mean() / gain["C11"] / signal.shape[1]
    assert step.var() == pytest.approx(wanted, rel=4 * np.sqrt(2 / ROWS))


def test_charge_that_is_left_behind_comes_a_row_later(stand, raw) -> None:
    share = 1e-4
    moved = charge_left(raw, stand.detector, {"C11": share})
    amp = stand.detector.amplifiers[1]
    last = _signals(stand, raw)["C11"][-1].mean()
    columns = slice(amp.data.x0, amp.data.x1)
    first_of_overscan = (moved[1] - raw[1])[amp.data.y1, columns].mean()
    assert first_of_overscan == pytest.approx(share * ROWS * last, rel=0.01)
    change = (moved[1] - raw[1])[amp.data.y0 : amp.data.y1 + 1, columns].sum()
    assert abs(change) < 4 * np.sqrt(0.5 * (ROWS + 1) * amp.data.width)


def test_a_torn_boundary_has_its_step_and_no_other_column_changes(stand, raw) -> None:
    place = next(k for k, one in enumerate(boundaries(stand.detector)) if one.vertical)
    moved = torn(raw, stand.detector, [place], 0.06)
    changed = np.argwhere((moved != raw).any(axis=1))
    assert len(changed) == 2
    boundary = boundaries(stand.detector)[place]
    assert {int(k) for k, _ in changed} == {boundary.before, boundary.after}


def test_amplifiers_are_dealt_once_and_in_turn() -> None:
    names = tuple(f"C{k:02d}" for k in range(16))
    first, second = dealt(names, 5, 6, 6)
    assert len({*first, *second}) == 12
    assert set(dealt(names, 5, 6)[0]) == set(first) != set(dealt(names, 6, 6)[0])
    assert sum(signs(first).values()) == 0


def test_amplifiers_with_another_fault_count_for_no_test() -> None:
    found = Found()
    found.note({amp: {"A": CROSSED, "B": "PASS"} for amp in ("x", "y", "z")}, {"A": {"x"}})
    assert found.verdicts["A"] == [(True, CROSSED), (False, CROSSED), (False, CROSSED)]
    assert found.verdicts["B"] == [(False, "PASS"), (False, "PASS")]


def test_tests_that_only_warn_are_known() -> None:
    assert "PAIR_BALANCE" in only_warning("gain")
    assert "PAIR_GAIN" not in only_warning("gain")
    assert "BIAS_SHIFT_TOTAL" in only_warning("bias_stability")


def test_warm_pixels_make_the_tail_that_is_wanted() -> None:
    noise, tail = 0.07, 0.12
    rng = np.random.default_rng(3)
    rates = rng.normal(0.0, noise, 1_000_000)
    rates[:100_000] += warm_rate(tail, noise)
    high, middle = np.percentile(rates, (95, 50))
    assert high - middle - 1.6449 * noise == pytest.approx(tail, abs=0.002)


def test_a_telegraph_pixel_is_fainter_than_a_hot_one(stand) -> None:
    step = telegraph_step(stand.truth.amps["C11"])
    assert 5.0 < step / stand.truth.amps["C11"].read_noise < 25.0


def test_every_stage_has_a_name() -> None:
    assert {"sequence", "pairs", "spots", "darks", "bad_pixels", "biases"} <= set(STAGES)
