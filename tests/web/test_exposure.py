from __future__ import annotations

import csv
import io

import pytest
from night_scene import BROKEN, DAY
from web_scene import Client

RAFT_BAD, CUT_SHORT, GOOD_DARK = DAY * 100000 + 2, DAY * 100000 + 3, DAY * 100000 + 5


def page(nights: Client, exposure: int, instrument: str = "LSSTCam") -> str:
    return " ".join(nights.get(f"/exposures/{instrument}/{exposure}").text.split())


def test_an_exposure_says_in_words_what_failed(nights: Client) -> None:
    text = page(nights, CUT_SHORT)
    assert (
        "1 of 5 detectors failed: R22_S11. 1 of 5 detectors could not be judged: R01_S00." in text
    )
    assert "HDU Segment06 is truncated &lt;sic&gt;" in text
    assert "5 of 5 detectors passed." in page(nights, GOOD_DARK)


def test_the_gravest_test_stands_first_and_leads_to_its_amplifier(nights: Client) -> None:
    rows = nights.get(f"/exposures/LSSTCam/{RAFT_BAD}?format=json&table=problems").json()[
        "problems"
    ]
    first, last = rows[0], rows[-1]
    assert (first["detector"], first["amp"], first["verdict"]) == ("R22_S11", "C05", "FAIL")
    assert first["value"] > first["upper"]
    assert first["distance"] > 1
    assert last["verdict"] == "WARNING"
    assert {row["detector"] for row in rows} == {"R22_S11", "R30_S00", "R30_S01"}
    address = f"/amplifiers/LSSTCam/R22_S11/C05?type=bias&amp;show={first['test']}"
    assert f'href="{address}&amp;exposure={RAFT_BAD}"' in page(nights, RAFT_BAD)


def test_more_rows_than_are_shown_are_told(nights: Client) -> None:
    count = len(nights.get(f"/exposures/LSSTCam/{RAFT_BAD}?format=json").json()["problems"])
    assert f"The gravest 20 of {count}; all of them:" in page(nights, RAFT_BAD)


def test_every_detector_stands_in_its_raft(nights: Client) -> None:
    text = page(nights, RAFT_BAD)
    places = [text.index(f"<dt>{raft}</dt>") for raft in ("R01", "R22", "R30")]
    assert places == sorted(places)
    for name, verdict in (("R01_S00", "PASS"), ("R22_S11", "FAIL"), ("R30_S01", "FAIL")):
        raft, slot = name.split("_")
        assert f'<span class="unseen">{verdict} {raft} </span>{slot}</a>' in text
        assert f'href="/exposures/LSSTCam/{RAFT_BAD}/{name}"' in text


def test_exposures_of_a_type_lead_to_each_other(nights: Client) -> None:
    text = page(nights, RAFT_BAD)
    assert f'rel="prev" href="/exposures/LSSTCam/{RAFT_BAD - 1}"' in text
    assert f'rel="next" href="/exposures/LSSTCam/{RAFT_BAD + 1}"' in text
    assert 'rel="next"' not in page(nights, CUT_SHORT)


def test_detectors_are_had_as_csv_failures_first(nights: Client) -> None:
    text = nights.get(f"/exposures/LSSTCam/{CUT_SHORT}?format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["verdict"] for row in rows] == ["FAIL", "UNKNOWN", "PASS", "PASS", "PASS"]
    assert rows[1]["name"] == BROKEN


def test_a_camera_of_one_detector_has_a_page_too(nights: Client) -> None:
    assert "1 of 1 detector failed: RXX_S00." in page(nights, DAY * 100000 + 4, "LATISS")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/exposures/LSSTCam/7", "LSSTCam: exposure 7 has not been judged"),
        (f"/exposures/LSSTCam/{2**63}", "has not been judged"),
        ("/exposures/Nothing/7", "no instrument"),
    ],
)
def test_an_exposure_that_does_not_exist_is_told(nights: Client, path: str, words: str) -> None:
    answer = nights.get(path)
    assert (answer.status_code, words in answer.text) == (404, True)
