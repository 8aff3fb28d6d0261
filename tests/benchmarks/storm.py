"""Hundreds of kills: the daemon, its workers, the broker and the registry, at random moments.

Usage: python tests/benchmarks/storm.py [--rounds 200] [--seed 1] [--postgresql] [--json FILE]

Real Kafka, registry and ledger; only the Butler and the judging of pixels are stood in for. Ends
with 1 and says what is wrong if anything was lost or is there twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

SERVICES = Path(__file__).parents[1] / "services"
sys.path[:0] = [str(SERVICES), str(SERVICES.parent / "service")]

import kafka_server  # noqa: E402  (these are found only now)
import postgresql  # noqa: E402
import registry_server  # noqa: E402
from storm import Storm  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="instead of SQLite")
    parser.add_argument("--json", type=Path, help="write the summary here")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calwatch-storm-")))
        kafka = stack.enter_context(kafka_server.server())
        registry = stack.enter_context(registry_server.server())
        url = f"sqlite:///{folder / 'ledger.db'}"
        if given.postgresql:
            server = stack.enter_context(postgresql.server())
            url = stack.enter_context(postgresql.database(server))
        began = time.monotonic()
        storm = Storm(kafka, registry, url, folder, given.seed)
        outcome = storm.run(given.rounds, lambda text: print(text, flush=True))
        problems = outcome.problems()
        log = (folder / "log").read_text()
    taken = len({number for number, _ in outcome.taken})
    summary = {
        "rounds": given.rounds,
        "seed": given.seed,
        "ledger": "PostgreSQL" if given.postgresql else "SQLite",
        "seconds": round(time.monotonic() - began),
        "strikes": dict(outcome.done),
        "exposures": taken,
        "detectors taken": len(outcome.taken),
        "detectors judged": len(outcome.judged),
        "messages published": outcome.messages,
        "different keys": len(outcome.published),
        "tracebacks in the log": log.count("Traceback"),
        "problems": problems,
    }
    for part in log.split("Traceback")[1:4]:
        print(f"Traceback{part[:3000]}", flush=True)
    text = json.dumps(summary, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
