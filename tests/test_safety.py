"""What must not stand anywhere in the house, and what never comes from outside to the disk."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.arrivals import s3
from calwatch.arrivals.model import Ignored, Notice
from calwatch.camera.loader import known_instruments, load_camera

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "calwatch"
FORBIDDEN = {
    "yaml.load": "yaml.safe_load",
    "yaml.full_load": "yaml.safe_load",
    "yaml.unsafe_load": "yaml.safe_load",
    "yaml.load_all": "yaml.safe_load_all",
    "pickle.load": "JSON, or numpy without pickle",
    "pickle.loads": "JSON, or numpy without pickle",
    "eval": "a parser",
    "exec": "a function",
    "os.system": "subprocess.run with a list",
    "os.popen": "subprocess.run with a list",
    "tempfile.mktemp": "tempfile.mkstemp",
    "ssl._create_unverified_context": "a context that checks",
}


@cache
def calls() -> list[tuple[Path, ast.Call]]:
    """Return all calls in the house."""
    return [
        (path, node)
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def test_nothing_unsafe_is_called() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call.func)}: use "
        f"{FORBIDDEN[ast.unparse(call.func)]}"
        for path, call in calls()
        if ast.unparse(call.func) in FORBIDDEN
    ]
    assert found == []


@pytest.mark.parametrize("word", ["shell", "verify", "allow_pickle"])
def test_no_switch_is_set_to_the_unsafe_side(word: str) -> None:
    safe = word == "verify"
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for path, call in calls()
        for keyword in call.keywords
        if keyword.arg == word
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is not safe
    ]
    assert found == []


def test_numpy_files_are_read_without_pickle() -> None:
    loads = [(path, call) for path, call in calls() if ast.unparse(call.func) == "np.load"]
    assert loads
    for path, call in loads:
        assert any(keyword.arg == "allow_pickle" for keyword in call.keywords), path


def test_yaml_loaders_are_safe() -> None:
    """A loader of our own comes from a safe one."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in ("FullLoader", "UnsafeLoader", "yaml.Loader", "CLoader"):
            assert name not in text, path


CAMERAS = {name: load_camera(name) for name in ("LATISS", "LSSTCam")}
PIECE = st.sampled_from(
    ["LSSTCam", "LATISS", "20261122", "MC_O_20261122_000010", "..", ".", "", "/", "%2e%2e", "\0",
     "etc", "passwd", "MC_O_20261122_000010_R22_S11.fits", "_R22_S11.fits", "file:", "s3://b"]
) | st.text(max_size=8)  # fmt: skip


@given(st.lists(PIECE, max_size=7).map("/".join))
def test_no_key_of_a_bucket_becomes_a_path(key: str) -> None:
    """What a notification gives is a camera of ours and two numbers; the Butler knows the file."""
    now = datetime(2026, 11, 22, 15, tzinfo=UTC)
    record = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": key}}}
    for said in s3.understand([record], CAMERAS, now):
        if isinstance(said, Ignored):
            assert "\n" not in said.text
            continue
        assert isinstance(said, Notice)
        assert said.instrument in known_instruments()
        assert type(said.exposure_id) is int
        assert type(said.detector) is int
        assert said.text == ""


def test_what_events_lead_to_has_no_way_to_the_disk() -> None:
    """The packages that read events, and the page, open no file by a name that is told to them."""
    openers = {"open", "Path", "os.open", "ResourcePath"}
    for package in ("arrivals", "kafka"):
        for path in (SOURCE / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            used = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
            assert not used & openers, path
