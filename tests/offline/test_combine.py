"""From simulated raws in a repository to calibrations that recover what was injected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from calwatch.calibrations.masks import Mask
from calwatch.calibrations.model import Units
from calwatch.calibrations.read import read_calibration
from calwatch.camera.model import Camera
from calwatch.cli.combine import combine as combine_command
from calwatch.errors import StopError
from calwatch.offline.combine import combine
from calwatch.offline.ingest import ingest_files
from calwatch.offline.repository import create_repository
from calwatch.simulate.plan import SimulationPlan, first_session, set_up
from calwatch.simulate.production import make_raws
from calwatch.simulate.truth import DetectorTruth, detector_truth

MINI = Path(__file__).parents[1] / "data" / "mini.yaml"
SEED = 11
RUN = "MiniCam/calib/DM-1/first/{}Gen.20260301a"


class Stand:
    """A repository with one calibration session of one detector, and what is true of it."""

    def __init__(self, root: Path, camera: Camera) -> None:
        plan = SimulationPlan(
            root=str(root),
            instrument="MiniCam",
            camera=str(MINI),
            detectors=(0,),
            nights=0,
            seed=SEED,
            calib_biases=6,
            calib_darks=5,
            calib_flats=6,
            ramp_pairs=6,
            processes=1,
        )
        setup = set_up(plan)
        create_repository(root, camera)
        self.root, self.camera = root, camera
        self.detector = camera.detector(0)
        self.truth: DetectorTruth = detector_truth(self.detector, SEED)
        self.exposures = first_session(setup)
        report = ingest_files(root, camera, make_raws(setup, self.exposures), "MiniCam/raw/all")
        assert not report.bad

    def ids(self, *reasons: str) -> list[int]:
        return [e.exposure_id for e in self.exposures if e.reason in reasons]

    def make(self, calib_type: str, reasons: tuple[str, ...], **options) -> str:
        options = {"exposure_ids": self.ids(*reasons), "detectors": [0], **options}
        options.setdefault("output_run", RUN.format(calib_type))
        return combine(self.root, self.camera, calib_type, **options)[0]

    def read(self, calib_type: str):
        folder = self.root / RUN.format(calib_type)
        (path,) = folder.rglob("*.fits")
        return read_calibration(calib_type, path, self.detector)

    def amps(self, name: str) -> np.ndarray:
        return np.array([getattr(self.truth.amps[amp], name) for amp in self.detector.amp_names])


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, camera: Camera) -> Stand:
    """Linearizer, then ptc, bias, dark, flat and defects, each from those before it."""
    stand = Stand(tmp_path_factory.mktemp("stand") / "repo", camera)
    runs = []
    for calib_type, reasons in (
        ("linearizer", ("build_ptc",)),
        ("ptc", ("build_ptc", "build_bias")),
        ("bias", ("build_bias",)),
        ("dark", ("build_dark",)),
        ("flat", ("build_flat",)),
        ("defects", ()),
    ):
        options = {"physical_filter": "r_57"} if calib_type in ("flat", "defects") else {}
        stand.make(calib_type, reasons, inputs=tuple(runs), **options)
        runs.append(RUN.format(calib_type))
    return stand


def test_ptc_recovers_gain_and_overscan_level(stand: Stand) -> None:
    ptc = stand.read("ptc")
    ratio = ptc.gain / stand.amps("gain")
    assert np.abs(ratio - 1).max() < 0.04
    assert abs(ratio.mean() - 1) < 0.01
    assert abs(np.mean(ptc.a00) / stand.amps("a00").mean() - 1) < 0.3
    assert ptc.bad_amps == ()
    np.testing.assert_allclose(ptc.overscan_median, stand.amps("bias_level"), atol=3)
    # Overscan medians over few columns and rows add about a tenth to the noise of so small a CCD.
    excess = ptc.noise / stand.amps("read_noise")
    assert 1.0 < excess.mean() < 1.16
    assert ptc.metadata["SEQNAME"]
    assert ptc.metadata["DET_NAME"] == "R00_S00"


def test_bias_is_in_electrons_and_quiet(stand: Stand) -> None:
    bias = stand.read("bias")
    assert bias.units is Units.ELECTRON
    noise = stand.amps("read_noise").mean()
    assert bias.variance.mean() < 1.5 * noise**2 / 6
    assert np.abs(np.median(bias.image)) < 1
    assert not bias.mask.any()
    assert bias.metadata["CPP_INPUT_0"] == stand.ids("build_bias")[0]
    assert "LSST CALIB BIAS C00 DISTRIBUTION 50.0-PCT" in bias.metadata
    assert {"SEQNAME", "SEQFILE", "SEQCKSUM"} <= set(bias.metadata)


def test_dark_has_the_dark_current_and_no_cosmic_rays(stand: Stand) -> None:
    dark = stand.read("dark")
    assert (dark.units, dark.dark_time) == (Units.ELECTRON_PER_SECOND, 1.0)
    medians = [np.median(dark.image[amp.bbox.slices]) for amp in stand.detector.amplifiers]
    assert abs(np.mean(medians) - stand.amps("dark_current").mean()) < 0.004


def test_flat_is_one_on_average(stand: Stand) -> None:
    flat = stand.read("flat")
    assert (flat.units, flat.physical_filter) == (Units.NONE, "r_57")
    assert abs(flat.image.mean() - 1) < 2e-3
    assert 0.003 < flat.image.std() < 0.05


def test_defects_are_the_hot_pixels(stand: Stand) -> None:
    bad = np.zeros(stand.detector.shape, bool)
    for box in stand.read("defects").boxes:
        bad[box.slices] = True
    expected = 0
    for amp in stand.detector.amplifiers:
        truth = stand.truth.amps[amp.name]
        found = bad[amp.bbox.slices]
        found = found[:: -1 if amp.flip_y else 1, :: -1 if amp.flip_x else 1]
        for first, second, rate in truth.hot_pixels:
            if rate > 0.5:
                expected += 1
                assert found[int(first), int(second)] or found[int(second), int(first)]
    assert expected > 0
    assert bad.mean() < 0.02


def test_linearizer_straightens_the_ramp(stand: Stand) -> None:
    linearizer = stand.read("linearizer")
    for coefficients in linearizer.coefficients:
        n_nodes = int(coefficients[1])
        nodes = coefficients[6 : 6 + n_nodes]
        values = coefficients[6 + n_nodes :]
        assert (nodes[0], values[0]) == (0, 0)
        assert np.all(np.diff(nodes) > 0)
        assert np.abs(values).max() < 0.02 * nodes[-1]


def test_two_processes_make_the_same_bits(stand: Stand) -> None:
    run = "MiniCam/calib/DM-1/second/biasGen.20260301a"
    inputs = [RUN.format("ptc"), RUN.format("linearizer")]
    stand.make("bias", ("build_bias",), output_run=run, inputs=inputs, processes=2, compress=False)
    (path,) = (stand.root / run).rglob("*.fits")
    again = read_calibration("bias", path, stand.detector)
    np.testing.assert_array_equal(again.image, stand.read("bias").image)
    assert again.mask.max() < Mask.PARTLY_VIGNETTED


@pytest.mark.parametrize(
    ("calib_type", "reasons", "options", "words"),
    [
        ("dark", ("build_dark",), {}, "a dark needs a bias"),
        ("bias", ("build_dark",), {}, "is a dark, which is no input of a bias"),
        ("bias", (), {}, "needs 2 exposures"),
        ("bias", (), {"exposure_ids": [1, 2]}, "has no MiniCam exposure 1, 2"),
        ("bias", ("build_bias",), {"detectors": [1]}, "no raw of exposure"),
        ("bias", ("build_bias",), {"inputs": ["nowhere"]}, "nowhere"),
        ("ptc", ("build_bias",), {}, "pairs of flats"),
        ("linearizer", ("build_bias",), {}, "three exposure times"),
        ("defects", (), {}, "need a combined dark or flat"),
        ("bfk", (), {}, "cannot combine 'bfk'"),
    ],
)
def test_what_does_not_fit_is_refused(stand: Stand, calib_type, reasons, options, words) -> None:
    with pytest.raises(StopError, match=words):
        stand.make(calib_type, reasons, output_run="MiniCam/refused", **options)


def test_the_command(stand: Stand) -> None:
    run = "MiniCam/calib/DM-1/third/biasGen.20260301a"
    words = f"{stand.root} bias --instrument MiniCam --camera {MINI} --detector R00_S00"
    where = "exposure.observation_type = 'bias'"
    arguments = [*words.split(), "--run", run, "--json", "--where", where]
    result = CliRunner().invoke(combine_command, arguments)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["run"] == run
    assert [row["detector"] for row in answer["datasets"]] == [0]
    help_text = CliRunner().invoke(combine_command, ["--help"]).output
    assert "Example:" in help_text
