"""Where the detectors are: as in the camera, none upon another."""

from __future__ import annotations

import re
from importlib import resources
from itertools import combinations
from math import hypot

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.loader import load_camera, parse_camera
from calwatch.camera.placing import corners, place_in_raft, turn

LSSTCAM = load_camera("LSSTCam")
Rectangle = tuple[float, float, float, float]


def rectangle(points: tuple[tuple[float, float], ...]) -> Rectangle:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def overlap(a: Rectangle, b: Rectangle) -> bool:
    slack = 1e-6
    return (
        a[0] < b[2] - slack and b[0] < a[2] - slack and a[1] < b[3] - slack and b[1] < a[3] - slack
    )


@pytest.mark.parametrize("name", ["LATISS", "LSSTComCam", "LSSTCam"])
def test_no_detector_stands_upon_another(name: str) -> None:
    places = {d.name: rectangle(corners(d)) for d in load_camera(name).detectors}
    assert [pair for pair in combinations(places, 2) if overlap(*(places[n] for n in pair))] == []
    # The field has a diameter of 634 mm; corners of the outer CCDs reach beyond it.
    assert all(hypot(x, y) < 370 for box in places.values() for x, y in (box[:2], box[2:]))


def test_amplifiers_tile_their_detector_wherever_it_is() -> None:
    for detector in LSSTCAM.detectors:
        outer = rectangle(corners(detector))
        boxes = [rectangle(corners(detector, amp.bbox)) for amp in detector.amplifiers]
        assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
        area = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes)
        assert area == pytest.approx((outer[2] - outer[0]) * (outer[3] - outer[1]))
        assert rectangle(tuple((x, y) for b in boxes for x, y in (b[:2], b[2:]))) == pytest.approx(
            outer
        )


def test_rafts_and_slots_are_named_by_row_and_column() -> None:
    centre = LSSTCAM.detector("R22_S11").place
    assert (centre.x, centre.y, centre.yaw) == (0.0, 0.0, 0)
    for detector in LSSTCAM.detectors:
        row, column = int(detector.raft[1]), int(detector.raft[2])
        assert round(detector.place.x / 127) == column - 2
        assert round(detector.place.y / 127) == row - 2
    corner = LSSTCAM.detector("R01_S00").place
    assert (corner.x, corner.y) == (-127 - 42.25, -254 - 42.25)


@pytest.mark.parametrize("raft", ["R00", "R04", "R40", "R44"])
def test_wavefront_sensors_point_to_the_centre_and_guiders_stand_beside_them(raft: str) -> None:
    place = {d.slot: d.place for d in LSSTCAM.detectors if d.raft == raft}
    far = {slot: hypot(p.x, p.y) for slot, p in place.items()}
    assert far["SW0"] < far["SW1"] < far["SG0"]
    assert far["SG0"] == pytest.approx(far["SG1"])
    assert (place["SW0"].yaw - place["SW1"].yaw) % 360 == 180


@given(st.floats(-300, 300), st.floats(-300, 300), st.sampled_from([0, 90, 180, 270]))
def test_turning_keeps_the_distance_and_four_quarters_are_none(
    x: float, y: float, yaw: int
) -> None:
    turned = turn((x, y), yaw)
    assert hypot(*turned) == pytest.approx(hypot(x, y))
    assert turn(turned, (360 - yaw) % 360) == pytest.approx((x, y))
    assert place_in_raft((x, y), yaw, (0, 0), yaw) == (turned, 2 * yaw % 360)


def test_a_camera_without_places_has_its_detectors_in_a_row() -> None:
    text = resources.files("calwatch.camera").joinpath("data", "comcam.yaml").read_text()
    row = parse_camera(re.sub(r"(reb: Reb\d), at: \[[^]]*\]", r"\1", text), "camera.yaml").detectors
    assert [d.place.y for d in row] == [0.0] * 9
    assert sum(d.place.x for d in row) == pytest.approx(0.0)
    boxes = [rectangle(corners(d)) for d in row]
    assert not any(overlap(a, b) for a, b in combinations(boxes, 2))
