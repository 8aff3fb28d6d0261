"""Bad input through the real judge: UNKNOWN with the file and the cause, and the next one judged.

Each test damages the raw file or one certified calibration of an exposure that is a PASS as it is.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from calwatch.arrivals.job import Job
from calwatch.arrivals.reconcile import reconcile
from calwatch.butler.lookup import fingerprint
from calwatch.butler.repository import Repository
from calwatch.calibrations.read import read_calibration
from calwatch.camera.raw import read_raw
from calwatch.errors import CameraError, UnreachableFileError
from calwatch.isr.switches import needed_calibrations
from calwatch.offline.certify import certify
from calwatch.offline.datasets import put_calibration
from calwatch.offline.formats import write_image_calibration, write_ptc
from calwatch.service.judge import Judge
from calwatch.service.judge_settings import JudgeSettings
from calwatch.settings import Settings
from calwatch.simulate.model import FileEffects, SimulatedExposure
from calwatch.simulate.raw_file import write_raw
from calwatch.verify.codec import to_dict
from calwatch.verify.model import DetectorResult, Verdict

OPEN = 4_102_444_800_000_000_000
END_2025 = 1_735_776_000_000_000_000
"""Nanoseconds as the registry holds them: no end, and 2025-01-02."""
BIAS, DARK, FLAT = (1, "bias", 1), (1, "dark", 1), (1, "flat", 1)
NEXT = (1, "bias", 2)


@pytest.fixture(scope="module")
def sound(nights, judge: Judge) -> Mapping[Any, DetectorResult]:
    """The results of the exposures that are used here, as they are."""
    results = {which: judge(nights.jobs[which]) for which in (BIAS, DARK, FLAT, NEXT)}
    assert {result.verdict for result in results.values()} == {Verdict.PASS}
    return results


@pytest.fixture(autouse=True)
def goes_on(nights, judge: Judge, sound):
    """Whatever a test gave the judge, the next exposure gets the numbers it always had."""
    yield
    assert to_dict(judge(nights.jobs[NEXT])) == to_dict(sound[NEXT])


@pytest.fixture
def damaged(nights, tmp_path: Path) -> Callable[..., Job]:
    """Give a job with a damaged copy of its raw file."""

    def _damaged(which, damage: Callable[[Path], None]) -> Job:
        job = nights.jobs[which]
        path = tmp_path / "damaged.fits"
        path.write_bytes(Path(job.raw.uri.removeprefix("file://")).read_bytes())
        damage(path)
        odd = path.rename(tmp_path / "raw file [1].fits")
        return replace(job, raw=replace(job.raw, uri=str(odd)))

    return _damaged


@pytest.fixture
def rewritten(nights, tmp_path: Path) -> Callable[..., Job]:
    """Give a job with a sound raw file of other pixels or other keywords."""

    def _rewritten(which, pixels: Callable[[Any], None] | None = None, **header: object) -> Job:
        job = nights.jobs[which]
        told = next(
            e for e in nights.truth.exposures if e["exposure_id"] == job.exposure.exposure_id
        )
        exposure = SimulatedExposure(**{k: v for k, v in told.items() if k != "files"})
        path = Path(job.raw.uri.removeprefix("file://"))
        frame = read_raw(path, nights.camera, nights.detector).pixels
        if pixels is not None:
            pixels(frame)
        new = tmp_path / "rewritten.fits"
        effects = FileEffects(header=header)
        write_raw(new, nights.camera, nights.detector, exposure, frame, effects)
        return replace(job, raw=replace(job.raw, uri=new.as_uri()))

    return _rewritten


@pytest.fixture
def recalibrated(nights, tmp_path: Path) -> Callable[..., Job]:
    """Give a job whose certified calibration of one type is another file."""

    def _recalibrated(which, calib_type: str, write: Callable[[Path, Any], None]) -> Job:
        job = nights.jobs[which]
        dataset = job.chain.datasets[calib_type]
        old = Path(dataset.uri.removeprefix("file://"))
        new = tmp_path / f"certified-{calib_type}.fits"
        write(new, read_calibration(calib_type, old, nights.detector))
        other = replace(dataset, uri=str(new), uuid=str(uuid4()))
        datasets = {**job.chain.datasets, calib_type: other}
        chain = replace(job.chain, datasets=datasets, fingerprint=fingerprint(datasets))
        return replace(job, chain=chain)

    return _recalibrated


def assert_unknown(result: DetectorResult, *words: str) -> None:
    assert result.verdict is Verdict.UNKNOWN
    for word in words:
        assert word in result.reason, result.reason
    assert "Traceback" not in result.reason
    assert "\n" not in result.reason


def unknown_amps(result: DetectorResult) -> set[str]:
    return {name for name, amp in result.amps.items() if amp.verdict is Verdict.UNKNOWN}


# Raw files that are not what the camera writes.


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])


def _in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("404 not found\n" * 1000)


def _flip(path: Path) -> None:
    with fits.open(path, disable_image_compression=True) as hdus:
        start = hdus["Segment03"].fileinfo()["datLoc"]
    data = bytearray(path.read_bytes())
    for at in range(start + 4000, start + 4032):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))


def _edit(path: Path, change: Callable[[fits.HDUList], None]) -> None:
    with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
        change(hdus)
        hdus.writeto(path, overwrite=True, output_verify="ignore")


def _without(path: Path) -> None:
    _edit(path, lambda hdus: hdus.pop("Segment12"))


def _extra(path: Path) -> None:
    fitsio.write(str(path), np.zeros((120, 147), dtype=np.int32), extname="Segment18")


def _twice(path: Path) -> None:
    with fits.open(path, disable_image_compression=True) as hdus:
        place = hdus["Segment12"].fileinfo()
    data = path.read_bytes()
    path.write_bytes(data + data[place["hdrLoc"] : place["datLoc"] + place["datSpan"]])


def _axes(path: Path) -> None:
    def change(hdus: fits.HDUList) -> None:
        hdus["Segment05"].header["ZNAXIS2"] = 119

    _edit(path, change)


def _three_axes(path: Path) -> None:
    cube = fits.ImageHDU(np.zeros((2, 120, 147), dtype=np.int32), name="Segment05")
    _edit(path, lambda hdus: hdus.__setitem__(hdus.index_of("Segment05"), cube))


def _floats(path: Path) -> None:
    image = fits.ImageHDU(np.full((120, 147), np.nan, dtype=np.float32), name="Segment05")
    _edit(path, lambda hdus: hdus.__setitem__(hdus.index_of("Segment05"), image))


def _other_detector(path: Path) -> None:
    _edit(path, lambda hdus: hdus[0].header.set("CCDSLOT", "S01"))


def _other_exposure(path: Path) -> None:
    _edit(path, lambda hdus: hdus[0].header.set("OBSID", "MN_O_20260301_000001"))


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (_truncate, "truncated"),
        (_in_header, "truncated"),
        (_empty, "empty"),
        (_text, "not a FITS file"),
        (_flip, "HDU Segment03 is damaged: its data do not agree with its DATASUM"),
        (_without, "HDU Segment12 is missing"),
        (_extra, "HDU Segment18 does not belong in a"),
        (_twice, "HDU Segment12 stands twice"),
        (_axes, "HDU Segment05 has 147 x 119 pixels, not 147 x 120"),
        (_three_axes, "SEGMENT05 has 147 x 120 x 2 pixels, not 147 x 120"),
        (_floats, "SEGMENT05 holds no integers (BITPIX -32)"),
        (_other_detector, "CCDSLOT is 'S01', but detector R00_S00"),
        (_other_exposure, "holds exposure MN_O_20260301_000001, the Butler says MN_O_20260309"),
    ],
    ids=lambda value: getattr(value, "__name__", "")[1:],
)
def test_a_damaged_file(damaged, judge: Judge, damage, cause: str) -> None:
    result = judge(damaged(BIAS, damage))
    assert_unknown(result, "raw file [1].fits", cause)
    assert result.amps == {}
    assert result.provenance["fingerprint"]


def test_a_file_that_comes_whole_later_is_judged_after_all(nights, damaged, judge: Judge) -> None:
    whole = nights.jobs[BIAS]
    key = (whole.exposure.exposure_id, whole.detector)

    def missing(result: DetectorResult) -> list[Job]:
        last = SimpleNamespace(fingerprint=result.provenance["fingerprint"], verdict=result.verdict)
        return reconcile([whole.exposure], [whole.raw], {key: whole.chain}, {key: last})

    (again,) = missing(judge(damaged(BIAS, _truncate)))
    result = judge(again)
    assert result.verdict is not Verdict.UNKNOWN
    assert missing(result) == []


@pytest.mark.parametrize("uri", ["", "/nowhere/gone.fits", "file:///nowhere/gone.fits"])
def test_a_file_that_is_not_there(nights, judge: Judge, uri: str) -> None:
    job = nights.jobs[BIAS]
    job = replace(job, raw=replace(job.raw, uri=uri))
    words = ("/nowhere/gone.fits", "No such file") if uri else ("the Butler knows no file",)
    assert_unknown(judge(job), *words)
    patient = Judge(JudgeSettings(camera=nights.camera_file, wait_for_files=True))
    with pytest.raises(UnreachableFileError, match=words[0]):
        patient(job)


def test_a_detector_the_camera_lacks(nights, judge: Judge) -> None:
    result = judge(replace(nights.jobs[BIAS], detector=7))
    assert_unknown(result, "MN_O_20260309", "7")
    assert (result.detector, result.detector_name) == (7, "7")


def test_an_instrument_that_is_not_known(nights, judge: Judge) -> None:
    job = nights.jobs[BIAS]
    stranger = replace(job, exposure=replace(job.exposure, instrument="HSC"))
    with pytest.raises(CameraError, match=r"mini.yaml: is MiniCam, not HSC"):
        judge(stranger)
    with pytest.raises(CameraError, match="unknown instrument 'HSC'"):
        Judge(JudgeSettings())(stranger)


def test_a_type_that_is_not_judged(nights, judge: Judge) -> None:
    result = judge(replace(nights.jobs[BIAS], calib_type="science"))
    assert_unknown(result, "observation type 'science' is not bias, dark or flat")


# Pixels that were not read out.


@pytest.mark.parametrize("which", [BIAS, DARK, FLAT])
def test_all_pixels_zero_is_never_a_pass(rewritten, judge: Judge, which) -> None:
    result = judge(rewritten(which, lambda frame: frame.fill(0)))
    assert_unknown(result, "C10: all raw pixels are 0", "13 more")
    assert len(unknown_amps(result)) == 16
    assert not any(
        test.verdict is Verdict.PASS for amp in result.amps.values() for test in amp.tests.values()
    )


def _rail(frame) -> None:
    frame[3:5] = 262143
    frame[3:5, ::3, ::2] = 262000


def _constant(frame) -> None:
    frame[3:5] = 20_000


@pytest.mark.parametrize("which", [BIAS, DARK, FLAT])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [(_rail, "% of raw pixels stand at 262143"), (_constant, "all raw pixels are 20000")],
)
def test_two_dead_amplifiers(rewritten, judge: Judge, which, spoil, words: str) -> None:
    result = judge(rewritten(which, spoil))
    assert unknown_amps(result) == {"C13", "C14"}
    assert_unknown(result, "C13: ", "C14: ", words)
    others = [amp.verdict for name, amp in result.amps.items() if name not in ("C13", "C14")]
    assert others == [Verdict.PASS] * 14


def test_the_butler_decides_what_an_exposure_is(rewritten, judge: Judge) -> None:
    result = judge(rewritten(BIAS, IMGTYPE="DARK", TESTTYPE="FLAT"))
    assert result.verdict is Verdict.PASS
    assert result.calib_type == "bias"
    warnings = "; ".join(result.warnings)
    assert "the header says it is a dark, the Butler says bias" in warnings
    assert "IMGTYPE is dark but TESTTYPE is flat" in warnings


# Certified calibrations that cannot be used.


def test_absurd_references(recalibrated, judge: Judge) -> None:
    def write(path: Path, ptc) -> None:
        gain, noise = ptc.gain.copy(), ptc.noise.copy()
        gain[[0, 2, 4, 5]] = 0.0, 1e4, math.nan, -1.5
        noise[[1, 3]] = math.nan, 1e6
        write_ptc(path, replace(ptc, gain=gain, noise=noise))

    result = judge(recalibrated(BIAS, "ptc", write))
    assert unknown_amps(result) == {"C10", "C11", "C12", "C13", "C14", "C15"}
    assert result.verdict is Verdict.UNKNOWN
    reasons = [amp.reason for amp in result.amps.values()]
    assert reasons[0] == "C10: the certified gain of 0 is absurd"
    assert reasons[1] == "C11: the certified PTC has no noise (NaN)"
    assert "1e+04 is absurd" in reasons[2]
    assert "noise of 1e+06 is absurd" in reasons[3]
    assert "no gain (NaN)" in reasons[4]
    assert "gain of -1.5 is absurd" in reasons[5]
    assert reasons[6:] == [""] * 10


def _small(path: Path, image) -> None:
    write_image_calibration(
        path,
        replace(
            image,
            image=image.image[:100],
            mask=image.mask[:100],
            variance=image.variance[:100],
        ),
    )


def _of_another(path: Path, image) -> None:
    wrong = {"DET_NAME": "R00_S01", "DETECTOR": 1, "SLOTNAME": "S01"}
    write_image_calibration(path, image, wrong)


def _of_another_type(path: Path, image) -> None:
    write_image_calibration(path, image, {"OBSTYPE": "dark"})


def _half(path: Path, image) -> None:
    write_image_calibration(path, image)
    _truncate(path)


def _absent(path: Path, image) -> None:
    """Write nothing."""


def _noise(path: Path, image) -> None:
    path.write_bytes(b"\xff" * 10_000)


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (_small, "has shape (100, 960), detector R00_S00 is (200, 960)"),
        (_of_another, "made for another detector"),
        (_of_another_type, "OBSTYPE says 'dark', wanted a bias"),
        (_half, ""),
        (_absent, "No such file"),
        (_noise, "not a FITS file"),
    ],
)
def test_a_certified_bias_that_cannot_be_used(
    recalibrated, judge: Judge, write, cause: str
) -> None:
    result = judge(recalibrated(BIAS, "bias", write))
    assert_unknown(result, "no usable bias", "certified-bias.fits", cause)
    tests = [test for amp in result.amps.values() for test in amp.tests.values()]
    assert tests
    assert {test.verdict for test in tests} == {Verdict.UNKNOWN}


@pytest.mark.parametrize(
    "calib_type", ["ptc", "linearizer", "crosstalk", "defects", "dark", "bias"]
)
def test_any_calibration_gone_makes_a_flat_unknown(
    recalibrated, judge: Judge, calib_type: str
) -> None:
    result = judge(recalibrated(FLAT, calib_type, _absent))
    assert_unknown(result, f"no usable {calib_type}", f"certified-{calib_type}.fits", "No such")
    assert unknown_amps(result) == set(result.amps)


def test_an_optional_calibration_gone_is_only_said(recalibrated, judge: Judge, sound) -> None:
    result = judge(recalibrated(FLAT, "cti", _absent))
    assert sound[FLAT].verdict is result.verdict is Verdict.PASS
    assert any("cti" in warning for warning in result.warnings)


def test_overlapping_certifications(nights, judge: Judge, tmp_path: Path) -> None:
    # certify refuses an overlap, so it is written into the registry behind its back.
    root = nights.registry(tmp_path)
    base = "MiniCam/calib/DM-10001/initialSet"
    uuid = put_calibration(root, f"{base}/biasGen.20260302a", "bias", 0, _bias_file(nights))
    days = ("2025-01-01", "2025-01-02")
    certify(root, f"{base}/biasGen.20260302a", "bias", f"{base}/bias.20260301a", *days)
    with sqlite3.connect(root / "gen3.sqlite3") as registry:
        tables = registry.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'dataset_calibs_%'"
        ).fetchall()
        for (table,) in tables:
            registry.execute(
                f"UPDATE {table} SET timespan_end = ? WHERE timespan_end = ?", (OPEN, END_2025)
            )
    results = []
    with Repository.open(root) as repository:
        for which in (BIAS, (2, "bias", 1)):
            job = nights.jobs[which]
            types = needed_calibrations(nights.camera, "bias")
            chain = repository.chains(job.exposure, types, [0])[0]
            results.append(judge(replace(job, chain=chain)))
    words = ("no usable bias: overlapping certifications", f"{base}/bias.20260301a", uuid)
    assert_unknown(results[0], *words)
    # The second night has a bias further up in the chain.
    assert results[1].verdict is Verdict.PASS


def _bias_file(nights) -> Path:
    return Path(nights.jobs[BIAS].chain.datasets["bias"].uri.removeprefix("file://"))


# The same input gives the same answer.


def test_judged_again_by_another_judge_every_number_is_the_same(nights, sound) -> None:
    fresh = Judge(JudgeSettings(camera=nights.camera_file, cache_bytes=0))
    for which in (BIAS, DARK, FLAT):
        again: Mapping[str, Any] = to_dict(fresh(nights.jobs[which]))
        assert again == to_dict(sound[which])


def test_the_reference_engine_says_the_same(nights, sound) -> None:
    plain = Judge(JudgeSettings(camera=nights.camera_file, engine="reference"))
    for which in (BIAS, DARK, FLAT):
        again, known = plain(nights.jobs[which]), sound[which]
        assert again.verdict is known.verdict
        assert again.reason == known.reason
        for name, amp in again.amps.items():
            assert amp.metrics == pytest.approx(dict(known.amps[name].metrics), rel=1e-4, abs=1e-4)


def test_judges_share_decompressed_images_through_a_folder(nights, sound, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    settings = JudgeSettings(
        camera=nights.camera_file, cache_bytes=0, calibration_folder=str(folder)
    )
    job = nights.jobs[FLAT]
    images = {job.chain.datasets[kind].uuid for kind in ("bias", "dark", "flat")}
    for _ in range(2):
        assert to_dict(Judge(settings)(job)) == to_dict(sound[FLAT])
        assert {entry.name for entry in folder.iterdir() if entry.is_dir()} == images


def test_a_daemon_s_workers_are_told_its_settings() -> None:
    settings = Settings(
        repo="/repo",
        instruments=("LATISS",),
        calibration_folder="/dev/shm/calibrations",
        calibration_folder_bytes=5,
        isr={"engine": "reference"},
    )
    told = JudgeSettings.of(settings)
    assert told.calibration_folder == "/dev/shm/calibrations"
    assert told.calibration_folder_bytes == 5
    assert told.engine == "reference"
    assert told.wait_for_files
