"""The rules that the Dockerfile keeps; that its steps work is shown by prove.py."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from dockerfile import Dockerfile, DockerfileError, expand, read

ROOT = Path(__file__).parents[2]
USER = 10123
TITLES = ("title", "description", "licenses", "version", "revision")


@pytest.fixture(scope="module")
def file() -> Dockerfile:
    return read(ROOT / "Dockerfile")


def test_the_base_is_pinned_and_every_stage_stands_on_it(file: Dockerfile) -> None:
    first, *others = file.stages.values()
    assert re.fullmatch(r"debian:\d+\.\d+-slim(@sha256:[0-9a-f]{64})?", first.base)
    for stage in others:
        assert stage.base in file.stages


def test_what_is_installed_is_hashed(file: Dockerfile) -> None:
    steps = [i.text for stage in file.stages.values() for i in stage.instructions]
    installs = [part for text in steps for part in re.split("&&|;", text) if "pip install" in part]
    assert len(installs) == 3
    for text in installs:
        assert "--require-hashes" in text or ("--no-deps" in text and "dist/" in text), text
    assert not [text for text in steps if re.search("curl|wget|https?://", text)]


def test_it_runs_as_nobody_special(file: Dockerfile) -> None:
    user = file.final.last("USER")
    assert user is not None
    assert user.text == f"{USER}:{USER}"
    after = file.final.instructions[file.final.instructions.index(user) :]
    assert not [step for step in after if step.name in ("RUN", "COPY")]


def test_signals_reach_calwatch_and_no_shell(file: Dockerfile) -> None:
    commands = {name: file.final.last(name) for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK")}
    assert {name: i.command for name, i in commands.items() if i} == {
        "ENTRYPOINT": ["calwatch"],
        "CMD": ["run", "--config", "/etc/calwatch/calwatch.yaml"],
        "HEALTHCHECK": ["calwatch", "health"],
    }
    signal = file.final.last("STOPSIGNAL")
    assert signal is not None
    assert signal.text == "SIGTERM"


def test_nothing_is_written_but_where_it_may_be(file: Dockerfile) -> None:
    values = {k: v for i in file.final.instructions if i.name == "ENV" for k, v in i.pairs.items()}
    assert values["PYTHONDONTWRITEBYTECODE"] == "1"
    assert values["HOME"] == "/tmp"
    assert values["NUMBA_CACHE_DIR"].startswith("/tmp/")
    warm = next(i for i in file.stages["build"].instructions if "warm-up" in i.text)
    assert values["CALWATCH_KERNELS"] in warm.text
    volume = file.final.last("VOLUME")
    assert volume is not None
    assert volume.command == ["/var/lib/calwatch"]


def test_it_says_what_it_is(file: Dockerfile) -> None:
    given = {"VERSION": "1.2", "REVISION": "abc"}
    labels = {
        k: v for i in file.final.instructions if i.name == "LABEL" for k, v in i.pairs.items()
    }
    for title in TITLES:
        assert expand(labels[f"org.opencontainers.image.{title}"], given)
    assert expand(labels["org.opencontainers.image.revision"], given) == "abc"
    declared = {i.text.partition("=")[0] for i in file.final.instructions if i.name == "ARG"}
    assert declared == {"VERSION", "REVISION"}


def test_ports_are_those_of_the_examples(file: Dockerfile) -> None:
    exposed = file.final.last("EXPOSE")
    assert exposed is not None
    example = yaml.safe_load((ROOT / "config" / "latiss.yaml").read_text(encoding="utf-8"))
    assert set(exposed.words) == {str(example["web"]["port"]), str(example["metrics_port"])}


def test_whatever_is_copied_is_let_in_and_there(file: Dockerfile) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    copied = {
        word
        for stage in file.stages.values()
        for i in stage.instructions
        if i.name == "COPY" and "from" not in i.options
        for word in i.words[:-1]
    }
    assert copied == let_in
    assert all((ROOT / word).exists() for word in copied)


def test_python_is_new_enough() -> None:
    """Debian 12 has Python 3.11."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FROM debian\nADD https://example.org/x /x\n", "line 2: unknown ADD"),
        ("RUN true\nFROM debian\n", "line 1: RUN before FROM"),
    ],
)
def test_what_the_reader_does_not_know_it_refuses(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    with pytest.raises(DockerfileError, match=problem):
        read(tmp_path / "Dockerfile")


def test_a_shell_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nCMD calwatch run\n")
    command = read(tmp_path / "Dockerfile").final.last("CMD")
    assert command is not None
    with pytest.raises(DockerfileError, match="line 2: CMD is not in exec form"):
        _ = command.command
