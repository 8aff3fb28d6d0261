"""YAML that people edit."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calwatch.yaml_file import YamlFileError, parse_yaml

TEXT = """# a comment
repo: /repo
alarms:
  channels:
    - {type: console}
    - type: sal
      name: love
base: &base {x: 1}
more:
  <<: *base
  y: 2
"""


def test_every_field_has_its_line() -> None:
    file = parse_yaml(TEXT)
    assert file.content["more"] == {"x": 1, "y": 2}
    assert file.line(("repo",)) == 2
    assert file.line(("alarms", "channels", 1, "name")) == 7
    assert file.line(("more", "y")) == 11
    # What is not written has the line of what it is in.
    assert file.line(("alarms", "channels", 0, "severity")) == 5
    assert file.line(("more", "x")) == 9
    assert file.line(("nothing",)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", r"key 'a' is given twice.*line 3"),
        ("a: [1", "is not YAML"),
        ("a: !!python/object:os.system {}", "is not YAML"),
        ("a: 2026-13-45", "cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, words: str) -> None:
    with pytest.raises(YamlFileError, match=words):
        parse_yaml(text)


def test_an_empty_file_holds_nothing() -> None:
    assert parse_yaml("# nothing\n").content is None
    assert parse_yaml("").line(("a",)) is None


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner, max_size=3),
    max_leaves=10,
)


@given(plain)
def test_it_reads_what_yaml_reads(content: object) -> None:
    assert parse_yaml(yaml.safe_dump(content)).content == content
