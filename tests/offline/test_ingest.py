from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits

from calwatch.butler.repository import Repository
from calwatch.camera.model import Camera
from calwatch.errors import RawError
from calwatch.offline.ingest import ingest_files, ingest_raws

WriteRaw = Callable[..., Path]


def test_records_say_what_the_headers_say(root: Path, camera: Camera, write_raw: WriteRaw) -> None:
    path = write_raw(7)
    assert ingest_raws(root, camera, [path]) == [2026012000007]
    with Repository.open(root) as repository:
        (exposure,) = repository.exposures("MiniCam")
        (raw,) = repository.raws("MiniCam", [exposure.exposure_id])
        butler = repository._butler
        (record,) = butler.query_dimension_records("exposure", instrument="MiniCam")
        (day,) = butler.query_dimension_records("day_obs", instrument="MiniCam")
    assert exposure.obs_id == "MN_O_20260120_000007"
    assert (exposure.observation_type, exposure.observation_reason) == ("dark", "daily_dark")
    assert (exposure.exposure_time, exposure.dark_time) == (30.0, 31.0)
    assert (exposure.physical_filter, exposure.band) == ("r_57", "r")
    assert exposure.begin_tai == pytest.approx(61060.5, abs=1e-10)
    assert exposure.end_tai == pytest.approx(61060.5 + 31.0 / 86400.0, abs=1e-10)
    assert (record.group, record.seq_start, record.seq_end) == ("group 1", 5, 9)
    assert str(day.timespan) == "[2026-01-20T12:00:00, 2026-01-21T12:00:00)"
    assert raw.uri == path.as_uri()


def test_again_is_skipped_and_new_is_added(root: Path, camera: Camera, write_raw: WriteRaw) -> None:
    first = ingest_files(root, camera, [write_raw(1, 0)])
    seen: list[str] = []
    paths = [write_raw(1, 1), write_raw(2, 0), *root.parent.glob("*000001_*_S*.fits")]
    second = ingest_files(root, camera, paths, progress=seen.append)
    assert (first.ingested, first.skipped) == (1, 0)
    assert (second.ingested, second.skipped, second.bad) == (2, 1, {})
    assert second.exposure_ids == [2026012000001, 2026012000002]
    assert len(seen) == 3


def test_the_same_raw_has_the_same_uuid_in_every_repository(
    root: Path, camera: Camera, write_raw: WriteRaw, empty: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(empty, other)
    path = write_raw(1)
    uuids = set()
    for repo in (root, other):
        ingest_raws(repo, camera, [path])
        with Repository.open(repo) as repository:
            uuids.add(repository.raws("MiniCam", [2026012000001])[0].uuid)
    assert len(uuids) == 1


def test_bad_files_are_named_and_the_others_go_on(
    root: Path, camera: Camera, write_raw: WriteRaw, tmp_path: Path
) -> None:
    garbage = tmp_path / "garbage.fits"
    garbage.write_bytes(b"\0" * 5000)
    empty = tmp_path / "empty.fits"
    empty.write_bytes(b"")
    bare = tmp_path / "bare.fits"
    fits.PrimaryHDU().writeto(bare)
    cases = {
        str(garbage): "garbage",
        str(empty): "empty",
        str(bare): "bare",
        str(tmp_path / "gone.fits"): "No such file",
        str(write_raw(3, CCDSLOT="S99")): "no detector",
        str(write_raw(4, INSTRUME="HSC")): "HSC",
        str(write_raw(5, DAYOBS=None, OBSID="?", SEQNUM=None)): "day of observing",
    }
    report = ingest_files(root, camera, [*cases, write_raw(6)])
    assert report.ingested == 1
    assert report.exposure_ids == [2026012000006]
    assert report.bad.keys() == cases.keys()
    for path, words in cases.items():
        assert path in report.bad[path]
        assert words in report.bad[path]
    with pytest.raises(RawError, match=r"1 of 2 files not ingested.*garbage"):
        ingest_raws(root, camera, [garbage, write_raw(8)])
    with Repository.open(root) as repository:
        assert [record.seq_num for record in repository.exposures("MiniCam")] == [6, 8]


def test_a_file_that_contradicts_its_exposure_is_refused(
    root: Path, camera: Camera, write_raw: WriteRaw
) -> None:
    ingest_raws(root, camera, [write_raw(1, 0)])
    path = write_raw(1, 1, IMGTYPE="FLAT")
    report = ingest_files(root, camera, [path])
    assert report.ingested == 0
    assert "is known as MN_O_20260120_000001 dark r_57" in report.bad[str(path)]


def test_undefined_and_odd_keywords_do_no_harm(
    root: Path, camera: Camera, write_raw: WriteRaw
) -> None:
    path = write_raw(1, CURINDEX="many", MAXINDEX=True)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["GROUPID"] = fits.card.Undefined()
    assert ingest_raws(root, camera, [path]) == [2026012000001]


def test_copy_takes_the_file_in(root: Path, camera: Camera, write_raw: WriteRaw) -> None:
    path = write_raw(1)
    ingest_raws(root, camera, [path], transfer="copy")
    path.unlink()
    with Repository.open(root) as repository:
        (raw,) = repository.raws("MiniCam", [2026012000001])
    assert Path(raw.uri.removeprefix("file://")).is_relative_to(root)


def test_a_filter_without_a_band_is_taken_in_as_unknown(
    root: Path, camera: Camera, write_raw: WriteRaw
) -> None:
    ingest_raws(root, camera, [write_raw(9, FILTER="EMPTY")])
    with Repository.open(root) as repository:
        (exposure,) = repository.exposures("MiniCam")
    assert (exposure.physical_filter, exposure.band) == ("EMPTY", "unknown")
