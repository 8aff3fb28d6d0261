from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calwatch.butler.lookup import Span
from calwatch.butler.repository import Repository
from calwatch.errors import StopError
from calwatch.offline.datasets import (
    STORAGE_CLASSES,
    CalibrationFile,
    put_calibration,
    put_calibrations,
)

RUN = "MiniCam/calib/DM-1/mini/biasGen.20260101a"


def test_every_type_comes_in_with_its_dimensions_and_storage_class(
    root: Path, calibration: Path
) -> None:
    files = [
        CalibrationFile(name, 0, calibration, "r_57" if name == "flat" else "", "r")
        for name in STORAGE_CLASSES
    ]
    uuids = put_calibrations(root, RUN, files)
    with Repository.open(root) as repository:
        chain = repository.chains_at("MiniCam", Span(0, 0), STORAGE_CLASSES, [0], "r_57", RUN)[0]
        for name, storage_class in STORAGE_CLASSES.items():
            dataset_type = repository._butler.get_dataset_type(name)
            assert dataset_type.isCalibration()
            assert dataset_type.storageClass_name == storage_class
            assert ("physical_filter" in dataset_type.dimensions) == (name == "flat")
    assert [chain.datasets[name].uuid for name in STORAGE_CLASSES] == uuids
    for data in chain.datasets.values():
        assert Path(data.uri.removeprefix("file://")).read_bytes() == calibration.read_bytes()


def test_wrong_use_is_told_in_words(root: Path, calibration: Path, tmp_path: Path) -> None:
    with pytest.raises(StopError, match="'fringe' is not a calibration type; known: bias"):
        put_calibration(root, RUN, "fringe", 0, calibration)
    with pytest.raises(StopError, match="no MiniCam detector 99"):
        put_calibration(root, RUN, "bias", 99, calibration)
    with pytest.raises(StopError, match="needs its physical filter"):
        put_calibration(root, RUN, "flat", 0, calibration)
    with pytest.raises(StopError, match=r"gone\.fits"):
        put_calibration(root, RUN, "bias", 0, tmp_path / "gone.fits")
    put_calibration(root, RUN, "bias", 0, calibration)
    with pytest.raises(StopError, match="already"):
        put_calibration(root, RUN, "bias", 0, calibration)


def test_a_repository_is_read_without_the_formatter(root: Path, calibration: Path) -> None:
    put_calibration(root, RUN, "bias", 0, calibration)
    code = (
        "import sys; from lsst.daf.butler import Butler\n"
        f"butler = Butler.from_config({str(root)!r}, writeable=False)\n"
        f"(ref,) = butler.query_datasets('bias', collections={RUN!r})\n"
        "print(butler.getURI(ref).ospath)\n"
        "assert not any(name.startswith('calwatch') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert Path(done.stdout.strip()).read_bytes() == calibration.read_bytes()


def test_a_flat_of_a_filter_without_a_band_comes_in(root: Path, calibration: Path) -> None:
    run = RUN.replace("bias", "flat")
    put_calibrations(root, run, [CalibrationFile("flat", 0, calibration, "EMPTY")])
    with Repository.open(root) as repository:
        (record,) = repository._butler.query_dimension_records(
            "physical_filter", instrument="MiniCam", physical_filter="EMPTY"
        )
    assert record.band == "unknown"
