"""The camera as a tree of parts: amplifier, CCD, readout board, raft, focal plane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from calwatch.camera.model import Camera

AMPLIFIER = "amplifier"
CCD = "CCD"


def amp_part(detector_name: str, amp: str) -> str:
    """Return the name of an amplifier as a part, such as ``R22_S11/C05``."""
    return f"{detector_name}/{amp}"


@dataclass(slots=True)
class Node:
    """One part and what is below it."""

    name: str
    level: str
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    order: int = 0
    """Place in the camera's order."""
    amps: int = 0
    """Number of amplifiers of this part."""

    def above(self) -> Iterator[Node]:
        """Yield this part and those it belongs to, from the top down."""
        if self.parent is not None:
            yield from self.parent.above()
        yield self


class Parts:
    """All parts of one camera, by name.

    Parameters
    ----------
    camera
        Its detectors say which parts they belong to (`calwatch.camera.model.Detector.parts`).
    """

    def __init__(self, camera: Camera) -> None:
        self.instrument = camera.instrument
        self._nodes: dict[str, Node] = {}
        self._root: Node | None = None
        self._camera_words = {d.number: d.name for d in camera.detectors}
        for detector in camera.detectors:
            parent: Node | None = None
            for level, name in detector.parts:
                parent = self._add(name, level, parent)
            for amp in detector.amp_names:
                self._add(amp_part(detector.name, amp), AMPLIFIER, parent).amps = 1
        if self._root is not None:
            _number(self._root, 0)

    def _add(self, name: str, level: str, parent: Node | None) -> Node:
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(name, level, parent)
            if parent is None:
                self._root = self._root or node
            else:
                parent.children.append(node)
        return node

    @property
    def root(self) -> Node:
        """The whole camera.

        Raises
        ------
        ValueError
            If the camera has no detector.
        """
        if self._root is None:
            raise ValueError(f"{self.instrument} has no detector")
        return self._root

    def find(self, name: str) -> Node | None:
        """Return a part by name, None if the camera has none of that name."""
        return self._nodes.get(name)

    def level(self, name: str) -> str:
        """Return the level of a part; a name that the camera does not know is its own level."""
        node = self._nodes.get(name)
        return node.level if node else "part"

    def detector_name(self, number: int) -> str:
        """Return the name of a detector."""
        return self._camera_words.get(number, f"detector {number}")

    def within(self, name: str, part: str) -> bool:
        """Tell whether one part is another, or belongs to it."""
        node = self._nodes.get(name)
        return name == part or (node is not None and any(n.name == part for n in node.above()))

    def sorted(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names of parts in the camera's order, unknown ones last."""
        return tuple(sorted(names, key=self._place))

    def _place(self, name: str) -> tuple[int, str]:
        node = self._nodes.get(name)
        return (node.order if node else len(self._nodes), name)


def _number(node: Node, place: int) -> int:
    """Give a part and all below it their places; count amplifiers on the way."""
    node.order = place
    place += 1
    for child in node.children:
        place = _number(child, place)
    if node.children:
        node.amps = sum(child.amps for child in node.children)
    return place
