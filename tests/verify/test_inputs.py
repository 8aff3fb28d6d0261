from dataclasses import replace

import numpy as np
import pytest

from calwatch.camera.raw_tiles import RawTiles
from calwatch.isr.census import take_census
from calwatch.verify.inputs import check_raw, reference_fault


@pytest.fixture
def pixels():
    return np.random.default_rng(1).normal(25_000, 4, (4, 120, 147)).round().astype(np.int32)


def test_a_healthy_frame_has_no_fault(pixels, detector, ptc):
    found = check_raw(pixels, detector, "bias", ptc)
    assert found.faults == ("", "", "", "")
    np.testing.assert_array_equal(found.saturated, 0)


@pytest.mark.parametrize(
    ("value", "fraction", "words"),
    [
        (0, 1.0, "all raw pixels are 0"),
        (25_000, 1.0, "all raw pixels are 25000"),
        (0, 0.6, "60 % of raw pixels stand at 0"),
        (65_535, 0.79, "79 % of raw pixels stand at 65535"),
        (65_535, 0.9995, "99.95 % of raw pixels stand at 65535"),
        (262_143, 0.5, "50 % of raw pixels stand at 262143"),
    ],
)
def test_an_amplifier_not_read_out_is_named_and_its_neighbours_are_not(
    pixels, detector, value, fraction, words
):
    flat = pixels[2].reshape(-1)
    flat[: round(fraction * flat.size)] = value
    found = check_raw(pixels, detector, "dark")
    assert found.faults == ("", "", words, "")


def test_less_than_half_is_no_fault(pixels, detector):
    pixels[1].reshape(-1)[: int(0.49 * pixels[1].size)] = 65_535
    assert check_raw(pixels, detector, "bias").faults == ("", "", "", "")


def test_not_a_number(pixels, detector):
    values = pixels.astype(np.float32)
    values[0] = np.nan
    values[1].reshape(-1)[:100] = np.nan
    found = check_raw(values, detector, "bias")
    assert found.faults == ("100 % of raw pixels are not numbers", "", "", "")


def test_light_may_rail_the_imaging_pixels_of_a_flat(pixels, detector, ptc):
    box = detector.amplifiers[0].data
    pixels[0][box.slices] = 262_143
    assert check_raw(pixels, detector, "bias", ptc).faults[0]
    found = check_raw(pixels, detector, "flat", ptc)
    assert found.faults == ("", "", "", "")
    np.testing.assert_array_equal(found.saturated, [1, 0, 0, 0])


def test_light_does_not_rail_the_overscan(pixels, detector, ptc):
    pixels[0, :, 3:] = 262_143
    assert "stand at 262143" in check_raw(pixels, detector, "flat", ptc).faults[0]


def test_saturation_in_flats_begins_at_the_certified_turnoff(pixels, detector, ptc):
    box = detector.amplifiers[3].data
    pixels[3][box.slices][:10] = 25_100 + 80_000  # 10 of 100 rows above the turnoff
    assert check_raw(pixels, detector, "flat", ptc).saturated[3] == pytest.approx(0.1)
    assert check_raw(pixels, detector, "dark", ptc).saturated[3] == 0
    without = replace(ptc, turnoff=np.full(4, np.nan))
    assert check_raw(pixels, detector, "flat", without).saturated[3] == 0
    assert check_raw(pixels, detector, "flat", None).saturated[3] == 0


def test_tiles_are_decoded_only_of_amplifiers_that_the_census_does_not_clear(
    pixels, detector, ptc, monkeypatch
):
    pixels[0, 0, 0] = 65_535
    pixels[3][detector.amplifiers[3].data.slices][:10] = 25_100 + 80_000
    decoded = []
    monkeypatch.setattr(
        RawTiles, "decode_amplifier", lambda _, amp: decoded.append(amp) or pixels[amp]
    )
    nothing = np.empty(0)
    tiles = RawTiles("", (), nothing, nothing, nothing, 0)
    census = tuple(take_census(amplifier) for amplifier in pixels)
    found = check_raw(tiles, detector, "flat", ptc, census)
    assert decoded == [0, 3]
    expected = check_raw(pixels, detector, "flat", ptc)
    assert found.faults == expected.faults
    np.testing.assert_array_equal(found.saturated, expected.saturated)


@pytest.mark.parametrize(
    ("gain", "noise", "words"),
    [
        (1.5, 6.0, ""),
        (0.0, 6.0, "the certified gain of 0 is absurd"),
        (-1.0, 6.0, "the certified gain of -1 is absurd"),
        (117.0, 6.0, "the certified gain of 117 is absurd"),
        (np.nan, 6.0, "the certified PTC has no gain (NaN)"),
        (1.5, 0.0, "the certified noise of 0 is absurd"),
        (1.5, 1420.0, "the certified noise of 1.42e+03 is absurd"),
        (1.5, np.inf, "the certified PTC has no noise (NaN)"),
    ],
)
def test_absurd_references(gain, noise, words):
    assert reference_fault(gain, noise) == words
