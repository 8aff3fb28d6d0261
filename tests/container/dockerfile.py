"""Reads a Dockerfile as far as this project's goes; what it does not know it refuses."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN",
    "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class DockerfileError(Exception):
    """The file says something this reader does not know; the message names the line."""


@dataclass(frozen=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    text: str
    line: int

    @property
    def words(self) -> list[str]:
        """The words after the name, without options such as ``--from=build``."""
        return [word for word in shlex.split(self.text) if not word.startswith("--")]

    @property
    def options(self) -> dict[str, str]:
        """Options such as ``--from=build``."""
        pairs = [w[2:].partition("=") for w in shlex.split(self.text) if w.startswith("--")]
        return {name: value for name, _, value in pairs}

    @property
    def pairs(self) -> dict[str, str]:
        """What ENV and LABEL set."""
        parts = [word.partition("=") for word in shlex.split(self.text)]
        return {name: value for name, _, value in parts}

    @property
    def command(self) -> list[str]:
        """The exec form of ENTRYPOINT, CMD, VOLUME and HEALTHCHECK.

        Raises
        ------
        DockerfileError
            If it is a shell's line: then a shell, not calwatch, would get SIGTERM.
        """
        text = self.text.partition("CMD ")[2] if self.name == "HEALTHCHECK" else self.text
        try:
            found = json.loads(text)
        except ValueError as error:
            raise DockerfileError(f"line {self.line}: {self.name} is not in exec form") from error
        return [str(word) for word in found]


@dataclass
class Stage:
    """A stage, from its FROM on."""

    name: str
    base: str
    """Name of a stage before, or of an image."""
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction | None:
        """Return the last instruction of that name: the one that holds."""
        return next((i for i in reversed(self.instructions) if i.name == name), None)


@dataclass
class Dockerfile:
    """All stages, in order, and the arguments before the first."""

    stages: dict[str, Stage]
    arguments: dict[str, str]

    @property
    def final(self) -> Stage:
        """What becomes the image."""
        return list(self.stages.values())[-1]


def expand(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of ``${NAME}`` and ``$NAME``."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def read(path: Path) -> Dockerfile:
    """Read a Dockerfile.

    Raises
    ------
    DockerfileError
        If there is something in it that this reader does not know.
    """
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for instruction in _instructions(path.read_text(encoding="utf-8")):
        if instruction.name not in KNOWN:
            raise DockerfileError(f"line {instruction.line}: unknown {instruction.name}")
        if instruction.name == "FROM":
            base, *rest = instruction.text.split()
            name = rest[1] if len(rest) == 2 and rest[0].upper() == "AS" else str(len(stages))
            stage = stages[name] = Stage(name, expand(base, arguments))
        elif stage is not None:
            stage.instructions.append(instruction)
        elif instruction.name == "ARG":
            key, _, value = instruction.text.partition("=")
            arguments[key] = value
        else:
            raise DockerfileError(f"line {instruction.line}: {instruction.name} before FROM")
    return Dockerfile(stages, arguments)


def _instructions(text: str) -> list[Instruction]:
    found = []
    joined, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        began = began or number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        name, _, rest = (joined + line).strip().partition(" ")
        found.append(Instruction(name.upper(), rest.strip(), began))
        joined, began = "", 0
    return found
