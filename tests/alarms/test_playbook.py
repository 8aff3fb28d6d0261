"""The playbook has every alarm, every warning of the log, and no command that there is not."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest
from scenes import RULES

import calwatch
from calwatch.alarms.rebuild import to_rebuild
from calwatch.cli.main import cli

PLAYBOOK = Path(__file__).parents[2] / "docs" / "playbook.md"
TEXT = PLAYBOOK.read_text(encoding="utf-8")
MECHANICS = (
    "raised", "recovered", "acknowledge", "mute", "escalate", "quiet", "late evidence", "digest",
    "dead-man", "daemon silent",
)  # fmt: skip
SOURCE = Path(calwatch.__file__).parent
STEPS = ("Means", "Tell apart", "Now", "Next morning", "Rebuild", "Not")


def sections(chapter: str) -> dict[str, str]:
    """Return the sections of a chapter by heading."""
    _, _, rest = TEXT.partition(f"\n# {chapter}\n")
    text, _, _ = rest.partition("\n# ")
    pieces = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


FAMILIES = sections("By family")


def anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def test_each_family_has_its_section_and_each_section_its_family() -> None:
    assert sorted(FAMILIES) == sorted({*(family.playbook for family in RULES.families), "other"})
    assert RULES.family("no-such-family").playbook == "other"


def test_each_family_has_a_section_of_its_own_name() -> None:
    assert all(family.playbook == family.name for family in RULES.families)


def test_how_alarms_behave_is_told() -> None:
    assert tuple(sections("How alarms behave")) == MECHANICS


@pytest.mark.parametrize("name", FAMILIES)
def test_a_section_says_what_to_do_in_few_lines(name: str) -> None:
    steps = re.findall(r"^\* \*\*(.+?)\.\*\*", FAMILIES[name], flags=re.MULTILINE)
    assert [step for step in steps if step in STEPS] == list(STEPS)
    assert 8 <= len(FAMILIES[name].strip().split("\n")) <= 15


@pytest.mark.parametrize("family", RULES.families, ids=lambda family: family.name)
def test_the_order_of_rebuilding_is_the_one_of_the_graph(family) -> None:
    lines = " ".join(FAMILIES[family.playbook].split())
    (told,) = re.findall(r"\* \*\*Rebuild\.\*\* (.+?) \* \*\*Not", lines)
    order = ", ".join(to_rebuild(family.rebuild))
    assert told == f"{order}." if order else told.startswith("Nothing")


def test_every_link_leads_somewhere() -> None:
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]+)\)", TEXT))
    assert links <= headings
    assert len(re.findall(r"^#+ .+$", TEXT, re.MULTILINE)) == len(headings)


def commands_in(text: str) -> list[list[str]]:
    """Return the words of every command of calwatch that a text gives, after ``calwatch``."""
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", text)
    told = [" ".join(span.split()) for span in spans]
    lines = re.findall(r"(?:^|\s)calwatch( [a-z].*)?$", "\n".join(told), flags=re.MULTILINE)
    found = [shlex.split(line.strip()) for line in lines]
    return [words for words in found if words]


def problems_of(words: list[str]) -> list[str]:
    """Return what of a command line does not exist."""
    command: click.Command | None = cli
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        command = command.get_command(click.Context(command), name)
        if command is None:
            return [f"{name} of `calwatch {' '.join(words)}`"]
    assert command is not None
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    options = [word.partition("=")[0] for word in rest if word.startswith("-")]
    return [f"{o} of `calwatch {' '.join(words)}`" for o in options if o not in known | {"--help"}]


def test_every_command_and_option_in_it_exists() -> None:
    found = commands_in(TEXT)
    assert ["alarms", "ack", "NAME", "--by", "YOU", "--why", "..."] in found
    assert ["run", "--config", "FILE", "--once"] in found
    assert ["ledger", "copy", "FILE", "postgresql://calwatch@db.example.org/calwatch"] in found
    assert len(found) > 25
    assert [problem for words in found for problem in problems_of(words)] == []


def test_commands_and_options_that_do_not_exist_are_found() -> None:
    text = "`calwatch limits rehearse` and `calwatch run\n  --config FILE --twice`, `calwatch fly`"
    found = [problem for words in commands_in(text) for problem in problems_of(words)]
    assert [problem.split(" of ")[0] for problem in found] == ["rehearse", "--twice", "fly"]


LEVELS = ("warning", "error", "exception", "critical")


def log_events(source: str) -> set[str]:
    """Return every event that a module may log as a warning or an error.

    Where the event is not written in the call (a line is made elsewhere), those written as
    ``{"event": ...}`` in the package are meant.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in LEVELS and node.args:
                found |= strings(node.args[0])
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "event":
                    found |= strings(value)
    return found


def strings(node: ast.expr) -> set[str]:
    values = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
    return {value for value in values if isinstance(value, str) and value}


def all_events() -> set[str]:
    return set().union(*(log_events(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")))


def test_every_warning_and_error_of_the_log_is_explained() -> None:
    _, _, chapter = TEXT.partition("\n# The log\n")
    chapter, _, _ = chapter.partition("\n# ")
    rows = [line.split(" | ") for line in chapter.split("\n") if line.startswith("| `")]
    told = [row[0].strip("|` ") for row in rows]
    events = all_events()
    assert "out of reach" in events
    assert "exposure incomplete" in events
    assert sorted(told) == sorted(events)
    assert all(len(row) == 3 and all(len(cell) > 4 for cell in row) for row in rows)


def test_it_is_plain() -> None:
    assert "!" not in TEXT
    assert "TODO" not in TEXT
