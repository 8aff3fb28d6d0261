from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calwatch.camera.header import contradictions, translate
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.camera.raw import read_raw
from calwatch.errors import RawError
from calwatch.simulate.model import FileEffects, SimulatedExposure
from calwatch.simulate.raw_file import raw_file_name, write_raw

Take = Callable[..., SimulatedExposure]

KEYWORDS = """
OBSID DAYOBS SEQNUM IMGTYPE TESTTYPE REASON PROGRAM GROUPID CURINDEX MAXINDEX EXPTIME SHUTTIME
DARKTIME XPOSURE TELAPSE DATE-BEG DATE-END MJD-BEG MJD-END DATE-OBS MJD-OBS MJD TIMESYS INSTRUME
RAFTBAY CCDSLOT LSST_NUM CCD_MANU SEQFILE SEQNAME SEQCKSUM FILTER FILTBAND FILTSLOT VIGN_MIN TSTAND
IMAGETAG CONTRLLR
"""


def _pixels(detector: Detector, high: int = 200_000) -> np.ndarray:
    shape = (len(detector.amplifiers), *detector.amplifiers[0].raw_shape)
    return np.random.default_rng(5).integers(0, high, shape, dtype=np.int32)


@pytest.mark.parametrize("instrument", ["mini", "stand"])
def test_the_reader_gives_back_what_was_written(
    instrument: str, mini_path: str, stand_path: str, take: Take, tmp_path: Path
) -> None:
    camera = load_camera(mini_path if instrument == "mini" else stand_path)
    detector = camera.detectors[-1]
    pixels = _pixels(detector, 60_000)
    exposure = take("flat", physical_filter=next(iter(camera.filters)))
    path = tmp_path / raw_file_name(camera, detector, exposure)
    write_raw(path, camera, detector, exposure, pixels, FileEffects())
    frame = read_raw(path, camera, detector)
    assert np.array_equal(frame.pixels, pixels)
    facts = translate(frame.header, camera)
    assert facts.instrument == camera.instrument
    assert facts.exposure_id == exposure.exposure_id
    assert facts.observation_type == "flat"
    assert facts.exposure_time == exposure.exposure_time
    assert facts.physical_filter == exposure.physical_filter
    assert facts.detector_name == detector.name
    assert facts.begin_tai == pytest.approx(exposure.begin_mjd, abs=1e-8)
    assert contradictions(facts, camera, detector, "flat") == ()
    assert not list(tmp_path.glob("*.partial"))


def test_the_layout_is_that_of_a_rubin_file(
    camera: Camera, detector: Detector, take: Take, tmp_path: Path
) -> None:
    path = tmp_path / "raw.fits"
    pixels = _pixels(detector)
    write_raw(path, camera, detector, take("dark"), pixels, FileEffects())
    with fits.open(path, disable_image_compression=True, checksum=True) as hdus:
        names = [hdu.name for hdu in hdus]
        expected = ["PRIMARY", *(amp.hdu for amp in detector.amplifiers), "REB_COND"]
        assert names == [name.upper() if name == "PRIMARY" else name for name in expected]
        assert hdus[0].header["NAXIS"] == 0
        segment = hdus[1].header
        assert segment["ZCMPTYPE"] == "RICE_1"
        assert (segment["ZTILE1"], segment["ZTILE2"]) == (147, 1)
        assert segment["ZBITPIX"] == 32
        assert segment["DATASEC"] == "[4:123,1:100]"
        conditions = hdus["REB_COND"].header
        assert {"TEMP1", "TEMP10", "CCDTEMP", "ODP", "AP0_RC", "HVBIAS"} <= set(conditions)
        for hdu in hdus:
            assert {"CHECKSUM", "DATASUM"} <= set(hdu.header)
    with fits.open(path) as hdus:
        assert np.array_equal(hdus["Segment07"].data, pixels[8])


def test_the_primary_header_holds_the_keywords_of_the_observatory(
    camera: Camera, detector: Detector, take: Take, tmp_path: Path
) -> None:
    path = tmp_path / "raw.fits"
    write_raw(path, camera, detector, take("dark"), _pixels(detector), FileEffects())
    header = fits.getheader(path)
    assert set(KEYWORDS.split()) <= set(header)
    assert header["TIMESYS"] == "TAI"
    assert header["DATE-BEG"].startswith("2026-03-09T19:12:00")


def test_damage_is_what_was_asked_for(
    camera: Camera, detector: Detector, take: Take, tmp_path: Path
) -> None:
    pixels = _pixels(detector)

    def write(name: str, effects: FileEffects) -> Path:
        path = tmp_path / name
        write_raw(path, camera, detector, take("dark"), pixels, effects)
        return path

    whole = write("whole.fits", FileEffects())
    cut = write("cut.fits", FileEffects(keep_fraction=0.6))
    assert cut.read_bytes() == whole.read_bytes()[: cut.stat().st_size]
    assert cut.stat().st_size == int(whole.stat().st_size * 0.6)
    with pytest.raises(RawError, match=r"cut\.fits"):
        read_raw(cut, camera, detector)
    missing = write("missing.fits", FileEffects(drop_segments=("C03",)))
    with fits.open(missing) as hdus:
        assert "SEGMENT03" not in [hdu.name.upper() for hdu in hdus]
        assert len(hdus) == 17
    with pytest.raises(RawError, match="Segment03"):
        read_raw(missing, camera, detector)
    odd = write("odd.fits", FileEffects(header={"DARKTIME": "NaN", "ODP": 1.0, "SEQNAME": "x"}))
    header = read_raw(odd, camera, detector).header
    assert (header["DARKTIME"], header["ODP"], header["SEQNAME"]) == ("NaN", 1.0, "x")
    assert fits.getheader(odd, "REB_COND")["ODP"] == 1.0


def test_a_flipped_byte_is_detected_by_the_checksum(
    camera: Camera, detector: Detector, take: Take, tmp_path: Path
) -> None:
    path = tmp_path / "raw.fits"
    write_raw(path, camera, detector, take("bias"), _pixels(detector), FileEffects())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RawError):
        read_raw(path, camera, detector)
