"""The draws are those of numpy's Mersenne twister."""

import numpy as np
import pytest

from calwatch.isr.stream.twister import uniform_draws, uniform_draws_reference


@pytest.mark.parametrize("count", [0, 1, 311, 312, 313, 5000])
@pytest.mark.parametrize("seed", [0, 12345, 2**32 - 1])
def test_kernel_equals_numpy(seed, count):
    assert np.array_equal(uniform_draws(seed, count), uniform_draws_reference(seed, count))
