from __future__ import annotations

import numpy as np

from calwatch.simulate.cosmics import ELECTRONS_PER_PIXEL, THICKNESS, add_cosmic_rays


def test_tracks_come_at_their_rate_and_leave_their_charge() -> None:
    charge = np.zeros((1000, 1000), dtype=np.float32)
    count = add_cosmic_rays(charge, 0.5, 400.0, np.random.default_rng(1))
    assert abs(count - 200) < 4.5 * np.sqrt(200)
    assert charge.min() >= 0.0
    assert charge.sum() > 0.9 * count * ELECTRONS_PER_PIXEL * THICKNESS * 0.8
    assert 4 * count < np.count_nonzero(charge > 50) < 0.02 * charge.size


def test_no_time_no_tracks() -> None:
    charge = np.zeros((50, 50), dtype=np.float32)
    assert add_cosmic_rays(charge, 1e6, 0.0, np.random.default_rng(1)) == 0
    assert not charge.any()
