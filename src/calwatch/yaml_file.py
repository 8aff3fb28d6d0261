"""Reading YAML that people edit: no key twice, no surprises, and the line of every field."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[int | str, ...]
"""The way to a field: keys, and numbers within lists."""
_MERGE = "tag:yaml.org,2002:merge"


class YamlFileError(ValueError):
    """The text is not YAML, or says something twice; the message is one line and names where."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a YAML file holds."""

    content: Any
    lines: Mapping[Path, int]
    """The line on which each field is written, counted from 1."""

    def line(self, path: Path) -> int | None:
        """Return the line of a field, or of the nearest thing around it that is written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def parse_yaml(text: str) -> YamlFile:
    """Read one YAML document with plain values only.

    Raises
    ------
    YamlFileError
        If it is not YAML, holds a value that cannot be read or gives a key twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return YamlFile(None, {})
        lines = dict(_lines(node, ()))
        return YamlFile(loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        raise YamlFileError(f"is not YAML: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:
        raise YamlFileError(f"holds a value that cannot be read: {error}") from error
    finally:
        loader.dispose()


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, refusing a key that is given twice, which YAML would silently drop."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.append(key)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                here = (*path, key.value)
                yield from _lines(value, here)
                yield here, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _lines(value, (*path, number))
