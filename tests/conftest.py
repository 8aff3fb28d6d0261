"""What many tests stand on: three simulated nights of a small camera, and empty databases."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# As the command line does, before numpy is imported: tests are spread over processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from calwatch.arrivals.job import Job
from calwatch.butler.repository import Repository
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera, Detector
from calwatch.isr.switches import needed_calibrations
from calwatch.redaction import SECRETS
from calwatch.service.judge import Judge
from calwatch.service.judge_settings import JudgeSettings
from calwatch.simulate.plan import DAILY_PROGRAM, SimulationPlan
from calwatch.simulate.repository import read_truth, simulate
from calwatch.simulate.truth import Truth
from calwatch.verify.model import DetectorResult

sys.path[:0] = [str(Path(__file__).parent / "services")]
import postgresql  # noqa: E402  (found only now)

# No test judges by time: a first call may load a camera or compile a kernel. The same examples are
# tried every time, so that a run can be repeated.
settings.register_profile(
    "calwatch",
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("calwatch")


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> None:
    """What one test has for a password may be a word of another."""
    SECRETS.forget()


MINI = Path(__file__).parent / "data" / "mini.yaml"
FAULTS = (
    "missing_calibration:type=dark,night=2",
    "read_noise:amp=C03,factor=1.4,night=3,type=bias,number=1",
    "read_noise:reb=R00_Reb0,factor=0.7,night=3,type=bias,number=2",
    "bias_jump:amp=C10,adu=80,night=3,type=bias,number=3",
    "bias_shift:amp=C05,r0=40,r1=90,adu=20,night=3,number=4",
    "dead_amp:amp=C07,night=3,type=bias,number=5",
    "wrong_sequencer:night=3,type=bias,number=6",
    "missing_hdu:amp=C12,night=3,type=bias,number=7",
    "truncated_file:night=3,type=bias,number=8",
    "light_leak:rate=2.0,night=3,number=1",
    "nan_header:night=3,number=2",
    "gain_step:amp=C12,factor=1.08,night=3,type=flat,number=1",
    "lamp_off:night=3,number=2",
    "saturated_flat:night=3,number=3",
    "dead_amp:amp=C06,night=3,type=flat,number=4",
)
"""One exposure each of the third night; on the second no dark is certified."""

Which = tuple[int, str, int]
"""Night, type, and place in the set, each from 1."""


@dataclass(frozen=True)
class Nights:
    """The simulated repository and everything there is to judge in it."""

    root: Path
    truth: Truth
    jobs: Mapping[Which, Job]
    exposures: Mapping[int, Which]
    """By exposure id."""

    camera_file: str = str(MINI)
    where: str = f"exposure.science_program = '{DAILY_PROGRAM}'"

    @property
    def camera(self) -> Camera:
        return load_camera(self.camera_file)

    @property
    def detector(self) -> Detector:
        return self.camera.detector(0)

    def day(self, night: int) -> str:
        """Return a Butler expression for one night."""
        return f"exposure.day_obs = {self.jobs[night, 'bias', 1].exposure.day_obs}"

    def registry(self, folder: Path) -> Path:
        """Copy the repository, less its raws, which the copy finds where they are."""
        copy = folder / "repo"
        shutil.copytree(self.root, copy, ignore=shutil.ignore_patterns("raws"))
        return copy


def _simulated(root: Path) -> None:
    """Simulate, or wait for the process that does."""
    with root.with_name("simulating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (root / "truth.json").exists():
            return
        plan = SimulationPlan(
            root=str(root),
            instrument="MiniCam",
            camera=str(MINI),
            detectors=(0,),
            nights=3,
            seed=3,
            faults=FAULTS,
            biases=9,
            darks=3,
            flats=5,
            calib_biases=12,
            calib_darks=8,
            calib_flats=10,
            ramp_pairs=6,
            processes=1,
        )
        simulate(plan)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The administrative URL of a real server, one for all tests of a process."""
    with postgresql.server() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty database."""
    with postgresql.database(postgresql_server) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty ledger, in either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = shared / "nights"
    _simulated(root)
    truth = read_truth(root)
    told: dict[int, dict[str, Any]] = {e["exposure_id"]: e for e in truth.exposures if e["night"]}
    exposures = {
        number: (e["night"], e["observation_type"], e["current"]) for number, e in told.items()
    }
    camera = load_camera(MINI)
    jobs = {}
    with Repository.open(root) as repository:
        raws = {raw.exposure_id: raw for raw in repository.raws("MiniCam", exposures)}
        for record in repository.exposures("MiniCam", exposure_ids=exposures):
            kind = record.observation_type
            chain = repository.chains(record, needed_calibrations(camera, kind), [0])[0]
            job = Job(record, kind, 0, raws[record.exposure_id], chain)
            jobs[exposures[record.exposure_id]] = job
    return Nights(root, truth, jobs, exposures)


@pytest.fixture(scope="session")
def judge(nights: Nights) -> Judge:
    """The real thing, which goes on after every exposure it cannot judge."""
    return Judge(JudgeSettings(camera=nights.camera_file))


@pytest.fixture(scope="session")
def verdicts(nights: Nights, judge: Judge) -> Mapping[Which, DetectorResult]:
    """All three nights, judged."""
    return {which: judge(job) for which, job in nights.jobs.items()}
