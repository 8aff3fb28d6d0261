from __future__ import annotations

import numpy as np
import pytest

from calwatch.isr.prefetch import prefetch_row


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 1000])
@pytest.mark.parametrize("writeable", [True, False])
def test_nothing_changes(dtype, size, writeable):
    image = np.arange(3 * size).reshape(3, size).astype(dtype)
    before = image.copy()
    image.flags.writeable = writeable
    prefetch_row(image[1])
    assert np.array_equal(image, before)
