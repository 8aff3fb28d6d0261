"""The fakes of the daemon's tests and the SAL events of the services' tests serve here too."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "service"), str(HERE.parent / "services")]
