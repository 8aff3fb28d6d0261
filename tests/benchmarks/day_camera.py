"""LSSTCam in small: 205 detectors whose frames are quickly judged, and the Butler around them.

One detector of each kind is simulated, with 128 × 100 pixels an amplifier. All others of the kind
get its pixels and certified calibrations, but files, headers and datasets of their own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from astropy.io import fits
from astropy.time import Time
from day_plan import CALIB_TYPES, Exposure, Fate
from focal_plane import anonymous
from whole_camera import INSTRUMENT, TICKET, certify_files

from calwatch.butler.repository import Repository
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.isr.switches import needed_calibrations
from calwatch.offline.chain import set_chain
from calwatch.offline.datasets import CalibrationFile
from calwatch.offline.ingest import ingest_raws
from calwatch.offline.repository import create_repository
from calwatch.simulate.plan import DAILY_PROGRAM, SimulationPlan
from calwatch.simulate.repository import TRUTH_FILE, simulate
from calwatch.simulate.small import write_small_camera

PROTOTYPES = {"ITL": "R01_S00", "E2V": "R22_S11", "ITL_WF": "R00_SW0"}
"""A detector of each kind that is judged (guiders are not)."""
NOISY_RAFT, NOISY_KIND = "R22", "E2V"
NOISY = "noisy bias"
TAI_AHEAD = 37.0
KEPT = 0.6
"""Of a broken file."""
FLAT_FILTER, FLAT_BAND = "i_39", "i"


def make_prototypes(root: Path) -> Path:
    """Simulate the prototypes, unless they are there; return the camera file."""
    root.mkdir(parents=True, exist_ok=True)
    camera = write_small_camera(INSTRUMENT, root)
    if not (root / "repo" / TRUTH_FILE).exists():
        noise = f"read_noise:detector={PROTOTYPES[NOISY_KIND]},factor=1.6,type=bias,number=2"
        simulate(
            SimulationPlan(
                str(root / "repo"), INSTRUMENT, str(camera), tuple(PROTOTYPES.values()), nights=1,
                biases=2, darks=1, flats=1, calib_biases=6, calib_darks=4, calib_flats=6,
                ramp_pairs=6, faults=(noise,),
            )
        )  # fmt: skip
    return camera


@dataclass(frozen=True)
class Prototype:
    """A raw file without what names a detector or an exposure."""

    header: fits.Header
    """Of its first HDU."""
    rest: bytes
    """All other HDUs."""


@dataclass(frozen=True)
class Observatory:
    """Takes exposures: writes their files and ingests them."""

    root: Path
    """Of the repository."""
    camera: Camera
    day_obs: int
    prototypes: Mapping[tuple[str, str], Prototype]
    """By type of exposure (or ``noisy bias``) and kind of detector."""

    @property
    def imaging(self) -> list[int]:
        """Detectors whose files are raw files: all but the guiders."""
        return [d.number for d in self.camera.detectors if d.purpose != "GUIDER"]

    @property
    def noisy(self) -> list[int]:
        """Detectors that a noisy exposure is noisy in."""
        raft = [d for d in self.camera.detectors if d.raft == NOISY_RAFT]
        return [d.number for d in raft if d.kind == NOISY_KIND]

    def obs_id(self, number: int) -> str:
        """Return the OBSID of an exposure."""
        return f"MC_O_{self.day_obs}_{number:06d}"

    def take(self, exposure: Exposure) -> list[tuple[Path, Path]]:
        """Write the files of an exposure and ingest them.

        Of a science exposure the Butler gets one file that is all header, or all of them where
        the daemon will ask for them; nobody reads them.

        Returns
        -------
        list
            Files that come late: where each lies, and where it ought to be.
        """
        folder = self.root.parent / "raw" / self.obs_id(exposure.number)
        folder.mkdir(parents=True)
        detectors = [self.camera.detector(number) for number in self.imaging]
        if not (exposure.is_calibration or exposure.readout_last):
            detectors = detectors[:1]
        end = time.time()
        paths = [self._write(folder, exposure, detector, end) for detector in detectors]
        late = []
        ingest_raws(self.root, self.camera, paths)
        for path, detector in zip(paths, detectors, strict=True):
            fate = exposure.fates.get(detector.number)
            if exposure.is_calibration and fate is Fate.LATE:
                late.append((path.rename(path.with_suffix(".part")), path))
        return late

    def take_rest(self, exposure: Exposure) -> None:
        """Give the Butler the other files of a science exposure."""
        folder = self.root.parent / "raw" / f"{self.obs_id(exposure.number)}_rest"
        folder.mkdir(exist_ok=True)
        detectors = [self.camera.detector(number) for number in self.imaging[1:]]
        paths = [self._write(folder, exposure, detector, time.time()) for detector in detectors]
        ingest_raws(self.root, self.camera, paths)

    def _write(self, folder: Path, exposure: Exposure, detector: Detector, end: float) -> Path:
        path = folder / f"{self.obs_id(exposure.number)}_{detector.name}.fits"
        noisy = exposure.noisy and detector.number in self.noisy
        kind = exposure.kind if exposure.is_calibration else CALIB_TYPES[0]
        prototype = self.prototypes[NOISY if noisy else kind, detector.kind]
        header = prototype.header.copy()
        header.update(self._naming(exposure, detector, end, float(header["EXPTIME"])))
        rest = prototype.rest if exposure.is_calibration else b""
        content = header.tostring().encode("ascii") + rest
        broken = exposure.is_calibration and exposure.fates.get(detector.number) is Fate.BROKEN
        path.write_bytes(content[: int(KEPT * len(content))] if broken else content)
        return path

    def _naming(
        self, exposure: Exposure, detector: Detector, end: float, seconds: float
    ) -> dict[str, object]:
        begin, stop = (Time((t + TAI_AHEAD) / 86400.0 + 40587.0, format="mjd", scale="tai")
                       for t in (end - seconds, end))  # fmt: skip
        words: dict[str, object] = {
            "OBSID": self.obs_id(exposure.number),
            "DAYOBS": str(self.day_obs),
            "SEQNUM": exposure.number,
            "GROUPID": f"{self.day_obs}_{exposure.number:06d}",
            "RAFTBAY": detector.raft,
            "CCDSLOT": detector.slot,
            "REBNAME": detector.reb,
        }
        for prefix, at in (("OBS", begin), ("BEG", begin), ("END", stop)):
            words |= {f"DATE-{prefix}": at.isot, f"MJD-{prefix}": float(at.mjd)}
        if not exposure.is_calibration:
            words |= {"IMGTYPE": "OBJECT", "TESTTYPE": "OBJECT", "REASON": "survey"}
        return words


def build(folder: Path, prototypes: Path) -> tuple[Observatory, Path]:
    """Make the repository with all calibrations certified.

    Returns
    -------
    observatory
        That takes exposures into it.
    file
        Of the camera.
    """
    file = make_prototypes(prototypes)
    camera = load_camera(file)
    root, scratch = folder / "repo", folder / "prototypes"
    scratch.mkdir()
    create_repository(root, camera)
    raws, certified = _looked_up(prototypes / "repo", camera)
    for calib_type, by_kind in certified.items():
        copies = {kind: anonymous(path, scratch) for kind, path in by_kind.items()}
        light = (FLAT_FILTER, FLAT_BAND) if calib_type == "flat" else ("", "")
        files = [
            CalibrationFile(calib_type, d.number, copies[d.kind], *light)
            for d in camera.detectors
            if d.kind in copies
        ]
        certify_files(root, calib_type, files)
    set_chain(root, f"{INSTRUMENT}/calib", [TICKET])
    made = {key: _prototype(anonymous(path, scratch)) for key, path in raws.items()}
    return Observatory(root, camera, today(), made), file


def _looked_up(
    root: Path, camera: Camera
) -> tuple[dict[tuple[str, str], Path], dict[str, dict[str, Path]]]:
    """Return raw files by type and kind, and certified files by type and kind."""
    raws: dict[tuple[str, str], Path] = {}
    certified: dict[str, dict[str, Path]] = {}
    kinds = {camera.detector(name).number: kind for kind, name in PROTOTYPES.items()}
    numbers = list(kinds)
    where = f"exposure.science_program = '{DAILY_PROGRAM}'"
    with Repository.open(root) as repository:
        for calib_type in CALIB_TYPES:
            found = repository.exposures(INSTRUMENT, where=where, observation_types=[calib_type])
            for name, exposure in zip((calib_type, NOISY), found, strict=False):
                for raw in repository.raws(INSTRUMENT, [exposure.exposure_id], numbers):
                    raws[name, kinds[raw.detector]] = _path(raw.uri)
            needed = needed_calibrations(camera, calib_type)
            for number, chain in repository.chains(found[0], needed, numbers).items():
                for kind, dataset in chain.datasets.items():
                    certified.setdefault(kind, {})[kinds[number]] = _path(dataset.uri)
    return raws, certified


def _prototype(path: Path) -> Prototype:
    with fits.open(path, disable_image_compression=True, memmap=False) as hdus:
        header = hdus[0].header.copy()
        start = hdus[1].fileinfo()["hdrLoc"]
    for keyword in ("CHECKSUM", "DATASUM", "FILENAME", "IMAGETAG"):
        header.remove(keyword, ignore_missing=True)
    return Prototype(header, path.read_bytes()[start:])


def today() -> int:
    """Return the day of observing: it begins at noon (TAI)."""
    tai = datetime.now(UTC) + timedelta(seconds=TAI_AHEAD - 43200.0)
    return int(tai.strftime("%Y%m%d"))


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
