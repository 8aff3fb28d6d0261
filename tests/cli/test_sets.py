"""A night with pairs of flats, made, judged and explained by the commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from click.testing import CliRunner, Result

from calwatch.cli.main import cli
from calwatch.errors import StopError
from calwatch.simulate.plan import DAILY_PROGRAM

MINI = Path(__file__).parents[1] / "data" / "mini.yaml"
SETS = {
    "gain": 7, "cti": 7, "ptc": 1, "linearity": 1, "defects": 1, "dark_stack": 1,
    "bias_stability": 1,
}  # fmt: skip
"""How often each is judged: six pairs and a flat that is alone, and one set of the others."""
DAILY = f"exposure.science_program = '{DAILY_PROGRAM}'"


def calwatch(*words: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)


@dataclass(frozen=True)
class Night:
    """A simulated night, and the daemon's configuration over it with all of it judged."""

    root: Path
    config: Path
    ramp: tuple[int, ...]
    """Exposure ids of the pairs of flats."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("night")
    root, config = folder / "repo", folder / "calwatch.yaml"
    words = (
        "--detectors 0 --nights 1 --seed 4 --biases 6 --darks 4 --flats 1 --pairs 6 --processes 1 "
        "--calib-biases 6 --calib-darks 4 --calib-flats 6 --ramp-pairs 6 --json"
    )
    made = calwatch("simulate", root, "--instrument", "MiniCam", "--camera", MINI, *words.split())
    assert json.loads(made.stdout)["daily"] == 6 + 4 + 1 + 2 * 6
    content = {
        "repo": str(root), "instruments": ["MiniCam"], "camera": str(MINI), "where": DAILY,
        "ledger": f"sqlite:///{folder / 'ledger.db'}", "look_back_days": None, "workers": 1,
        "alarms": {"enabled": False},
    }  # fmt: skip
    config.write_text(yaml.safe_dump(content))
    calwatch("run", "--once", "--config", config)
    structlog.reset_defaults()
    truth = json.loads((root / "truth.json").read_text())
    ramp = [
        e["exposure_id"] for e in truth["exposures"] if e["night"] and e["reason"] == "daily_ptc"
    ]
    return Night(root, config, tuple(ramp))


def explain(night: Night, *words: object) -> Mapping[str, Any]:
    done = calwatch("explain", *words, "--config", night.config, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def verified(night: Night) -> list[dict[str, Any]]:
    """What ``calwatch verify --sets`` says of the night."""
    words = ("-I", "MiniCam", "--camera", MINI, "--where", DAILY, "--sets", "--json")
    done = calwatch("verify", night.root, *words)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_verify_judges_all_sets_of_what_was_chosen(verified, night: Night) -> None:
    kinds = Counter(one["calib_type"] for one in verified)
    assert kinds == Counter({"bias": 6, "dark": 4, "flat": 13, **SETS})
    verdicts = {kind: {o["verdict"] for o in verified if o["calib_type"] == kind} for kind in SETS}
    assert verdicts.pop("gain") == verdicts.pop("cti") == {"PASS", "UNKNOWN"}
    assert set.union(*verdicts.values()) == {"PASS"}, verdicts
    (alone,) = [o for o in verified if o["calib_type"] == "gain" and o["verdict"] == "UNKNOWN"]
    assert "no partner" in alone["reason"]
    (curve,) = [one for one in verified if one["calib_type"] == "ptc"]
    assert curve["provenance"]["members"] == list(night.ramp)
    assert (curve["exposure"], curve["algorithm"]) == (night.ramp[-1], "ptc 1")


def test_verify_without_sets_judges_none(night: Night) -> None:
    done = calwatch(
        "verify", night.root, "-I", "MiniCam", "--camera", MINI, "--json",
        "-e", night.ramp[0], "-e", night.ramp[1],
    )  # fmt: skip
    kinds = [json.loads(line)["calib_type"] for line in done.stdout.splitlines()]
    assert kinds == ["flat", "flat"]


def test_the_daemon_says_what_verify_says(verified, night: Night) -> None:
    for kind, test in (("ptc", "PTC_GAIN"), ("gain", "PAIR_GAIN")):
        (curve,) = [
            o for o in verified if (o["calib_type"], o["exposure"]) == (kind, night.ramp[-1])
        ]
        for amp, judged in curve["amps"].items():
            found = explain(night, night.ramp[-1], 0, amp, test)
            assert (found["value"], found["verdict"]) == (
                judged["tests"][test]["value"], judged["tests"][test]["verdict"],
            )  # fmt: skip


def test_a_test_of_a_set_is_explained_from_its_pairs(night: Night) -> None:
    found = explain(night, night.ramp[-1], 0, "C03", "PTC_GAIN")
    assert found["verdict"] == "PASS"
    assert found["calibrations"][0]["calib_type"] == "ptc"
    assert found == explain(night, night.ramp[-1], 0, "C03", "PTC_GAIN", "--of", "ptc")
    pair = explain(night, night.ramp[3], 0, "C03", "PAIR_GAIN", "--of", "gain")
    assert pair["verdict"] == "PASS"
    assert len(pair["earlier"]) == 1
    assert (found["light"], pair["light"]) == ("", "")
    text = " ".join(
        calwatch(
            "explain", night.ramp[-1], 0, "C03", "PTC_GAIN", "--config", night.config
        ).output.split()
    )
    for words in ("PTC_GAIN of R00_S00/C03, ptc", "DMTN-101 §16.1", "Certified calibrations used"):
        assert words in text, words


def test_linearity_is_explained_with_its_light(night: Night) -> None:
    words = "by the exposure time: no exposure has a photodiode"
    asked = (night.ramp[-1], 0, "C03", "MAX_RESIDUAL", "--of", "linearity")
    assert explain(night, *asked)["light"] == words
    assert words in calwatch("explain", *asked, "--config", night.config).output


@pytest.mark.parametrize(
    ("which", "words", "cause"),
    [
        (2, ("PTC_GAIN",), "no ptc that ends with exposure"),
        (0, ("PAIR_GAIN", "--of", "gain"), "no gain that ends with exposure"),
        (1, ("PTC_GAIN", "--of", "gain"), "has no test 'PTC_GAIN'; there are"),
    ],
)
def test_what_was_not_judged_is_told(night: Night, which: int, words, cause: str) -> None:
    with pytest.raises(StopError, match=cause):
        explain(night, night.ramp[which], 0, "C03", *words)
