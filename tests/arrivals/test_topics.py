"""Which topics are read for which cameras."""

from __future__ import annotations

import pytest

from calwatch.arrivals.topics import Kind, default_topics, topics_of
from calwatch.errors import StopError


def test_lsstcam_comes_through_three_file_stores() -> None:
    names = {topic.name: topic for topic in topics_of(["LSSTCam"])}
    assert set(names) == {
        "lsst.sal.MTOODS.logevent_imageInOODS",
        "lsst.sal.WFOODS.logevent_imageInOODS",
        "lsst.sal.CCOODS.logevent_imageInOODS",
        "lsst.sal.MTCamera.logevent_endReadout",
    }
    assert names["lsst.sal.MTCamera.logevent_endReadout"].kind is Kind.READOUT


def test_a_topic_of_two_cameras_is_read_once() -> None:
    topics = topics_of(["LSSTComCam", "LSSTCam"])
    shared = [t for t in topics if t.name == "lsst.sal.CCOODS.logevent_imageInOODS"]
    assert [t.instruments for t in shared] == [("LSSTComCam", "LSSTCam")]


def test_buckets_only_if_asked_for() -> None:
    assert not [t for t in topics_of(["LSSTCam"]) if t.kind is Kind.BUCKET]
    found = [t.name for t in topics_of(["LSSTCam"], s3=True) if t.kind is Kind.BUCKET]
    assert found == ["lsst.s3.raw.lsstcam", "lsst.s3.wf.lsstcam"]


def test_another_subname() -> None:
    names = [t.name for t in topics_of(["LATISS"], table=default_topics("test"))]
    assert names == [
        "lsst.test.ATCamera.logevent_endReadout",
        "lsst.test.ATOODS.logevent_imageInOODS",
    ]


def test_a_camera_without_topics_and_a_topic_of_two_kinds_are_told() -> None:
    with pytest.raises(StopError, match="MiniCam"):
        topics_of(["MiniCam"])
    table = {"MiniCam": {Kind.INGESTED: ["one"], Kind.READOUT: ["one"]}}
    with pytest.raises(StopError, match="one is set both"):
        topics_of(["MiniCam"], table=table)
