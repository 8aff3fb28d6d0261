"""Where the modules stand that these tests share with others."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / name) for name in ("services", "service", "alarms", "ledger")]
