"""A report as text and as JSON, as it comes. Run as a script it writes the two anew.

python tests/report/golden_report.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from report_scene import USUAL, Scene, take_nights

from calwatch.ledger.store import Ledger
from calwatch.report.document import to_document
from calwatch.report.text import to_text

GOLDEN = Path(__file__).parent / "golden_report"
KEPT = ("NOISE", "OVERSCAN_LEVEL")
"""Numbers that the golden JSON has, so that it can be read."""


def written(folder: Path) -> tuple[str, str]:
    """Return text and JSON of two nights of two detectors; the name of the ledger is made plain."""
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
    scene = Scene(ledger, metrics=USUAL)
    take_nights(scene)
    report = scene.report()
    text = to_text(report)
    document = to_document(report)
    for name in ("numbers", "camera_numbers"):
        document[name] = [number for number in document[name] if number["name"] in KEPT]
    for kind, readings in document["focal"].items():
        document["focal"][kind] = [one for one in readings if one["outcome"] != "P"]
    written = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    ledger.close()
    name = str(folder)
    return text.replace(name, "/nights"), written.replace(name, "/nights")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        text, document = written(Path(folder))
    GOLDEN.with_suffix(".txt").write_text(text, encoding="utf-8")
    GOLDEN.with_suffix(".json").write_text(document, encoding="utf-8")
