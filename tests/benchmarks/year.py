"""How quick the page is when the ledger holds a year of LSSTCam.

Usage: python tests/benchmarks/year.py [--days 365] [--exposures 20] [--dir DIR]
           [--over SQLite PostgreSQL] [--markdown docs/performance.md] [--json FILE]

One bias, one dark and one flat of all 205 detectors are judged by the real limits and recorded as
the daemon does; the year is made of copies of their rows, one exposure after another, with numbers,
days and times of their own. Only the newest night has full documents and measurements (a year of
them has 100 GB): the views of the page ask for those of single exposures and for the briefs, the
provenance and the verdicts of all. Each view is asked for over the application itself; then
Chromium opens the heaviest ones from a real server.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import machine
from sqlalchemy import text
from sqlalchemy.engine import Connection
from tables import Table, write_section

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("services", "report", "web", "service", "alarms")]

import postgresql  # noqa: E402  (these are found only now)
from playwright.sync_api import sync_playwright  # noqa: E402
from report_scene import Scene as Camera  # noqa: E402
from served import Served  # noqa: E402
from web_scene import Client, HandClock, make_scene  # noqa: E402

from calwatch.ledger.store import Ledger  # noqa: E402
from calwatch.ledger.tables import brief, exposure_verdict, judgement, provenance  # noqa: E402
from calwatch.ledger.types import CompressedJson  # noqa: E402

LAST = date(2026, 11, 22)
KINDS = {"bias": 1, "dark": 2, "flat": 3}
"""Exposure number of each type in the newest night, whose rows are copied."""
AMPLIFIER = "/amplifiers/LSSTCam/R22_S11/C05?type=bias&show=NOISE"
VIEWS = {
    "tonight": "/",
    "a night": "/nights/LSSTCam/{day}",
    "an exposure": "/exposures/LSSTCam/{bias}",
    "a detector of an exposure": "/exposures/LSSTCam/{bias}/R22_S11",
    "its chain": "/chain/LSSTCam/{bias}/R22_S11",
    "focal plane of an exposure": "/focal/LSSTCam/{bias}",
    "its picture": "/focal/LSSTCam/{bias}/picture",
    "focal plane, worst of a night": "/focal/LSSTCam/day/{day}/bias",
    "its picture ": "/focal/LSSTCam/day/{day}/bias/picture",
    "an amplifier, 90 days": AMPLIFIER + "&days=90",
    "its trend, 90 days": AMPLIFIER.replace("C05?", "C05/trend?") + "&days=90",
    "an amplifier, a year": AMPLIFIER + "&days=365",
    "its trend, a year": AMPLIFIER.replace("C05?", "C05/trend?") + "&days=365",
    "alarms": "/alarms",
}
OPENED = ("tonight", "focal plane of an exposure", "an amplifier, a year")
"""Views that the browser opens."""
DATABASES = ("SQLite", "PostgreSQL")
RUNS = 5


def fill(ledger: Ledger, days: int, exposures: int) -> None:
    """Record the newest night and copy it backwards through the year."""
    camera = Camera(ledger, "LSSTCam", ())
    day = int(LAST.strftime("%Y%m%d"))
    bad = {"R22_S11/C05": {"NOISE": 1.4, "CR_NOISE": 1.4}}
    for kind, number in KINDS.items():
        camera.take(number, kind, day, bad=bad if kind == "bias" else None)
    # As on most days: half of the exposures biases, the others darks and flats.
    plan = [("bias", "dark", "bias", "flat")[i % 4] for i in range(exposures)]
    for back in range(days):
        when = LAST - timedelta(days=back)
        write = _night(when, plan, 4 if back == 0 else 1)
        ledger.write(write, "a night")
        if back % 20 == 0:
            print(f"  {back} of {days} days", file=sys.stderr, flush=True)
    ledger.write(_analyse, "statistics")


def _night(when: date, plan: list[str], first: int):
    """Return what writes the exposures of a day as copies."""
    day = int(when.strftime("%Y%m%d"))
    newest = int(LAST.strftime("%Y%m%d")) * 100000

    def write(connection: Connection) -> None:
        for number, kind in enumerate(plan, start=first):
            at = datetime.combine(when, datetime.min.time(), UTC) + timedelta(
                hours=15, minutes=2 * number
            )
            if connection.dialect.name == "sqlite":
                at = at.replace(tzinfo=None)
            values = {
                "id": day * 100000 + number,
                "source": newest + KINDS[kind],
                "day": day,
                "seq": number,
                "at": at,
                "empty": CompressedJson().process_bind_param({}, None),  # type: ignore[arg-type]
            }
            for statement in _COPIES:
                connection.execute(text(statement), values)

    return write


def _copy(table: Any, changes: dict[str, str]) -> str:
    """Return the statement that copies the rows of an exposure, with some columns changed."""
    names = [column.name for column in table.columns if column.name != "id"]
    quoted = ", ".join(f'"{name}"' for name in names)
    shown = ", ".join(changes.get(name, f'"{name}"') for name in names)
    return f"INSERT INTO {table.name} ({quoted}) SELECT {shown} FROM {table.name} "


def _copy_of_judgements(table: Any) -> str:
    """Return the statement that copies what hangs on the judgements of an exposure."""
    names = [column.name for column in table.columns if column.name != "judgement_id"]
    quoted = ", ".join(f'"{name}"' for name in ("judgement_id", *names))
    shown = ", ".join(f'one."{name}"' for name in names)
    return (
        f"INSERT INTO {table.name} ({quoted}) SELECT copied.id, {shown} FROM judgement source "
        "JOIN judgement copied ON copied.instrument = source.instrument "
        "AND copied.exposure_id = :id AND copied.detector = source.detector "
        f"JOIN {table.name} one ON one.judgement_id = source.id "
        "WHERE source.instrument = 'LSSTCam' AND source.exposure_id = :source"
    )


_CHANGES = {
    "exposure_id": ":id", "day_obs": ":day", "seq_num": ":seq", "exposure_end_utc": ":at",
    "judged_at": ":at",
}  # fmt: skip
_OF_SOURCE = "WHERE instrument = 'LSSTCam' AND exposure_id = :source"
_COPIES = (
    _copy(judgement, {**_CHANGES, "document": ":empty"}) + _OF_SOURCE,
    _copy_of_judgements(brief),
    _copy_of_judgements(provenance),
    _copy(exposure_verdict, _CHANGES) + _OF_SOURCE,
)


def _analyse(connection: Connection) -> None:
    connection.execute(text("ANALYZE"))


def measure(name: str, ledger: Ledger) -> Iterator[Table]:
    """Ask for every view; then open some in a browser."""
    day = int(LAST.strftime("%Y%m%d"))
    known = {"day": day, "bias": day * 100000 + 1}
    scene = make_scene(ledger, HandClock(datetime.combine(LAST, datetime.min.time(), UTC)
                                         + timedelta(hours=23)))  # fmt: skip
    app = scene.app()
    client = Client(app)
    rows = []
    for view, pattern in VIEWS.items():
        path = pattern.format(**known)
        asked = [_asked(client, path) for _ in range(1 + RUNS)]
        walls, cpus = zip(*asked, strict=True)
        shown = (
            walls[0], statistics.median(walls[1:]), max(walls[1:]), statistics.median(cpus[1:])
        )  # fmt: skip
        rows.append([view.strip(), *(f"{1000 * seconds:.0f}" for seconds in shown)])
    yield Table(
        f"Views of the page over {name}",
        ["", "first, ms", "median, ms", "longest, ms", "CPU, ms"],
        rows,
        f"Over the application without a network; medians of {RUNS} after the first. Aim: 2 s. "
        "CPU time is of the application (and SQLite), not of a PostgreSQL server.",
    )
    yield _opened(name, app, {view: VIEWS[view].format(**known) for view in OPENED})


def _asked(client: Client, path: str) -> tuple[float, float]:
    """Ask for a view; return its wall and CPU time, s."""
    began, busy = time.perf_counter(), time.process_time()
    answer = client.get(path)
    took = time.perf_counter() - began, time.process_time() - busy
    assert answer.status_code == 200, (path, answer.text[-500:])
    return took


def _opened(name: str, app: Any, views: dict[str, str]) -> Table:
    """Open views in Chromium; return when something and when the picture was seen."""
    served = Served(app)
    rows = []
    try:
        with sync_playwright() as playwright:
            path = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for view, address in views.items():
                paints, drawings = zip(
                    *(_paint(browser, served.url + address) for _ in range(RUNS)), strict=True
                )
                drawn = [one for one in drawings if one is not None]
                rows.append(
                    [
                        view, f"{statistics.median(paints):.0f}", f"{max(paints):.0f}",
                        f"{statistics.median(drawn):.0f}" if drawn else "",
                    ]
                )  # fmt: skip
            browser.close()
    finally:
        served.stop()
    return Table(
        f"Chromium opens the page over {name}",
        ["", "first paint, ms", "longest", "picture drawn, ms"],
        rows,
        f"Medians of {RUNS} new browser contexts (nothing kept). Aim: first paint within 1 s.",
    )


def _paint(browser: Any, address: str) -> tuple[float, float | None]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(address)
    if page.locator("[data-picture]").count():
        page.wait_for_selector('[data-picture][data-state="drawn"]', timeout=60_000)
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    paint, drawn = (
        page.evaluate("name => performance.getEntriesByName(name)[0]?.startTime ?? null", name)
        for name in ("first-contentful-paint", "drawn")
    )
    context.close()
    return paint, drawn


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """Give the address of an empty database."""
    if name == "SQLite":
        yield f"sqlite:///{folder / 'year.db'}"
        return
    with postgresql.server() as administrative, postgresql.database(administrative) as url:
        yield url


def _size(ledger: Ledger) -> str:
    sizes = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        "postgresql": "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables",
    }
    return ledger.read(lambda c: f"{float(c.scalar(text(sizes[c.dialect.name]))) / 1e9:.1f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--exposures", type=int, default=20, help="of 205 detectors, a day")
    parser.add_argument("--dir", type=Path, help="make the databases here")
    parser.add_argument("--over", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--markdown", type=Path, help="put the tables into this page")
    parser.add_argument("--json", type=Path, help="write the tables here")
    given = parser.parse_args()
    about = machine.description()
    tables: list[Table] = []
    for name in given.over:
        with (
            tempfile.TemporaryDirectory(prefix="calwatch-year-", dir=given.dir) as scratch,
            database(name, Path(scratch)) as url,
        ):
            ledger = Ledger.open(url, alarming=False)
            fill(ledger, given.days, given.exposures)
            judged = given.days * given.exposures * 205
            label = f"{name}, {judged / 1e6:.2f} million judgements ({_size(ledger)})"
            for table in measure(label, ledger):
                tables.append(table)
                print(f"\n{table.text()}", flush=True)
            ledger.close()
    if given.markdown:
        write_section(given.markdown, "year", tables, about)
    if given.json:
        content = {"machine": about, "tables": [table.data() for table in tables]}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
