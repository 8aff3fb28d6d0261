from __future__ import annotations

import csv
import io

import pytest
from night_scene import BROKEN, DAY
from web_scene import Client

NOISY = f"/exposures/LSSTCam/{DAY * 100000 + 1}/R22_S11"
UNREADABLE = f"/exposures/LSSTCam/{DAY * 100000 + 3}/{BROKEN}"


def test_every_test_has_value_range_verdict_and_section(nights: Client) -> None:
    rows = nights.get(f"{NOISY}?format=json").json()["tests"]
    noise = next(row for row in rows if (row["part"], row["test"]) == ("C05", "NOISE"))
    assert noise["verdict"] == "FAIL"
    assert noise["lower"] < noise["upper"] < noise["value"]
    assert (noise["unit"], noise["section"], noise["counts"]) == ("e-", "4.3", "yes")
    drifting = next(row for row in rows if (row["part"], row["test"]) == ("C07", "NOISE"))
    assert drifting["verdict"] == "WARNING"


def test_what_failed_stands_first_and_what_does_not_count_last(nights: Client) -> None:
    rows = nights.get(f"{NOISY}?format=json").json()["tests"]
    order = [
        (row["counts"] == "no", ("FAIL", "UNKNOWN", "WARNING", "PASS").index(row["verdict"]))
        for row in rows
    ]
    assert order == sorted(order)
    assert len({(row["part"], row["test"]) for row in rows}) == len(rows)


def test_the_formula_and_the_paragraph_stand_beside_it(nights: Client) -> None:
    text = nights.get(NOISY).text
    assert "≤ NOISE" in text
    assert "§4.3" in text
    assert "the noise (NOISE) must be within 5 %" in text


def test_each_test_of_an_amplifier_leads_to_its_trend(nights: Client) -> None:
    text = nights.get(NOISY).text
    assert 'href="/amplifiers/LSSTCam/R22_S11/C05?type=bias&amp;show=NOISE&amp;exposure=' in text


def test_provenance_is_told(nights: Client) -> None:
    text = nights.get(NOISY).text
    for words in (
        "s3://raw/LSSTCam/20261122/2026112200001/R22_S11.fits",
        "LSSTCam/calib",
        "FP_E2V_2s_l3cp_v30.seq",
        "overscan, gain, bias",
        "linearity: no linearizer",
        "dmtn101 2026-11-22",
    ):
        assert words in text, words


def test_numbers_are_had_as_csv_a_column_an_amplifier(nights: Client) -> None:
    rows = list(csv.DictReader(io.StringIO(nights.get(f"{NOISY}?format=csv&table=numbers").text)))
    noise = next(row for row in rows if row["metric"] == "NOISE")
    assert float(noise["C05"]) > 1.3 * float(noise["C04"])


def test_a_detector_that_could_not_be_judged_says_why(nights: Client) -> None:
    text = nights.get(UNREADABLE).text
    assert "HDU Segment06 is truncated &lt;sic&gt;" in text
    assert "None: nothing could be measured." in text
    assert nights.get(f"{UNREADABLE}?format=csv").status_code == 200


@pytest.mark.parametrize("detector", ["94", "R22_S11"])
def test_a_detector_is_found_by_number_and_by_name(nights: Client, detector: str) -> None:
    assert "R22_S11 in bias" in nights.get(f"/exposures/LSSTCam/{DAY * 100000 + 1}/{detector}").text


@pytest.mark.parametrize(
    ("detector", "words"),
    [("R99_S99", "R99_S99"), ("9" * 30, "no detector"), ("R42_S00", "has not been judged")],
)
def test_a_detector_that_does_not_exist_is_told(nights: Client, detector: str, words: str) -> None:
    answer = nights.get(f"/exposures/LSSTCam/{DAY * 100000 + 2}/{detector}")
    assert (answer.status_code, words in answer.text) == (404, True)
