"""Charges of the photodiode: read once, and whatever is wrong with a file is said."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from fakes import make_exposure, make_job, make_raw

from calwatch.arrivals.job import Job, Member
from calwatch.butler.model import PhotodiodeDataset
from calwatch.calibrations.model import PhotodiodeReadings
from calwatch.errors import UnreachableFileError
from calwatch.offline.photodiodes import write_photodiode
from calwatch.service.judge_settings import JudgeSettings
from calwatch.service.photodiode_reading import PhotodiodeReader

TIME = np.arange(0.0, 6.0, 0.05)
LIGHT = (TIME > 2) & (TIME < 4)


@pytest.fixture
def job(tmp_path) -> Job:
    """A pair whose exposures have readings of 2 and 3 nA."""
    exposures = [make_exposure(number, kind="flat") for number in (1, 2)]
    datasets = []
    for exposure, current in zip(exposures, (2e-9, 3e-9), strict=True):
        path = tmp_path / f"{exposure.seq_num}.fits"
        readings = PhotodiodeReadings(TIME, -current * LIGHT)
        write_photodiode(path, readings, "LATISS", exposure.day_obs, exposure.seq_num)
        number = exposure.exposure_id
        datasets.append(PhotodiodeDataset(number, f"uuid-{number}", "run", str(path)))
    first, second = exposures
    return replace(
        make_job(2),
        exposure=second,
        calib_type="linearity",
        members=tuple(Member(one, make_raw(one, 0)) for one in exposures),
        pairs=((first.exposure_id, second.exposure_id),),
        photodiodes=tuple(datasets),
    )


def test_charges_by_exposure_with_pairs_and_names(job):
    found = PhotodiodeReader(JudgeSettings()).read(job)
    first, second = (member.exposure for member in job.members)
    ratio = found.charges[second.exposure_id].value / found.charges[first.exposure_id].value
    assert ratio == pytest.approx(1.5)
    assert found.halves == {second.exposure_id: (first.exposure_id, second.exposure_id)}
    assert found.names[first.exposure_id] == first.obs_id


def test_a_file_is_read_once_for_all_detectors(job, tmp_path):
    reader = PhotodiodeReader(JudgeSettings())
    before = reader.read(job)
    for path in tmp_path.glob("*.fits"):
        path.unlink()
    assert reader.read(job).charges == before.charges


def test_method_and_scale_are_those_of_the_settings(job):
    plus = PhotodiodeReader(JudgeSettings(photodiode_scale=1.0)).read(job)
    assert all("the scale is 1" in charge.fault for charge in plus.charges.values())
    direct = PhotodiodeReader(JudgeSettings(photodiode_method="DIRECT_SUM")).read(job)
    assert all(charge.value > 0 for charge in direct.charges.values())


def test_what_cannot_be_read_has_its_reason(job, tmp_path):
    first, second = job.photodiodes
    broken = tmp_path / "broken.fits"
    broken.write_bytes(b"nothing")
    gone = replace(second, uri=str(tmp_path / "gone.fits"))
    for dataset, said in (
        (replace(first, uri=""), "no file"),
        (replace(first, uri=str(broken)), "damaged"),
        (replace(first, uri=str(gone.uri)), "out of reach"),
        (replace(first, uri=second.uri), "damaged: .*SEQ_NUM"),
    ):
        changed = replace(job, photodiodes=(dataset, second))
        found = PhotodiodeReader(JudgeSettings(wait_for_files=True)).read(changed)
        fault = found.charges[first.exposure_id].fault
        assert re.search(said, fault), fault
        assert not found.charges[second.exposure_id].fault


def test_a_file_out_of_reach_is_waited_for_where_nothing_takes_its_place(job, tmp_path):
    gone = replace(job.photodiodes[0], uri=str(tmp_path / "gone.fits"))
    waiting = JudgeSettings(wait_for_files=True, linearity_by="photodiode")
    with pytest.raises(UnreachableFileError, match=r"photodiode: .*gone"):
        PhotodiodeReader(waiting).read(replace(job, photodiodes=(gone,)))
