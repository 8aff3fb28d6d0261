"""The plots of a report, as what an HTML document takes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Picture:
    """One plot."""

    name: str
    """Of its place in the document."""
    caption: str
    """What it shows, in a sentence that says the most important of it."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The plots of a report and the scripts that draw them; none of it from elsewhere."""

    focal: Mapping[str, Picture] = field(default_factory=dict)
    """By kind of exposure."""
    trends: tuple[Picture, ...] = ()
    scripts: tuple[str, ...] = ()
    """JavaScript, in this order; safe within a script element."""
