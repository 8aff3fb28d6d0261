"""The schemas keep Sasquatch's rules, and have a field for every number."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from astropy import units
from fastavro import parse_schema
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.loader import load_camera
from calwatch.errors import StopError
from calwatch.publish.contract import changes
from calwatch.publish.schemas import (
    NAMES,
    RUBIN_AMPS,
    amp_field,
    build_schemas,
    metrics_of,
)
from calwatch.verify.metrics import CALIB_TYPES, FRAME_TYPES, METRICS, SET_TYPES

GOLDEN = Path(__file__).parent / "golden.json"
SCHEMAS = build_schemas().schemas
FIELDS = [(name, field) for name, schema in SCHEMAS.items() for field in schema["fields"]]


def test_one_schema_a_record_under_its_topic() -> None:
    found = build_schemas(prefix="lsst.cp.other")
    frames = ("bias", "dark", "flat")
    sets = ("gain", "cti", "ptc", "linearity", "defects", "dark_stack", "crosstalk",
            "bias_stability")  # fmt: skip
    names = (*frames, *sets, "exposure", "set", "completeness", "alarm")
    assert tuple(found.schemas) == NAMES == names
    assert found.topics[0] == "lsst.cp.other.bias"
    assert found.subject("bias") == "lsst.cp.other.bias-value"
    for name, schema in found.schemas.items():
        # The measurement in InfluxDB is namespace.name: the topic's own name.
        assert f"{schema['namespace']}.{schema['name']}" == found.topic(name)


@pytest.mark.parametrize("name", NAMES)
def test_avro_accepts_it_and_no_field_stands_twice(name: str) -> None:
    parse_schema(SCHEMAS[name])
    names = [field["name"] for field in SCHEMAS[name]["fields"]]
    assert len(names) == len(set(names))


def test_every_field_is_a_string_a_double_or_null() -> None:
    for name, field in FIELDS:
        if field["name"] == "timestamp":
            assert field["type"] == "double"
            assert SCHEMAS[name]["fields"][0] is field
        elif field["type"] == "string":
            assert field["default"] == ""
        else:
            assert field["type"] == ["null", "double"]
            assert field["default"] is None


def test_every_field_is_described_in_units_that_astropy_knows() -> None:
    for _, field in FIELDS:
        assert field["description"].strip()
        if field["units"] != "unitless":
            units.Unit(field["units"])


def test_no_field_is_a_tag_that_would_make_endless_series() -> None:
    assert not {"exposure", "visit", "run"} & {field["name"] for _, field in FIELDS}


@pytest.mark.parametrize("calib_type", CALIB_TYPES)
def test_every_metric_of_a_type_has_its_fields(calib_type: str) -> None:
    names = {field["name"] for field in SCHEMAS[calib_type]["fields"]}
    for metric in METRICS.values():
        fields = {
            "amp": [amp_field(amp, metric.name) for amp in RUBIN_AMPS],
            "detector": [metric.name],
            "exposure": [],
        }[metric.level]
        wanted = calib_type in metric.calib_types
        assert all((field in names) is wanted for field in fields), metric.name


def test_levels_and_types_choose_metrics() -> None:
    assert {m.name for m in metrics_of("exposure", FRAME_TYPES)} == {"EXP_MEAN", "EXP_SCATTER"}
    assert "EXP_MEAN" not in {m.name for m in metrics_of("exposure", SET_TYPES)}
    assert "AMP_CORNER" not in {m.name for m in metrics_of("amp", "dark")}


@pytest.mark.parametrize("calib_type", CALIB_TYPES)
def test_the_record_of_a_set_says_which_exposures_it_has(calib_type: str) -> None:
    fields = {field["name"]: field for field in SCHEMAS[calib_type]["fields"]}
    assert ({"members", "n_members"} <= set(fields)) is (calib_type in SET_TYPES)
    assert calib_type in fields["calib_type"]["description"]


def test_what_sets_came_to_has_a_tag_that_keeps_their_kinds_apart() -> None:
    """Several kinds are judged under one exposure, at one time: `pipeline` is a tag."""
    fields = [field["name"] for field in SCHEMAS["set"]["fields"]]
    assert "pipeline" in fields
    assert "pipeline" not in {field["name"] for field in SCHEMAS["exposure"]["fields"]}


@pytest.mark.parametrize("instrument", ["LATISS", "LSSTComCam", "LSSTCam"])
def test_the_rubin_cameras_add_nothing_so_they_share_their_topics(instrument: str) -> None:
    assert build_schemas([load_camera(instrument)]).schemas == SCHEMAS


def of_amps(*names: str):
    """A camera whose one detector has these amplifiers."""
    camera = load_camera("LATISS")
    (detector,) = camera.detectors
    amps = tuple(replace(detector.amplifiers[0], name=name) for name in names)
    return replace(camera, detectors=(replace(detector, amplifiers=amps),))


def test_amplifiers_of_other_cameras_come_last_and_only_add_fields() -> None:
    found = build_schemas([of_amps("C05", "A-1", "7")])
    names = [field["name"] for field in found.schemas["bias"]["fields"]]
    ours = [field["name"] for field in SCHEMAS["bias"]["fields"]]
    assert names[: len(ours)] == ours
    assert names[len(ours)] == "A_1_MEAN"
    assert "A7_MEAN" in names
    assert changes(SCHEMAS["bias"], found.schemas["bias"]) == []


def test_amplifiers_that_would_share_fields_are_refused() -> None:
    with pytest.raises(StopError, match=r"'A-1' and 'A\.1' would both be published as A_1"):
        build_schemas([of_amps("A-1", "A.1")])


@pytest.mark.parametrize("prefix", ["", "lsst..cp", "lsst.cp-x", "1lsst", "lsst.", "x" * 201])
def test_a_prefix_that_is_no_namespace_is_refused(prefix: str) -> None:
    with pytest.raises(StopError, match="prefix"):
        build_schemas(prefix=prefix)


@given(amp=st.text(min_size=1, max_size=8))
def test_any_amplifier_name_gives_an_avro_name(amp: str) -> None:
    name = amp_field(amp, "MEAN")
    parse_schema({"type": "record", "name": "r", "fields": [{"name": name, "type": "int"}]})


def test_what_was_published_once_is_published_still() -> None:
    """The fields of each record's first release, in a file: none may go or change its type."""
    golden = json.loads(GOLDEN.read_text())["schemas"]
    assert tuple(golden) == NAMES
    for name, fields in golden.items():
        before = {
            "namespace": "lsst.cp.calwatch",
            "name": name,
            "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
        }
        assert changes(before, SCHEMAS[name]) == []
        order = [field["name"] for field in SCHEMAS[name]["fields"]]
        assert [field for field in order if field in fields] == list(fields)
