"""Truth recovered from frames by the plainest means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from calwatch.camera.model import Detector
from calwatch.simulate.frames import bias_level, make_frame
from calwatch.simulate.maps import PixelMaps, make_maps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.truth import DetectorTruth

Take = Callable[..., SimulatedExposure]
NO_FAULT = FrameEffects()


def _data(detector: Detector, frame: np.ndarray, index: int) -> np.ndarray:
    return frame[index][detector.amplifiers[index].data.slices].astype(np.float64)


def _overscan(detector: Detector, frame: np.ndarray, index: int) -> np.ndarray:
    box = detector.amplifiers[index].serial_overscan
    return frame[index][box.slices].astype(np.float64)[:, 3:-3]


def test_read_noise_and_level_stand_in_the_overscan(
    detector: Detector, truth: DetectorTruth, maps: PixelMaps, take: Take
) -> None:
    exposures = [take(seq_num=i, current=i) for i in (1, 2)]
    first, second = (make_frame(detector, truth, maps, e, NO_FAULT) for e in exposures)
    for index, amp in enumerate(detector.amplifiers):
        t = truth.amps[amp.name]
        a, b = (_overscan(detector, frame, index) for frame in (first, second))
        expected = np.sqrt((t.read_noise / t.gain) ** 2 + t.row_noise**2 + 1 / 12)
        measured = (a - b).std() / np.sqrt(2)
        assert abs(measured / expected - 1) < 4.5 / np.sqrt(2 * a.size)
        level = bias_level(truth, exposures[0], index, amp)
        late_rows = a[60:].mean()
        assert abs(late_rows - level) < 4.5 * expected / np.sqrt(a[60:].size) + 0.05


def test_dark_current_is_what_a_long_dark_holds(
    detector: Detector, truth: DetectorTruth, maps: PixelMaps, take: Take
) -> None:
    seconds = 2000.0
    dark = make_frame(detector, truth, maps, take("dark", dark_time=seconds), NO_FAULT)
    bias = make_frame(detector, truth, maps, take("dark", dark_time=0.0), NO_FAULT)
    for index, amp in enumerate(detector.amplifiers):
        t = truth.amps[amp.name]
        signal = (_data(detector, dark, index) - _data(detector, bias, index)) * t.gain
        charge = t.dark_current * seconds
        error = np.sqrt((charge + 2 * t.read_noise**2 + 0.2) / signal.size)
        assert abs(signal.mean() - charge) < 4.5 * error + 0.02 * t.gain


def test_photon_transfer_gives_gain_and_the_brighter_fatter_deficit(
    detector: Detector, truth: DetectorTruth, maps: PixelMaps, take: Take
) -> None:
    deficits = []
    for electrons in (2_000.0, 60_000.0):
        flats = [
            make_frame(
                detector, truth, maps, take("flat", seq_num=i, electrons=electrons), NO_FAULT
            )
            for i in (1, 2)
        ]
        ratios = []
        for index, amp in enumerate(detector.amplifiers):
            t = truth.amps[amp.name]
            a, b = (
                _data(detector, flat, index) - np.median(_overscan(detector, flat, index))
                for flat in flats
            )
            mean = (a + b).mean() / 2
            b *= a.mean() / b.mean()
            variance = (a - b).var() / 2 - (t.read_noise / t.gain) ** 2
            bend = t.nonlinearity * mean / 60_000.0
            ratios.append(variance / mean * t.gain / (1 + 3 * bend))
        deficits.append(np.mean(ratios))
    a00 = np.mean([amp.a00 for amp in truth.amps.values()])
    mu = 60_000.0 * np.mean([response.mean() for response in maps.response])
    error = 4.5 * np.sqrt(2 / (16 * 12_000))
    assert abs(deficits[0] - (1 + a00 * 2_000.0)) < error
    assert abs(deficits[1] - np.expm1(2 * a00 * mu) / (2 * a00 * mu)) < error + 0.001


def test_crosstalk_slope_of_a_bright_column(
    detector: Detector, truth: DetectorTruth, take: Take
) -> None:
    bright = replace(truth.amps["C12"], hot_columns=((60, 100_000.0),))
    changed = replace(truth, amps={**truth.amps, "C12": bright})
    maps = make_maps(detector, changed)
    frames = [
        make_frame(detector, changed, maps, take("dark", seq_num=i, dark_time=1.0), NO_FAULT)
        for i in range(1, 11)
    ]
    source = detector.amp_names.index("C12")
    for target in (source - 1, source + 1):
        t = truth.amps[detector.amp_names[target]]
        image = np.mean([_data(detector, frame, target) for frame in frames], axis=0)
        neighbours = (image[:, 59] + image[:, 61]) / 2
        rise = (image[:, 60] - neighbours).mean() * t.gain
        expected = truth.crosstalk[source][target] * 1e5
        expected += truth.crosstalk_quadratic[source][target] * 1e10
        assert abs(rise - expected) < 4.5 * t.read_noise * np.sqrt(1.5 / 1000)


def test_a_frame_is_a_function_of_its_arguments(
    detector: Detector, truth: DetectorTruth, maps: PixelMaps, take: Take
) -> None:
    first = make_frame(detector, truth, maps, take("flat"), NO_FAULT)
    again = make_frame(detector, truth, make_maps(detector, truth), take("flat"), NO_FAULT)
    other = make_frame(detector, truth, maps, take("flat", seq_num=2), NO_FAULT)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.int32
    assert first.shape == (16, 120, 147)


def test_overscans_hold_no_light(
    detector: Detector, truth: DetectorTruth, maps: PixelMaps, take: Take
) -> None:
    flat = make_frame(detector, truth, maps, take("flat"), NO_FAULT)
    for index, amp in enumerate(detector.amplifiers):
        serial = _overscan(detector, flat, index)
        parallel = flat[index][amp.parallel_overscan.slices]
        assert abs(np.median(serial) - np.median(parallel)) < 5.0
