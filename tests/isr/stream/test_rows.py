"""Steps that work on one row give what they give on a whole amplifier."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.calibrations.model import (
    ChargeTransfer,
    Linearizer,
    LinearizerType,
    SerialTrap,
    Units,
)
from calwatch.camera.model import Box
from calwatch.isr.cti import capture, correct_charge_transfer
from calwatch.isr.linearity import linearize_amplifier
from calwatch.isr.stream.charge_transfer import _capture, correct_row, transfer_of
from calwatch.isr.stream.linearity import _splines, linearize_row

NODES = np.array([0.0, 100, 300, 1000, 3000, 9000, 30000, 60000, 100000])
LEVELS = st.sampled_from([0.0, 99.0, 5000.0, 29990.0, 99990.0, 150000.0])


@given(
    seed=st.integers(0, 1000),
    level=LEVELS,
    noise=st.sampled_from([0.0, 5.0, 300.0, 40000.0]),
    size=st.sampled_from([1, 127, 128, 129, 509]),
    double=st.booleans(),
)
def test_linearity(seed, level, noise, size, double):
    rng = np.random.default_rng(seed)
    row = rng.normal(level, noise, size).astype(np.float32)
    values = [rng.normal(0, NODES / 300) for _ in range(2)]
    if double:
        kind, lengths = LinearizerType.DOUBLE_SPLINE, [NODES.size, NODES.size]
        numbers = np.concatenate([lengths, NODES, values[0], NODES * 1.1, values[1]])
    else:
        kind, numbers = LinearizerType.SPLINE, np.concatenate([NODES, values[0]])
    calibration = Linearizer(("C00",), (kind,), (numbers,), None, Units.ADU, {})
    expected = linearize_amplifier(row, calibration, 0, 1.3)
    linearize_row(row, _splines(calibration, (1.3,)), 0)
    # Differences of pixels and nodes are float32: a step of a pixel times the slope of a spline.
    assert row == pytest.approx(expected, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(("first_node", "unknown"), [(0.0, False), (np.nan, True)])
def test_a_spline_of_zeros_is_left_out_unless_it_is_unknown(first_node, unknown):
    nothing, some = [first_node, 1e5, 0.0, 0.0], [*NODES, *np.sin(NODES / 3e4)]
    numbers = np.array([2, NODES.size, *nothing, *some])
    calibration = Linearizer(
        ("C00",), (LinearizerType.DOUBLE_SPLINE,), (numbers,), None, Units.ADU, {}
    )
    row = np.linspace(-5, 90000, 200).astype(np.float32)
    expected = linearize_amplifier(row, calibration, 0, 1.0)
    splines = _splines(calibration, (1.0,))
    assert (splines.how_many[0], splines.unknown[0]) == (2 if unknown else 1, unknown)
    linearize_row(row, splines, 0)
    assert row == pytest.approx(expected, rel=1e-6, abs=1e-3, nan_ok=True)


@given(
    seed=st.integers(0, 1000),
    drift=st.sampled_from([0.0, 2e-4]),
    kind=st.sampled_from([None, "linear", "logistic", "spline"]),
    prescan=st.integers(0, 4),
)
def test_charge_transfer(seed, drift, kind, prescan):
    rng = np.random.default_rng(seed)
    row = rng.normal(rng.choice([0.0, 3000.0, 50000.0]), 200, 40).astype(np.float32)
    row[rng.integers(0, 40, 3)] += 50000
    row[:prescan] = 0
    numbers = {
        "linear": np.array([0.01]),
        "logistic": np.array([30000.0, 0.001]),
        "spline": np.array([0.0, 100, 1000, 0.5, 2, 5]),
    }
    trap = SerialTrap(kind, 40.0, 0.7, 10, numbers[kind]) if kind else None
    calibration = ChargeTransfer(
        ("C00",), np.array([drift]), np.array([1.5]), np.array([1e-5]), (trap,), {}
    )
    expected = _corrected(row, prescan, calibration)
    transfer = transfer_of(calibration)
    assert transfer.active[0] == bool(drift or kind)
    if transfer.active[0]:
        correct_row(row, transfer, 0, np.empty_like(row), np.empty_like(row))
    assert row[prescan:] == pytest.approx(expected, rel=1e-6, abs=1e-3)


@given(
    seed=st.integers(0, 1000),
    size=st.sampled_from([1, 127, 128, 129, 512]),
    level=st.sampled_from([-5.0, 0.0, 50.0, 990.0, 20000.0, 300000.0]),
    noise=st.sampled_from([0.0, 3.0, 200.0, 20000.0]),
    nodes=st.sampled_from(
        [[50.0], [0.0, 100], [-10.0, 0, 1000], [5.0, 40, 1000, 1000], [*range(0, 100000, 977)]]
    ),
)
def test_what_a_spline_trap_takes(seed, size, level, noise, nodes):
    rng = np.random.default_rng(seed)
    row = rng.normal(level, noise, size).astype(np.float32)
    row[rng.integers(0, size, 2)] = rng.uniform(-10, 200000, 2)
    row[:3] = 0
    values = np.sqrt(np.maximum(nodes, 0)) + rng.uniform(0, 1, len(nodes))
    numbers = np.concatenate([nodes, values])
    trap = SerialTrap("spline", 40.0, 0.7, 10, numbers)
    transfer = transfer_of(
        ChargeTransfer(("C00",), np.zeros(1), np.ones(1), np.zeros(1), (trap,), {})
    )
    taken = np.empty_like(row)
    _capture(row, transfer, 0, taken)
    assert taken == pytest.approx(capture(trap, np.maximum(row, 0).astype(float)), rel=1e-6)


def _corrected(row, prescan, calibration):
    """Return the data pixels of a detector that is one amplifier of one row."""

    data = Box(prescan, 0, row.size - prescan, 1)
    stack = row[None, None, :]
    return correct_charge_transfer(stack, (SimpleNamespace(data=data),), calibration)[
        0, 0, prescan:
    ]
