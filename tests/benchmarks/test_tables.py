"""A page keeps all that is not between the marks of the section that is written."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tables import Table, write_section

TABLE = Table("Costs", ["", "ms"], [["read", "260"], ["judge a bias", "7"]], "Medians.")


def test_a_section_is_replaced_and_the_rest_stays(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- measured: a -->\nold\n<!-- end: a -->\n\nafter\n")
    write_section(page, "a", [TABLE], "a machine")
    once = page.read_text()
    assert once.startswith("# Title\n\n<!-- measured: a -->\n\na machine\n\n### Costs\n")
    assert "| judge a bias | 7 |" in once
    assert once.endswith("Medians.\n\n<!-- end: a -->\n\nafter\n")
    assert "old" not in once
    write_section(page, "a", [TABLE], "a machine")
    assert page.read_text() == once


def test_a_section_without_marks_comes_last(tmp_path) -> None:
    page = tmp_path / "page.md"
    for name in "ab":
        write_section(page, name, [TABLE], "a machine")
    text = page.read_text()
    assert text.index("<!-- end: a -->") < text.index("<!-- measured: b -->")


def test_columns_stand_below_each_other() -> None:
    assert TABLE.text().splitlines()[1:] == [
        "                 ms", "  read          260", "  judge a bias    7", "  Medians.",
    ]  # fmt: skip
