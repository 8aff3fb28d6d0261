from __future__ import annotations

import pytest
from night_scene import BEFORE, DAY
from web_scene import Client

FIRST_NEW, NEW, OLD = (
    f"/chain/LSSTCam/{day * 100000 + number}/R22_S11"
    for day, number in ((DAY, 1), (DAY, 2), (BEFORE, 2))
)


def test_the_type_under_test_stands_first(nights: Client) -> None:
    used = nights.get(f"{NEW}?format=json").json()["used"]
    assert [row["calib_type"] for row in used] == ["bias", "defects", "ptc"]
    assert used[0]["uuid"] == "bias-R22_S11-b"
    assert used[0]["collection"].endswith("20261101b")


@pytest.mark.parametrize("path", [FIRST_NEW, NEW])
def test_since_when_it_is_used_is_told(nights: Client, path: str) -> None:
    told = nights.get(f"{path}?format=json").json()
    assert {row["since"] for row in told["used"]} == {DAY * 100000 + 1}
    changes = {row["calib_type"]: row for row in told["changes"]}
    assert set(changes) == {"bias", "defects", "ptc"}
    assert changes["bias"]["before"].endswith("20261101a")
    assert changes["bias"]["after"].endswith("20261101b")
    assert f'href="/exposures/LSSTCam/{DAY * 100000 + 1}"' in nights.get(path).text


def test_without_a_change_there_is_none(nights: Client) -> None:
    told = nights.get(f"{OLD}?format=json").json()
    assert told["changes"] == []
    assert {row["since"] for row in told["used"]} == {None}


def test_what_is_missing_has_its_reason(nights: Client) -> None:
    told = nights.get(f"{NEW}?format=json").json()
    assert told["missing"] == [
        {
            "calib_type": "linearizer",
            "reason": "certified, but not valid at the time of the exposure",
        }
    ]


def test_why_a_calibration_was_chosen_is_told(nights: Client) -> None:
    text = " ".join(nights.get(NEW).text.split())
    assert "whose range of validity holds that moment" in text
    assert "first in the chain <code>LSSTCam/calib</code>" in text


@pytest.mark.parametrize("path", ["/chain/LSSTCam/7/R22_S11", f"{NEW[:-7]}R99", "/chain/X/7/1"])
def test_a_chain_that_does_not_exist_is_told(nights: Client, path: str) -> None:
    assert nights.get(path).status_code == 404
