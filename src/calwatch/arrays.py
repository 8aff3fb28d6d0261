"""Names for the array types that cross module borders."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
"""Pixel values. Shapes are given where the name is used."""

DoubleArray: TypeAlias = NDArray[np.float64]
"""Statistics, coefficients and tables."""

IntArray: TypeAlias = NDArray[np.int32]
"""Raw counts and mask bits."""

MaskArray: TypeAlias = NDArray[np.uint16]
"""Mask bits of a certified calibration: half of what an `IntArray` takes."""

IndexArray: TypeAlias = NDArray[np.int64]
"""Places and counts."""

BoolArray: TypeAlias = NDArray[np.bool_]

AnyArray: TypeAlias = NDArray[Any]
