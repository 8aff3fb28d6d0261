"""Settings: the file, the environment over it, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from calwatch.errors import StopError
from calwatch.settings import RetrySettings, load_settings

GOOD = """
repo: /repo/main
instruments: [LATISS, LSSTCam]
ledger: postgresql://me:word@host/db
look_back_days: null
retry: {attempts: 2}
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPO", "INSTRUMENTS", "WORKERS", "RETRY__ATTEMPTS"):
        monkeypatch.delenv(f"CALWATCH_{name}", raising=False)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD)
    return path


def test_a_file_is_read_and_the_rest_has_defaults(good: Path) -> None:
    settings = load_settings(good)
    assert settings.instruments == ("LATISS", "LSSTCam")
    assert settings.look_back_days is None
    assert settings.retry.attempts == 2
    assert settings.limits == "dmtn101"
    assert settings.workers >= 1
    assert "word" not in repr(settings)


def test_arguments_win_over_the_environment_and_that_over_the_file(good, monkeypatch) -> None:
    monkeypatch.setenv("CALWATCH_RETRY__ATTEMPTS", "7")
    monkeypatch.setenv("CALWATCH_REPO", "/repo/other")
    monkeypatch.setenv("CALWATCH_INSTRUMENTS", "LSSTComCam, LATISS")
    settings = load_settings(good, repo="/repo/third")
    assert settings.retry.attempts == 7
    assert settings.instruments == ("LSSTComCam", "LATISS")
    assert settings.repo == "/repo/third"


def test_the_environment_alone_may_do(monkeypatch) -> None:
    monkeypatch.setenv("CALWATCH_REPO", "/repo")
    monkeypatch.setenv("CALWATCH_INSTRUMENTS", "LATISS")
    assert load_settings().instruments == ("LATISS",)


def test_every_mistake_is_named_at_once(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("instruments: []\nwatchers: 3\nretry: {attempts: none}\n")
    monkeypatch.setenv("CALWATCH_WORKERS", "0")
    with pytest.raises(StopError) as caught:
        load_settings(path)
    text = str(caught.value)
    assert "5 problems" in text
    for place in (":1: instruments", ":2: watchers", ":3: retry.attempts", ": repo"):
        assert f"{path}{place}: " in text
    assert "(given: 'none')" in text
    assert "environment CALWATCH_WORKERS: " in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [("a: [1", "is not YAML"), ("- a\n- b\n", "must be a list of"), (None, "cannot be read")],
)
def test_a_file_that_is_none(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "site.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StopError, match=rf"site\.yaml: {words}"):
        load_settings(path)


def test_a_secret_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("repo: /r\ninstruments: [LATISS]\nweb: {token: [hunter2]}\nledger: 5\n")
    with pytest.raises(StopError) as caught:
        load_settings(path)
    assert "hunter2" not in str(caught.value)
    assert f"{path}:4: ledger: Input should be a valid string" in str(caught.value)


def test_waits_double_up_to_a_bound() -> None:
    retry = RetrySettings(first_seconds=1.0, most_seconds=5.0)
    assert [retry.wait(n) for n in (1, 2, 3, 4, 5000)] == [1.0, 2.0, 4.0, 5.0, 5.0]
