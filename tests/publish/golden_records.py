"""The first release of each record: its fields, and one message. Run as a script it adds new ones.

python tests/publish/golden_records.py

What stands in the file stays: it is what the registry and InfluxDB have.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))

from fakes import make_exposure, make_job, make_result

from calwatch.ledger.outbox import JudgedDetector, JudgedExposure, Stored, Taken, Told
from calwatch.publish.encoder import Encoder
from calwatch.publish.schemas import SET, build_schemas, metrics_of
from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import Verdict, algorithm_of

GOLDEN = Path(__file__).parent / "golden.json"
SCHEMAS = build_schemas()
IDS = dict.fromkeys(SCHEMAS.schemas, 11)
OF_SETS = (*SET_TYPES, SET)


def message_of(name: str) -> dict[str, str]:
    """Return the message of one set, as `calwatch.publish` makes it today."""
    told = _merged() if name == SET else _detector(name)
    message = Encoder(SCHEMAS, IDS).encode(Stored(f"a {name}", told))
    event_id = dict(message.headers)["event_id"].decode()
    return {"key": message.key.decode(), "event_id": event_id, "value": message.value.hex()}


def writer_of(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a golden message was written with."""
    return {
        "type": "record",
        "name": name,
        "namespace": "lsst.cp.calwatch",
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }


def _taken() -> Taken:
    e = make_exposure(5, kind="flat")
    return Taken(e.obs_id, e.physical_filter, e.band, e.day_obs, e.seq_num, e.end_utc)


def _detector(kind: str) -> Told:
    job = replace(make_job(5, 3, kind="flat"), calib_type=kind)
    metrics = [metric.name for metric in metrics_of("amp", kind)]
    result = make_result(job, Verdict.FAIL, "σ", metrics, 0.1)
    whole = {metric.name: 0.25 for metric in metrics_of("detector", kind)}
    provenance = {**result.provenance, "members": [2026112000004, 2026112000005]}
    return JudgedDetector(
        replace(result, detector_metrics=whole, provenance=provenance), _taken()
    )  # fmt: skip


def _merged() -> Told:
    numbers = dict.fromkeys((m.name for m in metrics_of("exposure", SET_TYPES)), 0.5)
    document = {"metrics": numbers, "failures": ["R00_S03 C10 PAIR_GAIN"], "test_counts": {}}
    return JudgedExposure(
        "LATISS", 2026112000005, algorithm_of("gain"), "gain", Verdict.FAIL, "σ", 0, 1, 0, (3,),
        document, _taken(),
    )  # fmt: skip


def main() -> None:
    """Add what is new."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    before, messages = golden["schemas"], golden.setdefault("messages", {})
    golden["schemas"] = {
        name: before.get(name) or {field["name"]: field["type"] for field in schema["fields"]}
        for name, schema in SCHEMAS.schemas.items()
    }
    golden["messages"] = {name: messages.get(name) or message_of(name) for name in OF_SETS}
    text = re.sub(
        r'\[\s+"null",\s+"double"\s+\]', '["null", "double"]', json.dumps(golden, indent=0)
    )
    GOLDEN.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
