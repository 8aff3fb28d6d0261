"""Lets the tests of the chart find their helpers, and those of the real servers."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "services")]
