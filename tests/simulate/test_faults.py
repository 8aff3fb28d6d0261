from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from calwatch.camera.model import Camera, Detector
from calwatch.errors import StopError
from calwatch.simulate.faults import KINDS, file_effects, frame_effects, parse_fault
from calwatch.simulate.frames import make_frame
from calwatch.simulate.maps import PixelMaps
from calwatch.simulate.model import FrameEffects, SimulatedExposure
from calwatch.simulate.truth import DetectorTruth

Take = Callable[..., SimulatedExposure]


@pytest.fixture
def pair(
    camera: Camera, detector: Detector, truth: DetectorTruth, maps: PixelMaps, take: Take
) -> Callable[[str, str], tuple[np.ndarray, np.ndarray]]:
    """Make one exposure without and with a fault."""

    def _pair(spec: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
        exposure = take(kind)
        effects = frame_effects([parse_fault(spec, camera, camera.detectors)], exposure, detector)
        good = make_frame(detector, truth, maps, exposure, FrameEffects())
        return good, make_frame(detector, truth, maps, exposure, effects)

    return _pair


def _changed(detector: Detector, good: np.ndarray, bad: np.ndarray) -> list[str]:
    return [
        name
        for name, a, b in zip(detector.amp_names, good, bad, strict=True)
        if not np.array_equal(a, b)
    ]


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_read_noise_changes_one_amplifier(pair, detector: Detector, factor: float) -> None:
    good, bad = pair(f"read_noise:amp=R00_S00/C03,factor={factor}", "bias")
    assert _changed(detector, good, bad) == ["C03"]
    index = detector.amp_names.index("C03")
    ratio = bad[index, 60:, 123:].std() / good[index, 60:, 123:].std()
    assert ratio == pytest.approx(factor, rel=0.02)


def test_read_noise_of_a_readout_board(pair, detector: Detector) -> None:
    assert _changed(detector, *pair("read_noise:reb=R00_Reb0", "dark")) == list(detector.amp_names)
    assert _changed(detector, *pair("read_noise:raft=R00", "dark")) == list(detector.amp_names)
    assert _changed(detector, *pair("read_noise:detector=1", "dark")) == []


def test_gain_step_scales_the_signal_above_the_bias(pair, detector: Detector) -> None:
    good, bad = pair("gain_step:amp=R00_S00/C10,factor=1.06", "flat")
    assert _changed(detector, good, bad) == ["C10"]
    above = [frame[0, 10:90, 30:100].mean() - frame[0, 60:, 130:].mean() for frame in (good, bad)]
    assert above[0] / above[1] == pytest.approx(1.06, rel=1e-3)


def test_bias_jump_moves_the_whole_frame(pair, detector: Detector) -> None:
    good, bad = pair("bias_jump:amp=R00_S00/C17,adu=25", "bias")
    assert _changed(detector, good, bad) == ["C17"]
    index = detector.amp_names.index("C17")
    assert np.unique(bad[index] - good[index]).tolist() == [25]


def test_bias_shift_moves_rows_with_their_overscan(pair, detector: Detector) -> None:
    good, bad = pair("bias_shift:amp=R00_S00/C00,r0=40,r1=70,adu=-12", "bias")
    assert _changed(detector, good, bad) == ["C00"]
    step = (bad - good)[detector.amp_names.index("C00")]
    assert np.unique(step[40:70]).tolist() == [-12]
    assert not step[:40].any()
    assert not step[70:].any()


def test_light_leak_brightens_darks_only(pair, truth: DetectorTruth) -> None:
    good, bad = pair("light_leak:rate=2.0", "dark")
    for index, amp in enumerate(truth.amps.values()):
        rise = (bad[index, 5:95, 5:120].mean() - good[index, 5:95, 5:120].mean()) * amp.gain
        assert rise == pytest.approx(60.0, rel=0.05)
    assert np.array_equal(*pair("light_leak:rate=2.0", "bias"))


def test_lamp_off_leaves_no_light(pair) -> None:
    good, bad = pair("lamp_off", "flat")
    assert good[:, :100, 10:100].mean() - good[:, :, 130:].mean() > 10_000
    assert abs(bad[:, :100, 10:100].mean() - bad[:, :, 130:].mean()) < 5


def test_dead_amp_is_constant(pair, detector: Detector) -> None:
    good, bad = pair("dead_amp:amp=R00_S00/C05,value=7", "bias")
    assert _changed(detector, good, bad) == ["C05"]
    assert np.unique(bad[detector.amp_names.index("C05")]).tolist() == [7]


def test_saturated_flat_stands_at_full_well(pair, detector: Detector, truth: DetectorTruth) -> None:
    _, bad = pair("saturated_flat", "flat")
    for index, amp in enumerate(truth.amps.values()):
        level = (bad[index, 10:90, 10:100].mean() - bad[index, 60:, 130:].mean()) * amp.gain
        assert level == pytest.approx(amp.full_well, rel=0.01)


def test_file_faults(camera: Camera, detector: Detector, take: Take) -> None:
    specs = (
        "wrong_sequencer:file=other.seq",
        "missing_hdu:amp=R00_S00/C11",
        "truncated_file:keep=0.5",
        "nan_header:key=EXPTIME,type=bias",
    )
    faults = [parse_fault(spec, camera, camera.detectors) for spec in specs]
    effects = file_effects(faults, take("bias"), detector)
    assert effects.header["SEQFILE"] == effects.header["SEQNAME"] == "other.seq"
    assert effects.header["EXPTIME"] == "NaN"
    assert effects.drop_segments == ("C11",)
    assert effects.keep_fraction == 0.5
    assert frame_effects(faults, take("bias"), detector) == FrameEffects()
    other = file_effects(faults, take("bias"), camera.detector(1))
    assert other.drop_segments == ()


def test_selection_by_night_type_and_number(camera: Camera, take: Take) -> None:
    fault = parse_fault("read_noise:night=2,type=dark,number=3", camera, camera.detectors)
    assert fault.touches(take("dark", night=2, current=3))
    assert not fault.touches(take("dark", night=1, current=3))
    assert not fault.touches(take("dark", night=2, current=2))
    assert not fault.touches(take("bias", night=2, current=3))
    everywhere = parse_fault("read_noise", camera, camera.detectors)
    assert everywhere.touches(take("bias"))
    assert not everywhere.touches(take("bias", night=0))


def test_a_fault_describes_whom_it_hits(camera: Camera, take: Take) -> None:
    fault = parse_fault("read_noise:amp=0/C03,night=1", camera, camera.detectors)
    exposures = [take("bias", seq_num=1), take("dark", seq_num=2, night=2)]
    record = fault.describe(exposures, camera.detectors)
    assert record["exposures"] == [2026030900001]
    assert record["amps"] == {"R00_S00": ["C03"]}
    assert record["detectors"] == ["R00_S00"]
    assert "NOISE" in record["expected_tests"]
    missing = parse_fault("missing_calibration:type=dark,night=2", camera, camera.detectors)
    assert missing.describe(exposures, camera.detectors)["exposures"] == [2026030900002]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ghost", "unknown kind 'ghost'"),
        ("read_noise:factr=2", "no key 'factr'"),
        ("read_noise:factor", "is not key=value"),
        ("read_noise:factor=2,factor=3", "given twice"),
        ("read_noise:factor=two", "is not a number"),
        ("read_noise:factor=nan", "not a finite number"),
        ("read_noise:factor=-1", "must be above 0"),
        ("read_noise:amp=R00_S00/C99", "no simulated amplifier"),
        ("read_noise:amp=C03", "no simulated amplifier"),
        ("read_noise:raft=R99", "is not simulated"),
        ("read_noise:detector=77", "no detector 77"),
        ("read_noise:amp=R00_S00/C03,raft=R00", "give only one"),
        ("read_noise:night=0", "counts from 1"),
        ("read_noise:type=science", "type=science"),
        ("lamp_off:type=bias", "type=bias"),
        ("dead_amp", "name the amplifier"),
        ("dead_amp:amp=R00_S00/C03,value=300000", "must lie in"),
        ("bias_shift:r0=100,r1=50", "rows 100 to 50"),
        ("truncated_file:keep=1.5", "below 1"),
        ("nan_header:key=OBSID", "key must be one of"),
        ("missing_calibration", "which calibration"),
        ("missing_calibration:type=skyflat", "which calibration"),
    ],
)
def test_a_bad_specification_is_refused_by_name(camera: Camera, spec: str, message: str) -> None:
    with pytest.raises(StopError, match=message) as caught:
        parse_fault(spec, camera, camera.detectors)
    assert spec in str(caught.value)


def test_every_kind_says_which_tests_should_notice() -> None:
    assert all(kind.tests and kind.summary for kind in KINDS.values())
