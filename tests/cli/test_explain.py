"""What ``calwatch explain`` says of real verdicts on the simulated nights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from calwatch.alarms.book import Frame
from calwatch.alarms.evidence import sighting
from calwatch.alarms.parts import Parts
from calwatch.alarms.rules import load_rules
from calwatch.cli.main import cli
from calwatch.errors import StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.ledger.store import Ledger
from calwatch.service.alarm_books import AlarmBooks
from calwatch.service.lifecycle import SystemClock
from calwatch.verify.limits import load_limits

NOISY = (3, "bias", 1)
SOUND = (3, "flat", 5)
BROKEN = (3, "bias", 8)
UNCERTIFIED = (2, "dark", 1)


@pytest.fixture
def alarmed(nights, verdicts, url: str) -> Iterator[tuple[int, AlarmBooks]]:
    """The number of the alarm of the noisy amplifier, raised by its exposure and a later one."""
    rules, parts = load_rules(), Parts(nights.camera)
    frame = Frame(parts, rules, load_limits("dmtn101"))
    ledger = Ledger.open(url)
    store = AlarmStore(ledger)
    books = AlarmBooks(store, {"MiniCam": frame}, [], SystemClock())
    end = nights.jobs[NOISY].exposure.end_utc
    for later in (0, 1):
        result = replace(verdicts[NOISY], exposure_id=verdicts[NOISY].exposure_id + later)
        books.observe(sighting([result], {}, end + timedelta(minutes=later), parts, rules), [])
    (number,) = [o.alarm_id for o in store.open_alarms() if o.alarm.key.family == "readout"]
    yield number, books
    ledger.close()


def explain(config: Path, *words: object) -> Result:
    command = ["explain", *map(str, words), "--config", str(config)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def told(config: Path, *words: object) -> Mapping[str, Any]:
    result = explain(config, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def number_of(nights, which) -> int:
    return nights.jobs[which].exposure.exposure_id


def test_a_failure_is_explained_to_its_roots(nights, verdicts, config: Path) -> None:
    result = verdicts[NOISY]
    found = told(config, result.exposure_id, result.detector_name, "C03", "NOISE")
    test = result.amps["C03"].tests["NOISE"]
    assert (found["verdict"], found["value"], tuple(found["limit"])) == (
        "FAIL", test.value, test.limit,
    )  # fmt: skip
    assert found["reason"] == test.reason
    assert tuple(found["allowed"][-1]["allowed"]) == test.limit
    assert (found["limits"], found["judged_with"], found["note"]) == (
        result.limits, result.limits, "",
    )  # fmt: skip
    bias = found["calibrations"][0]
    assert bias["calib_type"] == "bias"
    assert bias["uuid"] == result.provenance["chain"]["bias"]["uuid"]
    assert bias["end"] == "open"
    assert "2 of 3 exposures" in found["alarm_words"]


def test_the_earlier_values_are_those_of_the_ledger(nights, verdicts, config: Path) -> None:
    found = told(config, number_of(nights, (3, "bias", 9)), 0, "c03", "noise")
    end = nights.jobs[3, "bias", 9].exposure.end_utc
    before = sorted(
        (nights.jobs[w].exposure.end_utc, w)
        for w in verdicts
        if w[1] == "bias" and nights.jobs[w].exposure.end_utc < end and verdicts[w].amps
    )[::-1][:10]
    assert [v["value"] for v in found["earlier"]] == [
        verdicts[w].amps["C03"].metrics["NOISE"] for _, w in before
    ]


def test_the_alarm_it_fed_is_named_open_or_closed(nights, config: Path, alarmed) -> None:
    number, books = alarmed
    words = (number_of(nights, NOISY), 0, "C03", "NOISE")
    found = told(config, *words)
    assert [alarm["id"] for alarm in found["alarms"]] == [number]
    assert f"fed {number}, MiniCam.readout.above." in explain(config, *words).output
    other = told(config, number_of(nights, NOISY), 0, "C04", "NOISE")
    assert other["alarm_words"] == "none: the test was passed"
    books.reset(number, "Ada", "exchanged")
    (closed,) = told(config, *words)["alarms"]
    assert (closed["id"], closed["open"]) == (number, False)


def test_it_reads_well(nights, config: Path) -> None:
    text = explain(config, number_of(nights, NOISY), "R00_S00", "C03", "NOISE").output
    flat = " ".join(text.split())
    for words in (
        "NOISE of R00_S00/C03, bias", "FAIL", "DMTN-101 §4.3: The noise is the expected one.",
        "SERIOUS beyond", "must be within 5 % of the expected", "widened by 5 × error",
        "dmtn101.yaml", "Earlier exposures", "Certified calibrations used", "ptc",
    ):  # fmt: skip
        assert words in flat, words


def test_a_detector_and_an_exposure_have_tests_too(nights, config: Path) -> None:
    number = number_of(nights, (3, "bias", 6))
    found = told(config, number, 0, "-", "SEQUENCER")
    assert (found["verdict"], found["amp"], found["part"]) == ("FAIL", "", "R00_S00")
    flat = told(config, number_of(nights, SOUND), "-", "-", "SCATTER")
    assert flat["detector"] is None
    assert flat["part"] == "MiniCam"


def test_what_is_unknown_says_why(nights, config: Path) -> None:
    found = told(config, number_of(nights, UNCERTIFIED), 0, "C00", "MEAN")
    assert found["verdict"] == "UNKNOWN"
    assert "dark" in found["missing"]
    assert "missing: " in explain(config, number_of(nights, UNCERTIFIED), 0, "C00", "MEAN").output


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ((7, 0, "C00", "MEAN"), r"exposure 7 has not been judged\n  MiniCam: the newest are \d+"),
        ((NOISY, "R99_S00", "C00", "MEAN"), r"no detector 'R99_S00' was judged; there is R00_S00"),
        ((NOISY, 0, "C99", "MEAN"), r"has no amplifier 'C99'; there are C1"),
        ((NOISY, 0, "C00", "LEVEL"), r"amplifier C00 has no test 'LEVEL'; there are MEAN, NOISE"),
        ((NOISY, 0, "-", "NOISE"), r"the detector has no test 'NOISE'; there are SEQUENCER"),
        ((NOISY, "-", "-", "NOISE"), r"the exposure has no test 'NOISE'; there is none"),
        ((NOISY, "-", "C00", "NOISE"), r"has no amplifier 'C00': give - there too"),
        ((BROKEN, 0, "C00", "NOISE"), r"was not measured: .*"),
        ((NOISY, 0, "C00", "MEAN", "-I", "LATISS"), r"LATISS: the configuration has MiniCam"),
    ],
)
def test_what_there_is_not_is_told(nights, config: Path, words, cause: str) -> None:
    first, *rest = words
    exposure = first if isinstance(first, int) else number_of(nights, first)
    with pytest.raises(StopError, match=cause):
        explain(config, exposure, *rest)


def test_no_ledger_is_made(config: Path, tmp_path: Path, nights) -> None:
    config.write_text(
        f"repo: x\ninstruments: [MiniCam]\ncamera: {nights.camera_file}\nledger: {tmp_path}/no.db\n"
    )
    with pytest.raises(StopError, match="there is no such file"):
        explain(config, 1, 0, "C00", "MEAN")
    assert not (tmp_path / "no.db").exists()


def test_its_help_has_examples() -> None:
    text = CliRunner().invoke(cli, ["explain", "--help"]).output
    assert "calwatch explain 2026112000002" in text
