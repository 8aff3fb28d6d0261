"""The files for the control system say what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from calwatch.alarms.deliver.sal_schema import Field, Topic
from calwatch.alarms.deliver.sal_settings import SalSettings
from calwatch.alarms.deliver.sal_topics import ALARM, HEARTBEAT, SUMMARY
from calwatch.alarms.model import Severity

FOLDER = Path(__file__).parents[3] / "deploy" / "sal"
SETTINGS = SalSettings(type="sal")
MANDATORY = {"logevent_heartbeat", "logevent_logLevel", "logevent_logMessage"} | {
    "logevent_softwareVersions"
}
"""Generic topics that ts_xml gives every component; naming one again is an error there."""


def text(element: ElementTree.Element, name: str) -> str:
    found = element.findtext(name)
    assert found, f"{name} is missing or empty"
    return found


def from_xml(element: ElementTree.Element) -> Topic:
    """Read a topic as ts_xml does."""
    fields = [
        Field(text(i, "EFDB_Name"), text(i, "IDL_Type"), text(i, "Description"), text(i, "Units"))
        for i in element.findall("item")
    ]
    name = text(element, "EFDB_Topic").split("_", 1)[1]
    return Topic(name, text(element, "Description"), tuple(fields))


def events() -> list[ElementTree.Element]:
    return ElementTree.parse(FOLDER / "CalWatch_Events.xml").getroot().findall("SALEvent")


@pytest.mark.parametrize("topic", [ALARM, SUMMARY], ids=lambda topic: topic.sal_name)
def test_the_xml_gives_our_schema(topic: Topic) -> None:
    (found,) = [e for e in map(from_xml, events()) if e.sal_name == topic.sal_name]
    theirs, ours = found.schema("CalWatch"), topic.schema("CalWatch")
    for mine, other in zip(ours["fields"], theirs["fields"], strict=True):
        assert other == mine
    assert theirs == ours


def test_the_xml_has_the_form_of_ts_xml() -> None:
    order = ["EFDB_Name", "Description", "IDL_Type", "IDL_Size", "Units", "Count"]
    assert len(events()) == 2
    for event in events():
        assert text(event, "Subsystem") == SETTINGS.component
        assert text(event, "EFDB_Topic").startswith(f"{SETTINGS.component}_logevent_")
        for item in event.findall("item"):
            tags = [child.tag for child in item]
            assert tags == [name for name in order if name in tags]
            assert ("IDL_Size" in tags) == (text(item, "IDL_Type") == "string")
            assert text(item, "Count") == "1"


def test_the_subsystem_is_indexed_as_the_settings_are() -> None:
    (entry,) = ElementTree.parse(FOLDER / "SALSubsystems.xml").getroot().findall("SALSubsystem")
    assert text(entry, "Name") == SETTINGS.component
    names = text(entry, "IndexEnumeration").split(",")
    assert {name: index for index, name in enumerate(names, 1)} == SETTINGS.index
    added = {word.strip() for word in text(entry, "AddedGenerics").split(",")}
    assert added
    assert not added & MANDATORY
    assert HEARTBEAT.sal_name in MANDATORY


def rules(classname: str) -> list[dict[str, Any]]:
    content = yaml.safe_load((FOLDER / "watcher.yaml").read_text(encoding="utf-8"))
    (found,) = [rule["configs"] for rule in content["rules"] if rule["classname"] == classname]
    return found


def test_each_camera_has_a_rule_for_each_severity() -> None:
    booleans = {f.name for f in SUMMARY.fields if f.sal_type == "boolean"}
    seen = set()
    for config in rules("GenericBoolean"):
        # These keys and no others are what the rule's schema wants.
        assert set(config) == {
            "rule_name", "remote_name", "remote_index", "callback_name", "alarm_items", "severity",
        }  # fmt: skip
        (item,) = config["alarm_items"]
        severity = Severity[config["severity"]]
        camera = {v: k for k, v in SETTINGS.index.items()}[config["remote_index"]]
        assert config["remote_name"] == SETTINGS.component
        assert config["callback_name"] == SUMMARY.sal_name.replace("logevent_", "evt_")
        assert item == {"item_name": f"{severity.name.lower()}Open", "alarm_value": True}
        assert item["item_name"] in booleans
        assert config["rule_name"] == f"CalWatch.{camera}.{severity.name.lower()}"
        seen.add((camera, severity))
    grave = [severity for severity in Severity if severity > Severity.NONE]
    assert seen == {(camera, severity) for camera in SETTINGS.index for severity in grave}


def test_a_few_heartbeats_may_be_late() -> None:
    configs = rules("Heartbeat")
    names = {f"{SETTINGS.component}:{index}" for index in SETTINGS.index.values()}
    assert {config["name"] for config in configs} == names
    for config in configs:
        assert set(config) == {"name", "timeout", "alarm_severity"}
        assert config["timeout"] >= 3 * SETTINGS.heartbeat_seconds
        assert Severity(config["alarm_severity"]) > Severity.NONE
