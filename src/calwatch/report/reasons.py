"""Putting like sentences of many parts and exposures together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from calwatch.report.model import Reason

_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} ?")


@dataclass(slots=True)
class _Said:
    parts: dict[str, None] = field(default_factory=dict)
    exposures: dict[int, None] = field(default_factory=dict)
    count: int = 0


@dataclass(slots=True)
class Reasons:
    """Sentences, by kind of exposure."""

    _said: dict[tuple[str, str], _Said] = field(default_factory=dict)

    def add(self, kind: str, words: str, part: str, exposure_id: int) -> None:
        """Note a sentence; the identifiers of datasets in it differ and are left out."""
        said = self._said.setdefault((kind, _UUID.sub("", words).strip()), _Said())
        said.parts[part] = None
        said.exposures[exposure_id] = None
        said.count += 1

    def all(self) -> tuple[Reason, ...]:
        """Return them, the most frequent first."""
        found = [
            Reason(kind, words, tuple(said.parts), tuple(said.exposures), said.count)
            for (kind, words), said in self._said.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.count, one.kind, one.words)))
