"""A Butler repository of the whole LSSTCam whose raw files hold headers only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from astropy.io import fits

from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.isr.switches import needed_calibrations
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend, set_chain
from calwatch.offline.datasets import CalibrationFile, put_calibrations
from calwatch.offline.ingest import ingest_raws
from calwatch.offline.repository import create_repository

INSTRUMENT, DAY = "LSSTCam", 20261120
CAMERA = load_camera(INSTRUMENT)
TICKET = f"{INSTRUMENT}/calib/DM-1"
BASE = f"{TICKET}/flow"


def obs_id(number: int) -> str:
    """Return the OBSID of an exposure of the day."""
    return f"MC_O_{DAY}_{number:06d}"


def make_repository(folder: Path, calib_type: str = "bias") -> Path:
    """Make a repository with a certified calibration of every needed type and detector.

    The calibrations are one file without pixels.
    """
    root, file = folder / "repo", folder / "calibration.fits"
    fits.PrimaryHDU().writeto(file)
    create_repository(root, CAMERA)
    for kind in needed_calibrations(CAMERA, calib_type):
        files = [CalibrationFile(kind, d.number, file, "", "") for d in CAMERA.detectors]
        certify_files(root, kind, files)
    set_chain(root, f"{INSTRUMENT}/calib", [TICKET])
    return root


def certify_files(root: Path, kind: str, files: list[CalibrationFile]) -> None:
    """Make calibrations of one type known to the repository and certify them for ever."""
    put_calibrations(root, f"{BASE}/{kind}Gen.20260101a", files, transfer="direct")
    certify(root, f"{BASE}/{kind}Gen.20260101a", kind, f"{BASE}/{kind}.20260101a", None, None)
    prepend(root, TICKET, [f"{BASE}/{kind}.20260101a"])


def ingest(root: Path, number: int, detectors: Sequence[Detector] = CAMERA.detectors) -> list[Path]:
    """Ingest one bias of these detectors by files of headers; return the files, in their order."""
    folder = root.parent / obs_id(number)
    folder.mkdir()
    paths = []
    for det in detectors:
        keywords = {
            "INSTRUME": INSTRUMENT,
            "TELESCOP": "Simonyi",
            "OBSID": obs_id(number),
            "CONTRLLR": "O",
            "DAYOBS": str(DAY),
            "SEQNUM": number,
            "IMGTYPE": "BIAS",
            "TESTTYPE": "BIAS",
            "EXPTIME": 0.0,
            "DARKTIME": 0.05,
            "FILTER": "r_57",
            "FILTBAND": "r",
            "PROGRAM": "BLOCK-T1",
            "REASON": "daily",
            "MJD-BEG": 61364.5 + number / 2000,
            "MJD-END": 61364.5 + number / 2000,
            "RAFTBAY": det.raft,
            "CCDSLOT": det.slot,
        }
        paths.append(folder / f"{obs_id(number)}_{det.name}.fits")
        fits.PrimaryHDU(header=fits.Header(keywords)).writeto(paths[-1])
    ingest_raws(root, CAMERA, paths)
    return paths
