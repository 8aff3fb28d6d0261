"""What stands in raw pixels is counted rightly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calwatch.isr.census import take_census, take_census_reference

ADU = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([0, 65_535, 262_143])


@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=ADU))
def test_the_kernel_counts_what_numpy_counts(pixels):
    assert take_census(pixels) == take_census_reference(pixels)
