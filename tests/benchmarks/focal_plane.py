"""A whole LSSTCam focal plane, exposure after exposure, from event to published numbers.

Usage: python tests/benchmarks/focal_plane.py [--repo DIR] [--exposures 3] [--detectors N]
           [--set field=value …] [--markdown docs/performance.md] [--json FILE]

Everything is real: `calwatch run` as a process of its own with its workers, Kafka, schema registry,
Butler (SQLite registry), SQLite ledger. One detector of each kind is simulated (DIR keeps them for
the next time); every detector's raw files and calibrations are links to those of its kind, with the
keywords that name a detector or an exposure taken out. So the disk need not hold 40 GB, and the
page cache holds every raw file: this is the cost of the work, not of a slow disk.

For each exposure the events of all its detectors are sent at once, and the next follows when all
its numbers are in Kafka. Times end with the broker's own time stamp of the record.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import machine
import yaml
from astropy.io import fits
from confluent_kafka import Consumer
from costs import percentile_words
from frames import daily_job
from tables import Table, write_section
from whole_camera import CAMERA, INSTRUMENT, TICKET, certify_files, ingest, obs_id

from calwatch.camera.model import Detector
from calwatch.isr.switches import needed_calibrations
from calwatch.ledger.store import Ledger
from calwatch.offline.chain import set_chain
from calwatch.offline.datasets import CalibrationFile
from calwatch.offline.repository import create_repository
from calwatch.simulate.plan import SimulationPlan
from calwatch.simulate.repository import TRUTH_FILE, simulate

SERVICES = Path(__file__).parents[1] / "services"
sys.path[:0] = [str(SERVICES)]

import kafka_server  # noqa: E402  (these are found only now)
import registry_server  # noqa: E402
from sal import Sal  # noqa: E402

PROTOTYPES = {"E2V": "R11_S11", "ITL": "R01_S00", "ITL_WF": "R00_SW0"}
"""A detector of each kind; the others of the kind borrow its files."""
NAMING = (
    "DETECTOR", "DET_NAME", "DETNAME", "DET_SER", "DETSER", "RAFTNAME", "SLOTNAME", "RAFTBAY",
    "CCDSLOT", "CCD_SERN", "LSST_NUM", "OBSID", "DAYOBS", "SEQNUM",
)  # fmt: skip
"""Keywords that say of which detector or exposure a file is."""
SUBNAME, PREFIX = "focal", "lsst.cp.focal"
LIMIT_SECONDS = 3600.0


@dataclass
class Received:
    """When the records of one exposure reached the broker, unix seconds."""

    detectors: dict[str, float] = field(default_factory=dict)
    """By key (instrument and detector)."""
    exposure: float | None = None


def make_prototypes(root: Path) -> None:
    """Simulate one detector of each kind, unless they are there."""
    if not (root / TRUTH_FILE).exists():
        simulate(
            SimulationPlan(
                str(root), INSTRUMENT, detectors=tuple(PROTOTYPES.values()), nights=1, biases=1,
                darks=1, flats=1, calib_biases=3, calib_darks=3, calib_flats=3, ramp_pairs=4,
            )
        )  # fmt: skip


def anonymous(path: Path, folder: Path) -> Path:
    """Copy a file without the keywords that name a detector or an exposure."""
    copy = folder / path.name
    with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
        for hdu in hdus:
            for keyword in NAMING:
                hdu.header.remove(keyword, ignore_missing=True)
        hdus.writeto(copy)
    return copy


def build(folder: Path, prototypes: Path, most: int | None) -> tuple[Path, dict[str, Path]]:
    """Make the repository of the whole camera.

    Returns
    -------
    root
        Of the repository, with all calibrations certified.
    raws
        The raw file to be linked to, by the name of the detector.
    """
    truth = json.loads((prototypes / TRUTH_FILE).read_text(encoding="utf-8"))
    jobs = {
        kind: daily_job(prototypes, CAMERA, CAMERA.detector(name), "bias")
        for kind, name in PROTOTYPES.items()
        if name in truth["detectors"]
    }
    detectors = [d for d in CAMERA.detectors if d.kind in jobs]
    detectors = detectors[:: max(len(detectors) // (most or len(detectors)), 1)][:most]
    raws = {kind: anonymous(_path(job.raw.uri), folder) for kind, job in jobs.items()}
    root = folder / "repo"
    create_repository(root, CAMERA)
    for calib_type in needed_calibrations(CAMERA, "bias"):
        copies = {
            kind: anonymous(_path(job.chain.datasets[calib_type].uri), folder)
            for kind, job in jobs.items()
        }
        files = [CalibrationFile(calib_type, d.number, copies[d.kind], "", "") for d in detectors]
        certify_files(root, calib_type, files)
    set_chain(root, f"{INSTRUMENT}/calib", [TICKET])
    return root, {d.name: raws[d.kind] for d in detectors}


def take_exposure(root: Path, number: int, raws: dict[str, Path]) -> None:
    """Ingest one exposure by files that are all header, then put links to pixels in their place."""
    detectors = [CAMERA.detector(name) for name in raws]
    for path, source in zip(ingest(root, number, detectors), raws.values(), strict=True):
        path.unlink()
        path.hardlink_to(source)


@contextmanager
def daemon(folder: Path, root: Path, kafka: str, registry: str, more: dict) -> Iterator[None]:
    """Run the daemon as a process of its own."""
    settings = {
        "repo": str(root),
        "instruments": [INSTRUMENT],
        "ledger": f"sqlite:///{folder}/ledger.db",
        "look_back_days": None,
        "interval_seconds": 3600,
        "alarms": {"enabled": False},
        "sets": {"kinds": []},  # what one exposure costs is measured
        "kafka": {"sal_subname": SUBNAME, "prefix": PREFIX, "group": SUBNAME},
        **more,
    }
    config = folder / "calwatch.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = Path(sys.executable).with_name("calwatch")
    environment = {
        **os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "SCHEMA_MANAGER_REGISTRY_URL": registry,
    }  # fmt: skip
    log = folder / "daemon.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(command), "run", "--config", str(config)], env=environment, stdout=out, stderr=out
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def receive(consumer: Consumer, exposure_id: int, count: int) -> Received:
    """Wait until all records of an exposure are in Kafka."""
    found = Received()
    end = time.monotonic() + LIMIT_SECONDS
    while len(found.detectors) < count or found.exposure is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(found.detectors)} of {count} detectors were published")
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        at = message.timestamp()[1] / 1000.0
        if message.topic() == f"{PREFIX}.exposure":
            found.exposure = at
        else:
            found.detectors[message.key().decode()] = at
    return found


def measure(given: argparse.Namespace, folder: Path, prototypes: Path) -> Table:
    """Take the exposures one after another."""
    make_prototypes(prototypes)
    root, raws = build(folder, prototypes, given.detectors)
    detectors = [CAMERA.detector(name) for name in raws]
    with ExitStack() as stack:
        kafka = stack.enter_context(kafka_server.server())
        registry = stack.enter_context(registry_server.server())
        oods = [f"lsst.{SUBNAME}.{c}.logevent_imageInOODS" for c in ("MTOODS", "CCOODS", "WFOODS")]
        ours = [f"{PREFIX}.bias", f"{PREFIX}.exposure"]
        kafka.create_topics(*oods, *ours, f"lsst.{SUBNAME}.MTCamera.logevent_endReadout")
        options = {"group.id": "benchmark", "auto.offset.reset": "earliest"}
        consumer = Consumer({**kafka.options, **options})
        stack.callback(consumer.close)
        consumer.subscribe(ours)
        sal = Sal({"bootstrap.servers": kafka.bootstrap}, registry.url, SUBNAME)
        stack.enter_context(daemon(folder, root, kafka.bootstrap, registry.url, given.settings))
        rows = []
        for number in range(1, given.exposures + 1):
            take_exposure(root, number, raws)
            sent = announce(sal, number, detectors)
            found = receive(consumer, number, len(detectors))
            rows.append(row(number, sent, found))
            print(" ".join(rows[-1]), flush=True)
        verdicts = verdict_words(folder)
    workers = given.settings.get("workers", os.cpu_count())
    return Table(
        f"{len(detectors)} detectors of LSSTCam, bias, from event to numbers in Kafka",
        ["", "median s", "p99 s", "last s", "last detector to exposure, s", "detectors a second"],
        rows,
        f"{workers} workers; {kind_words(detectors)}; raw files in the page cache; verdicts of the "
        f"detectors: {verdicts}. The first exposure is announced when the daemon is started: it "
        "waits for the workers to be ready and for every calibration to be read.",
    )


def kind_words(detectors: Sequence[Detector]) -> str:
    """Say how many there are of each kind."""
    counts = Counter(detector.kind for detector in detectors)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())


def verdict_words(folder: Path) -> str:
    """Say how many detectors have each verdict."""
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.db")
    counts = Counter(judged.verdict.value for judged in ledger.judged_keys(INSTRUMENT).values())
    ledger.close()
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def announce(sal: Sal, number: int, detectors: Sequence[Detector]) -> dict[str, float]:
    """Send the events of all detectors; return when each was handed to the producer."""
    sent = {}
    for det in detectors:
        sent[f"{INSTRUMENT}/{det.number}"] = time.time()
        sal.ingested(INSTRUMENT, obs_id(number), det.raft, det.slot)
    sal.flush()
    return sent


def row(number: int, sent: dict[str, float], found: Received) -> list[str]:
    """Return the times of one exposure."""
    waits = [found.detectors[key] - at for key, at in sent.items()]
    last = max(found.detectors.values())
    assert found.exposure is not None
    return [
        f"exposure {number}", *percentile_words(waits, 1.0), f"{found.exposure - last:.2f}",
        f"{len(sent) / (last - min(sent.values())):.2f}",
    ]  # fmt: skip


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def _setting(words: str) -> tuple[str, object]:
    """Read ``field=value``, the value as YAML."""
    name, _, value = words.partition("=")
    return name, yaml.safe_load(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", type=Path, help="keep the simulated detectors here")
    parser.add_argument("--dir", type=Path, help="work here, such as on another disk")
    parser.add_argument("--exposures", type=int, default=3)
    parser.add_argument("--detectors", type=int, help="only the first so many")
    parser.add_argument("--set", type=_setting, action="append", default=[], dest="pairs")
    parser.add_argument("--markdown", type=Path, help="put the table into this page")
    parser.add_argument("--json", type=Path, help="write the table here")
    given = parser.parse_args()
    given.settings = dict(given.pairs)
    about = machine.description()
    with tempfile.TemporaryDirectory(prefix="calwatch-focal-", dir=given.dir) as scratch:
        folder = Path(scratch)
        table = measure(given, folder, given.repo or folder / "prototypes")
    print(table.text())
    if given.markdown:
        write_section(given.markdown, "focal plane", [table], about)
    if given.json:
        content = {"machine": about, "tables": [table.data()]}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
