"""The daemon on line, over fake work, as a process of its own that may be killed.

Arguments: the folder of the fakes, and a JSON file with what the round needs. Only the Butler and
the judging of pixels are stood in for; Kafka, registry and ledger are real.
"""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
INSTRUMENT = "LSSTComCam"


def repository_of(file: Path):
    """Return a Butler that has what is written in a file, one ``exposure detector`` a line."""
    import fakes

    class Folder(fakes.FakeRepository):
        def __init__(self) -> None:
            super().__init__()
            self.read = 0

        def _ingest(self) -> None:
            lines = file.read_text().splitlines()
            for line in lines[self.read :]:
                number, detector = (int(word) for word in line.split())
                known = {e.seq_num for e in self.records}
                exposure = fakes.make_exposure(
                    number, INSTRUMENT, obs_id=f"CC_O_20261120_{number:06d}"
                )
                if number not in known:
                    self.records.append(exposure)
                self.raw_files.append(fakes.make_raw(exposure, detector))
            self.read = len(lines)

        def exposures(self, *args, **options):
            self._ingest()
            return super().exposures(*args, **options)

        def raws(self, *args, **options):
            self._ingest()
            return super().raws(*args, **options)

    return Folder()


def main() -> None:
    # Imported here, because every worker process reads this file again.
    import fakes
    from prometheus_client import start_http_server

    from calwatch.camera.loader import load_camera
    from calwatch.kafka.connection import load_connection
    from calwatch.ledger.store import Ledger
    from calwatch.service.daemon import Daemon
    from calwatch.service.judging import JudgeFactory
    from calwatch.service.lifecycle import SystemClock
    from calwatch.service.online import go_online
    from calwatch.settings import Settings

    told = json.loads(Path(sys.argv[2]).read_text())
    settings = Settings(
        repo="/repo",
        instruments=(INSTRUMENT,),
        ledger=told["ledger"],
        workers=2,
        look_back_days=None,
        interval_seconds=told.get("interval_seconds", 5.0),
        retry={"first_seconds": 0.2, "most_seconds": 1.0},
        sets={"kinds": ()},  # single exposures are counted, and come late and out of order
        kafka={
            "sal_subname": told["subname"],
            "group": told["subname"],
            "prefix": told["prefix"],
        },
    )
    if "port" in told:
        start_http_server(told["port"])
    judging = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
    ledger = Ledger.open(settings.ledger, publishing=True)
    cameras = {INSTRUMENT: load_camera(INSTRUMENT)}
    online = go_online(settings, load_connection(), ledger, cameras, SystemClock())

    async def run() -> None:
        await online.publisher.prepare()
        daemon = Daemon(
            settings,
            repository_of(Path(told["ingested"])),
            ledger,
            judging,
            sources=online.sources,
            companions=[online.publisher.run],
            watch=online.watch,
            on_event=online.hear,
        )
        await daemon.run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
