"""The rules of SAL on Kafka, against two revision codes that ts_xml itself computes."""

from __future__ import annotations

import json

import pytest
from fastavro import parse_schema

from calwatch.alarms.deliver.sal_schema import Field, Topic, rev_code, subject
from calwatch.alarms.deliver.sal_topics import ALARM, HEARTBEAT, SUMMARY, TOPICS, WATCHER_FIELDS

PRIVATE_NAMES = [
    "salIndex",
    "private_sndStamp",
    "private_rcvStamp",
    "private_efdStamp",
    "private_kafkaStamp",
    "private_seqNum",
    "private_revCode",
    "private_identity",
    "private_origin",
]

END_READOUT = Topic(
    "logevent_endReadout",
    "Event sent at end of readout. When this event is received the corresponding image should be "
    "complete\n        in the DAQ 2-day store.\n        Note: all : delimited strings (aka string "
    "arrays) follow the escaping convention defined in CAP-572",
    (
        Field(
            "additionalKeys",
            "string",
            "Additional keys passed to the takeImages command (: delimited)",
        ),
        Field(
            "additionalValues",
            "string",
            "Additional values passed to the takeImages command (: delimited, in same order as "
            "additionalKeys)",
        ),
        Field("imagesInSequence", "long", "The total number of requested images in sequence"),
        Field(
            "imageName",
            "string",
            "The imageName for this specific exposure, assigned by the camera",
        ),
        Field(
            "imageIndex",
            "long",
            "The one based index number for this specific exposure within the sequence",
        ),
        Field("imageSource", "string", "The source component of the image name (AT/CC/MC)"),
        Field("imageController", "string", "The controller for the image  (O=OCS/C=CCS/...)"),
        Field("imageDate", "string", "The date component of the image name (YYYYMMDD)"),
        Field("imageNumber", "long", "The image number (SEQNO) component of the image name"),
        Field(
            "timestampAcquisitionStart",
            "double",
            "The effective time at which the image acquisition started (i.e. the end of the "
            "previous clear or readout)",
            "second",
        ),
        Field(
            "requestedExposureTime",
            "double",
            "The requested exposure time (as specified in the takeImages command)",
            "second",
        ),
        Field(
            "timestampEndOfReadout",
            "double",
            "The time at which the readout was completed",
            "second",
        ),
    ),
)
"""A topic of the camera, whose revision code stands in messages recorded at the summit."""


def test_the_revision_code_is_ts_xmls() -> None:
    assert rev_code(END_READOUT.schema("MTCamera", indexed=False)) == "834c6ef5"


def test_the_first_fields_are_those_of_the_watcher() -> None:
    """Names, order and Avro types of ``Watcher_logevent_alarm``, as facts of that interface."""
    schema = ALARM.schema("CalWatch")
    kinds = {
        "name": "string", "severity": "int", "reason": "string", "maxSeverity": "int",
        "acknowledged": "boolean", "acknowledgedBy": "string", "escalatedId": "string",
        "escalateTo": "string", "mutedSeverity": "int", "mutedBy": "string",
        "timestampSeverityOldest": "double", "timestampSeverityNewest": "double",
        "timestampMaxSeverity": "double", "timestampAcknowledged": "double",
        "timestampAutoAcknowledge": "double", "timestampAutoUnacknowledge": "double",
        "timestampEscalate": "double", "timestampUnmute": "double",
    }  # fmt: skip
    first = schema["fields"][len(PRIVATE_NAMES) :][: len(kinds)]
    assert {field["name"]: field["type"] for field in first} == kinds
    assert [field["name"] for field in first] == [field.name for field in WATCHER_FIELDS]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.sal_name)
def test_a_schema_keeps_the_rules(topic: Topic) -> None:
    schema = topic.schema("CalWatch")
    assert list(schema) == ["type", "name", "namespace", "fields", "description"]
    assert schema["name"] == topic.sal_name
    assert schema["namespace"] == "lsst.sal.CalWatch"
    names = [field["name"] for field in schema["fields"]]
    assert names[: len(PRIVATE_NAMES)] == PRIVATE_NAMES
    assert len(set(names)) == len(names)
    for field in schema["fields"]:
        assert list(field) == ["name", "type", "default", "description", "units"]
        assert field["type"] in {"boolean", "int", "long", "double", "string"}
        assert type(field["default"]) in (bool, int, float, str)
        assert field["description"]
        assert field["units"] == ("second" if field["type"] == "double" else "unitless")
    parse_schema(json.loads(json.dumps(schema)))


def test_topic_subject_and_key() -> None:
    name = SUMMARY.kafka_name("sal", "CalWatch")
    assert name == "lsst.sal.CalWatch.logevent_summary"
    assert subject(name) == "lsst.sal.CalWatch.logevent_summary-value"
    key = ALARM.key("CalWatch", 3)
    assert key == b'{ "name": "CalWatch", "index": 3, "topic": "logevent_alarm" }'


def test_the_namespace_is_the_same_under_another_sub_name() -> None:
    assert HEARTBEAT.kafka_name("test", "CalWatch") == "lsst.test.CalWatch.logevent_heartbeat"
    assert HEARTBEAT.schema("CalWatch")["namespace"] == "lsst.sal.CalWatch"


def test_every_change_of_the_words_changes_the_revision_code() -> None:
    codes = {rev_code(topic.schema("CalWatch")) for topic in TOPICS}
    other = Topic(SUMMARY.sal_name, SUMMARY.description + ".", SUMMARY.fields)
    codes.add(rev_code(other.schema("CalWatch")))
    assert len(codes) == 4
    assert all(len(code) == 8 for code in codes)
