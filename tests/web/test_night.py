from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from night_scene import BEFORE, DAY
from web_scene import Client

from calwatch.web.night import late


def test_tonight_has_the_newest_day_of_every_instrument(nights: Client) -> None:
    text = nights.get("/").text
    assert text.index("LATISS, day 20261122") < text.index("LSSTCam, day 20261122")
    assert f'href="/nights/LSSTCam/{BEFORE}"' in text
    assert "3 exposures, 3 FAIL" in text
    assert "2 exposures, 2 PASS" in text
    assert "never good" in text
    assert 'data-judgement="' in text


def test_a_mark_says_its_verdict_its_filter_and_how_many_detectors_are_bad(nights: Client) -> None:
    text = " ".join(nights.get(f"/nights/LSSTCam/{DAY}").text.split())
    assert '<span class="unseen">FAIL </span>2 <small>3<' in text
    assert '<span class="unseen">PASS </span>7 <small>i_39</small>' in text


def test_days_lead_to_each_other(nights: Client) -> None:
    text = nights.get(f"/nights/LSSTCam/{BEFORE}").text
    assert f'rel="next" href="/nights/LSSTCam/{DAY}"' in text
    assert 'rel="prev"' not in text
    assert "last good" not in text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nights/LSSTCam/20261201", "nothing was judged on 20261201, but on 20261122"),
        ("/nights/LSSTCam/99999999999999999999", "but on 20261122"),
        ("/nights/ComCam/20261122", "no instrument 'ComCam' is watched here"),
        ("/nights/ComCam", "no instrument"),
    ],
)
def test_a_day_that_does_not_exist_is_told(nights: Client, path: str, words: str) -> None:
    answer = nights.get(path)
    assert answer.status_code == 404
    assert words in answer.text.replace("&#39;", "'")


def test_the_name_of_an_instrument_leads_to_its_newest_day(nights: Client, client: Client) -> None:
    assert nights.get("/nights/LATISS").headers["location"] == f"/nights/LATISS/{DAY}"
    assert "nothing has been judged yet" in client.get("/nights/LATISS").text


def test_all_exposures_are_had_as_csv_and_json(nights: Client) -> None:
    rows = list(csv.DictReader(io.StringIO(nights.get("/?format=csv&table=exposures").text)))
    assert len(rows) == 5 + 7
    failed = [row["exposure"] for row in rows if row["verdict"] == "FAIL"]
    assert failed[:2] == ["2026112200004", "2026112200005"]
    told = nights.get(f"/nights/LSSTCam/{DAY}?format=json").json()
    assert [row["n_fail"] for row in told["exposures"]] == [1, 3, 1, 0, 0, 0, 0]
    checks = {row["calib_type"]: row for row in told["checks"]}
    assert checks["bias"]["good"] == 2026112100001
    assert checks["bias"]["late"] == "no"


@pytest.mark.parametrize(
    ("hours", "allowed", "expected"),
    [
        (35, 36.0, False),
        (37, 36.0, True),
        (None, 36.0, True),
        (None, None, True),
        (99, None, False),
    ],
)
def test_a_check_is_late_after_the_time_that_is_expected(hours, allowed, expected) -> None:
    age = None if hours is None else timedelta(hours=hours)
    assert late(age, allowed) is expected
