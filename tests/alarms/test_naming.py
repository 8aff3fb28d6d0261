"""Parts in words, and many of them in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import amps

from calwatch.alarms.naming import board, compress, how_many, pieces, short_where, where
from calwatch.camera.loader import load_camera

WHOLE = list(amps("LSSTCam"))


@pytest.mark.parametrize(
    ("part", "level", "words"),
    [
        ("R22_S11/C05", "amplifier",
         "amplifier C05 of detector R22_S11 (raft R22, board R22_Reb1)"),
        ("R22_S11", "CCD", "detector R22_S11 (raft R22, board R22_Reb1)"),
        ("R44_SW0", "CCD", "detector R44_SW0 (raft R44, board R44_RebW)"),
        ("R22_Reb1", "REB", "board R22_Reb1 (raft R22)"),
        ("R22", "raft", "raft R22"),
        ("LSSTCam", "focal plane", "the whole camera"),
        ("RXX_S00/C03", "amplifier", "amplifier C03 of detector RXX_S00"),
        ("X9", "part", "part X9"),
    ],
)  # fmt: skip
def test_where_a_part_is(part: str, level: str, words: str) -> None:
    assert where(part, level) == words


def test_the_names_say_what_the_camera_says() -> None:
    for instrument in ("LSSTCam", "LSSTComCam"):
        for detector in load_camera(instrument).detectors:
            assert board(detector.name) == detector.reb
            assert f"(raft {detector.raft}, board {detector.reb})" in where(detector.name, "CCD")
    assert board("RXX_S00") == ""


def test_short_names() -> None:
    assert short_where("LSSTCam", "R22_S11/C05", "amplifier") == "LSSTCam R22_S11/C05"
    assert short_where("LSSTCam", "R22", "raft") == "LSSTCam raft R22"
    assert short_where("LSSTCam", "R22_Reb1", "REB") == "LSSTCam board R22_Reb1"
    assert short_where("LSSTCam", "LSSTCam", "focal plane") == "LSSTCam"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], ""),
        (["R22_S11/C05"], "R22_S11/C05"),
        (["R22_S11/C05", "R22_S11/C06", "R22_S12/C00"], "R22_S11/C05, R22_S11/C06, R22_S12/C00"),
        (amps("R22_S11")[:9], "9 amplifiers of R22_S11"),
        (amps("R22_S11"), "all of R22_S11"),
        (amps("R44_SW0"), "all of R44_SW0"),
        (amps("R22_Reb1"), "all of R22_S10 to R22_S12"),
        (amps("R22"), "all of R22_S00 to R22_S22"),
        ([*amps("R22_S00"), "R22_S01/C05", *amps("R22_S02")],
         "all of R22_S00, all of R22_S02, R22_S01/C05"),
        (["R22_S00", "R22_S01", "R23_S02"], "R22_S00 and R22_S01, R23_S02"),
        ([*amps("R22"), *amps("R23"), *amps("R24_S00")],
         "all of rafts R22 and R23, all of R24_S00"),
        ([f"R22_S1{n % 3}/C0{n}" for n in range(7)] + ["R30_S00/C10", "R30_S01/C10", "R30_S02/C10"],
         "R22_S10/C00, R22_S10/C03, R22_S10/C06, R22_S11/C01, R22_S11/C04, R22_S12/C02, "
         "R22_S12/C05, R30_S00/C10, R30_S01/C10, R30_S02/C10"),
    ],
)  # fmt: skip
def test_many_parts_in_one_line(members: list[str], words: str) -> None:
    assert compress(members) == words


def test_what_is_not_named_is_counted() -> None:
    scattered = [f"R{raft}_S11/C05" for raft in range(10, 40)]
    assert compress(scattered, 2) == "R10_S11/C05, R11_S11/C05 and 28 more amplifiers"
    assert compress(["R10_S11", "R12_S11", "R13_S11"], 2) == "R10_S11, R12_S11 and 1 more detector"
    assert compress(["X1", "X2/a"], 1) == "X1 and 1 more amplifier"


def test_counting() -> None:
    assert how_many(amps("R22"), 144) == "144 of 144 amplifiers"
    assert how_many(["R22_S11/C05"], 0) == "1 amplifier"
    assert how_many(["R22_S11", "R22_S12"], 9) == "2 of 9 detectors"
    assert how_many(["R22_S11", "R22_S12/C00"], 9) == "2 of 9 parts"


@given(st.sets(st.sampled_from(WHOLE), max_size=600))
def test_every_part_stands_in_one_entry(chosen: set[str]) -> None:
    members = [name for name in WHOLE if name in chosen]
    named = [name for piece in pieces(members) for name in piece.names]
    assert sorted(named) == sorted(members)


@given(st.lists(st.text(max_size=12), max_size=20))
def test_strange_names_do_no_harm(members: list[str]) -> None:
    named = [name for piece in pieces(members) for name in piece.names]
    assert len(named) >= len({name.partition("/")[0] for name in members})
    assert isinstance(compress(members, 3), str)


@pytest.mark.parametrize("part", ["R22", "R22_Reb1", "R44", "LSSTCam", "R01_S00"])
def test_a_whole_part_is_one_short_line(part: str) -> None:
    text = compress(amps(part))
    assert text.startswith("all of ")
    assert "more" not in text
    assert len(text) < 300
