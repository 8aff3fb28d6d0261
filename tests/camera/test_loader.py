from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.loader import known_instruments, load_camera, parse_camera
from calwatch.camera.model import Camera, Detector
from calwatch.errors import CameraError

DATA = Path(__file__).parents[1] / "data"
MINI = (DATA / "mini.yaml").read_text(encoding="utf-8")
ALL = ("LATISS", "LSSTComCam", "LSSTCam", DATA / "mini.yaml", DATA / "stand.yaml")


@pytest.fixture(scope="module")
def lsstcam() -> Camera:
    return load_camera("LSSTCam")


def test_known_instruments() -> None:
    assert known_instruments() == ("LATISS", "LSSTComCam", "LSSTCam")
    for name in known_instruments():
        assert load_camera(name).instrument == name
        assert load_camera(name) is load_camera(name)


def test_lsstcam_detectors(lsstcam: Camera) -> None:
    detectors = lsstcam.detectors
    assert [det.number for det in detectors] == list(range(205))
    assert Counter(det.kind for det in detectors) == {
        "E2V": 117,
        "ITL": 72,
        "ITL_G": 8,
        "ITL_WF": 8,
    }
    assert sum(len(det.amplifiers) for det in detectors) == 3216
    assert Counter(det.purpose for det in detectors) == {
        "SCIENCE": 189,
        "GUIDER": 8,
        "WAVEFRONT": 8,
    }
    rafts = {det.raft for det in detectors if det.vendor == "ITL" and det.purpose == "SCIENCE"}
    assert rafts == {"R01", "R02", "R03", "R10", "R20", "R41", "R42", "R43"}


@pytest.mark.parametrize(
    ("number", "name", "reb", "kind"),
    [
        (0, "R01_S00", "R01_Reb0", "ITL"),
        (8, "R01_S22", "R01_Reb2", "ITL"),
        (36, "R11_S00", "R11_Reb0", "E2V"),
        (94, "R22_S11", "R22_Reb1", "E2V"),
        (108, "R24_S00", "R24_Reb0", "E2V"),
        (161, "R34_S22", "R34_Reb2", "E2V"),
        (171, "R42_S00", "R42_Reb0", "ITL"),
        (188, "R43_S22", "R43_Reb2", "ITL"),
        (189, "R00_SG0", "R00_RebG", "ITL_G"),
        (192, "R00_SW1", "R00_RebW", "ITL_WF"),
        (193, "R04_SG0", "R04_RebG", "ITL_G"),
        (199, "R40_SW0", "R40_RebW", "ITL_WF"),
        (204, "R44_SW1", "R44_RebW", "ITL_WF"),
    ],
)
def test_lsstcam_places(lsstcam: Camera, number: int, name: str, reb: str, kind: str) -> None:
    det = lsstcam.detector(number)
    assert (det.name, det.reb, det.kind) == (name, reb, kind)
    assert lsstcam.detector(name) is det
    assert det.parts == (
        ("focal plane", "LSSTCam"),
        ("raft", det.raft),
        ("REB", reb),
        ("CCD", name),
    )


@pytest.mark.parametrize(
    ("kind", "size", "data", "serial", "parallel"),
    [
        ("E2V", (4096, 4004), (10, 0, 512, 2002), (522, 54), (2002, 46)),
        ("ITL", (4072, 4000), (3, 0, 509, 2000), (512, 64), (2000, 48)),
        ("ITL_G", (4072, 4000), (3, 0, 509, 2000), (512, 64), (2000, 48)),
        ("ITL_WF", (4072, 2000), (3, 0, 509, 2000), (512, 64), (2000, 48)),
    ],
)
def test_sections(
    lsstcam: Camera,
    kind: str,
    size: tuple[int, int],
    data: tuple[int, ...],
    serial: tuple[int, int],
    parallel: tuple[int, int],
) -> None:
    det = next(det for det in lsstcam.detectors if det.kind == kind)
    assert (det.width, det.height) == size
    for amp in det.amplifiers:
        assert amp.raw_shape == (2048, 576)
        assert (amp.data.x0, amp.data.y0, amp.data.width, amp.data.height) == data
        assert (amp.serial_overscan.x0, amp.serial_overscan.width) == serial
        assert (amp.parallel_overscan.y0, amp.parallel_overscan.height) == parallel


def test_order_places_and_flips_of_amplifiers(lsstcam: Camera) -> None:
    names = [f"C1{n}" for n in range(8)] + [f"C0{n}" for n in range(7, -1, -1)]
    for number, c0_flip in ((94, (False, False)), (0, (True, False)), (189, (True, False))):
        det = lsstcam.detector(number)
        assert list(det.amp_names) == names
        for amp in det.amplifiers:
            column, upper = int(amp.name[2]), amp.name[1] == "1"
            assert amp.hdu == f"Segment{amp.name[1:]}"
            assert (amp.flip_x, amp.flip_y) == ((True, True) if upper else c0_flip)
            assert amp.bbox.x0 == column * amp.data.width
            assert amp.bbox.y0 == (amp.data.height if upper else 0)
    wavefront = lsstcam.detector("R00_SW0")
    assert list(wavefront.amp_names) == names[:8]
    assert [amp.bbox.x0 for amp in wavefront.amplifiers] == [509 * (7 - n) for n in range(8)]
    assert all(amp.flip_x and amp.flip_y and amp.bbox.y0 == 0 for amp in wavefront.amplifiers)


def test_latiss_and_comcam() -> None:
    latiss, comcam = load_camera("LATISS"), load_camera("LSSTComCam")
    assert [(d.number, d.name, d.serial) for d in latiss.detectors] == [
        (0, "RXX_S00", "ITL-3800C-068")
    ]
    assert latiss.detector(0).amplifier("C05").nominal_read_noise == 10.3
    assert latiss.isr == {
        "quadratic_crosstalk": False,
        "cti": False,
        "parallel_absolute_deviation": True,
        "parallel_column_smoothing": False,
    }
    assert [d.name for d in comcam.detectors] == [
        f"R22_S{r}{c}" for r in range(3) for c in range(3)
    ]
    assert {d.kind for d in comcam.detectors} == {"ITL"}
    assert comcam.isr == {"cti": True}
    assert load_camera("LSSTCam").isr == {"cti": ("flat",)}
    with pytest.raises(CameraError, match="LATISS has no detector 1"):
        latiss.detector(1)


def _painted(det: Detector) -> np.ndarray:
    count = np.zeros(det.shape, np.int8)
    for amp in det.amplifiers:
        count[amp.bbox.slices] += 1
    return count


@pytest.mark.parametrize("which", ALL, ids=str)
def test_amplifiers_cover_every_detector_exactly(which: str | Path) -> None:
    camera = load_camera(which)
    for kind in {det.kind for det in camera.detectors}:
        det = next(det for det in camera.detectors if det.kind == kind)
        assert (_painted(det) == 1).all()


@given(columns=st.integers(1, 4), rows=st.integers(1, 3), width=st.integers(1, 9))
def test_any_grid_of_amplifiers_loads(columns: int, rows: int, width: int) -> None:
    content = _grid(columns, rows, width)
    det = parse_camera(yaml.safe_dump(content), "grid.yaml").detectors[0]
    assert (_painted(det) == 1).all()
    assert sum(amp.bbox.area for amp in det.amplifiers) == det.width * det.height


@given(
    columns=st.integers(2, 4),
    rows=st.integers(1, 3),
    width=st.integers(2, 9),
    dx=st.integers(-3, 3),
    dy=st.integers(-3, 3),
    data=st.data(),
)
def test_a_misplaced_amplifier_is_refused(
    columns: int, rows: int, width: int, dx: int, dy: int, data: Any
) -> None:
    content = _grid(columns, rows, width)
    amp = data.draw(st.sampled_from(content["layouts"]["GRID"]["amplifiers"]))
    x, y = amp["at"]
    if (dx, dy) == (0, 0):
        return
    amp["at"] = [x + dx, y + dy]
    with pytest.raises(CameraError, match=r"^grid\.yaml: layouts\.GRID\.amplifiers"):
        parse_camera(yaml.safe_dump(content), "grid.yaml")


def _grid(columns: int, rows: int, width: int) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DATA / "stand.yaml").read_text(encoding="utf-8"))
    height = 5
    content["layouts"] = {
        "GRID": {
            "vendor": "X",
            "detector": [columns * width, rows * height],
            "raw": [width + 4, height + 2],
            "data": [1, 0, width, height],
            "serial_overscan": [width + 1, 0, 3, height + 2],
            "parallel_overscan": [1, height, width, 2],
            "gain": 1.0,
            "read_noise": 5.0,
            "amplifiers": [
                {"name": f"A{i}{j}", "hdu": f"A{i}{j}", "at": [i * width, j * height]}
                for i in range(columns)
                for j in range(rows)
            ],
        }
    }
    content["detectors"][0]["layout"] = "GRID"
    return content


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("instrument: MiniCam\n", "", "instrument: Field required"),
        ("camera_code: MN", "camera_code: MN\ncolour: red", "colour: Extra inputs"),
        ("camera_code: MN", "camera_code: MN\ncamera_code: MX", "camera_code. is given twice"),
        ("camera_code: MN", "camera_code: [MN", "is not YAML"),
        ("controllers: OCHPQS", "controllers: OCO", "controllers: .*stands twice"),
        ("  program:", "  programme:", "keywords: .*unknown fact programme"),
        ("compression: RICE_1", "compression: ZIP", "raw.compression"),
        ("gain: 1.5", "gain: 0", "layouts.ITL.gain: Input should be greater than 0"),
        ("gain: 1.5", "gain: .nan", "layouts.ITL.gain"),
        ("raw: [147, 120]", "raw: [140, 120]", "layouts.ITL.C10.serial_overscan: reaches beyond"),
        ("data: [3, 0, 120, 100]", "data: [3, 0, 120]", r"data: .*\[x0, y0, width, height\]"),
        ("data: [3, 0, 120, 100]", "data: [3, 0, 120, -1]", "layouts.ITL.data.height"),
        ("[123, 0, 24, 120]", "[120, 0, 24, 120]", "C10.serial_overscan: overlaps data"),
        ("[123, 0, 24, 120]", "[123, 0, 24, 100]", "serial_overscan: must span all 120 rows"),
        ("[3, 100, 120, 20]", "[3, 100, 119, 20]", "parallel_overscan: must span the data columns"),
        ("detector: [960, 200]", "detector: [960, 201]", "cover 192000 pixels of a detector of"),
        ("name: C11,", "name: C10,", "two amplifiers have the same name"),
        ("hdu: Segment11,", "hdu: Segment10,", "C10 and C11 overlap"),
        ("flip: xy", "flip: z", "layouts.ITL.amplifiers.0.flip"),
        ("type: pair", "type: triple", "rafts.R00.type: there is no raft type 'triple'"),
        ("first: 0, layout: ITL", "first: 0", "rafts.R00.layout: neither raft nor slot S00"),
        ("layout: ITL}", "layout: E2V}", "detectors.R00_S00.layout: there is no layout 'E2V'"),
        ("layout: ITL}", "layout: ITL, serials: {S9: x}}", "rafts.R00.serials: no slot S9"),
        ('"{raft}"', '"{crate}"', "parts: a name may use instrument, raft"),
        ("rafts:", "rafts: {}\nother:", "other: Extra inputs"),
    ],
)
def test_every_mistake_names_file_and_field(old: str, new: str, message: str) -> None:
    assert old in MINI
    with pytest.raises(CameraError, match=rf"(?s)^mini\.yaml: .*{message}"):
        parse_camera(MINI.replace(old, new, 1), "mini.yaml")


def test_two_detectors_of_one_number() -> None:
    text = MINI + "  R01: {type: pair, first: 1, layout: ITL}\n"
    with pytest.raises(CameraError, match="detectors: number 1 is given to two detectors"):
        parse_camera(text, "mini.yaml")


@pytest.mark.parametrize("text", ["", "- a list", "just words", "\0"])
def test_not_a_camera_file(text: str) -> None:
    with pytest.raises(CameraError, match=r"^x\.yaml: "):
        parse_camera(text, "x.yaml")


def test_unknown_instrument_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="unknown instrument 'DECam': known are LATISS"):
        load_camera("DECam")
    with pytest.raises(CameraError, match=r"gone\.yaml: cannot be read"):
        load_camera(tmp_path / "gone.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CameraError, match=r"bytes\.yaml: cannot be read"):
        load_camera(tmp_path / "bytes.yaml")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(MINI, encoding="utf-8")
    assert load_camera(path) is load_camera(str(path))
    path.write_text(MINI.replace("instrument: MiniCam", "instrument: OtherCam"), encoding="utf-8")
    assert load_camera(path).instrument == "OtherCam"
