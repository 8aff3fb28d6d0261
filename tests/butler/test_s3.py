"""Raw files and calibrations in an object store.

A real object store cannot be had in a test; moto's server speaks S3's protocol in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from calwatch.butler.files import local_copy
from calwatch.butler.repository import Repository
from calwatch.camera.model import Camera
from calwatch.errors import UnreachableFileError
from calwatch.offline.certify import certify
from calwatch.offline.chain import set_chain
from calwatch.offline.datasets import put_calibration
from calwatch.offline.ingest import ingest_files
from calwatch.offline.repository import create_repository

RUN = "MiniCam/calib/DM-1/mini/biasGen.20260101a"
CERTIFIED = "MiniCam/calib/DM-1/mini/bias.20260101a"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    for name, value in {
        "S3_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="bucket")
    yield client
    for entry in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=entry["Key"])
    client.delete_bucket(Bucket="bucket")


def test_raws_and_calibrations_come_from_the_store(
    store: object, tmp_path: Path, camera: Camera, write_raw: Callable[..., Path]
) -> None:
    raw = write_raw(tmp_path, 1, 0, "BIAS", 61060.0)
    store.upload_file(str(raw), "bucket", f"raw/{raw.name}")  # type: ignore[attr-defined]  # boto3
    root = tmp_path / "repo"
    create_repository(root, camera, datastore_root="s3://bucket/store")
    report = ingest_files(root, camera, [f"s3://bucket/raw/{raw.name}", "s3://bucket/raw/gone"])
    assert report.ingested == 1
    assert "gone" in report.bad["s3://bucket/raw/gone"]
    put_calibration(root, RUN, "bias", 0, raw)
    certify(root, RUN, "bias", CERTIFIED)
    set_chain(root, "MiniCam/calib", [CERTIFIED])
    with Repository.open(root) as repository:
        (exposure,) = repository.exposures("MiniCam")
        (dataset,) = repository.raws("MiniCam", [exposure.exposure_id])
        bias = repository.chains(exposure, ["bias"], [0])[0].datasets["bias"]
    assert dataset.uri == f"s3://bucket/raw/{raw.name}"
    assert bias.uri.startswith("s3://bucket/store/MiniCam/calib/DM-1/mini/biasGen.20260101a/")
    for uri in (dataset.uri, bias.uri):
        with local_copy(uri) as path:
            assert path.read_bytes() == raw.read_bytes()
        assert not path.exists()


def test_what_the_store_does_not_have_is_named(store: object) -> None:
    with pytest.raises(UnreachableFileError, match=r"s3://bucket/gone\.fits"):
        local_copy("s3://bucket/gone.fits").__enter__()
    with pytest.raises(UnreachableFileError, match=r"s3://nowhere/gone\.fits"):
        local_copy("s3://nowhere/gone.fits").__enter__()
