"""Every alarm has its section in the playbook, and every section its alarm."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from scenes import RULES

from calwatch.alarms.rebuild import to_rebuild
from calwatch.cli.main import cli

PLAYBOOK = Path(__file__).parents[2] / "docs" / "playbook.md"
TEXT = PLAYBOOK.read_text(encoding="utf-8")
MECHANICS = (
    "raised", "recovered", "acknowledge", "mute", "escalate", "quiet", "late evidence", "digest",
    "dead-man", "daemon silent",
)  # fmt: skip
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


def test_every_command_in_it_exists() -> None:
    named = set(re.findall(r"`calwatch ([a-z]+)(?: ([a-z]+))?", TEXT))
    assert ("alarms", "ack") in named
    for first, second in named:
        command = cli.get_command(click.Context(cli), first)
        assert command is not None, first
        assert not second or second in command.commands, (first, second)


def test_it_is_plain() -> None:
    assert "!" not in TEXT
    assert "TODO" not in TEXT
