"""A daemon over fake work and a real ledger, as a process of its own that may be killed.

Arguments: the folder of the fakes, the ledger's URL, the numbers of exposures and of detectors.
"""

import asyncio
import sys

sys.path.insert(0, sys.argv[1])


def main() -> None:
    # Imported here, because every worker process reads this file again.
    import fakes

    from calwatch.ledger.store import Ledger
    from calwatch.service.daemon import Daemon
    from calwatch.service.judging import JudgeFactory
    from calwatch.settings import Settings

    _fakes, url, exposures, detectors = sys.argv[1:]
    repository = fakes.FakeRepository()
    for number in range(int(exposures)):
        repository.take(number, range(int(detectors)), observation_reason="sleep:0.1")
    settings = Settings(
        repo="/repo",
        instruments=("LATISS",),
        ledger=url,
        workers=2,
        look_back_days=None,
        sets={"kinds": ()},  # single exposures are counted
    )
    judging = JudgeFactory(fakes.work, fakes.calib_types, fakes.unknown, fakes.merge)
    ledger = Ledger.open(url)
    asyncio.run(Daemon(settings, repository, ledger, judging).run(once=True))


if __name__ == "__main__":
    main()
