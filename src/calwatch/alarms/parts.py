"""The camera as a tree of parts: amplifier, CCD, readout board, raft, focal plane."""

from __future__ import annotations

from collections.abc import Iterable
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
    last: int = 0
    """Place of the last part below it, or its own."""
    amps: int = 0
    """Number of amplifiers of this part."""

    def above(self) -> list[Node]:
        """Return this part and those it belongs to, from the top down."""
        found = [self]
        while (node := found[-1].parent) is not None:
            found.append(node)
        return found[::-1]


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
        self._bits: dict[str, int] = {}
        for bit, detector in enumerate(camera.detectors, 1):
            parent: Node | None = None
            for level, name in detector.parts:
                parent = self._add(name, level, parent)
            self._bits[detector.name] = bit
            for amp in detector.amp_names:
                name = amp_part(detector.name, amp)
                self._add(name, AMPLIFIER, parent).amps = 1
                self._bits[name] = bit
        place = 0
        for node in [node for node in self._nodes.values() if node.parent is None]:
            place = _number(node, place)

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
        """Return the level of a part; ``part`` for a name that the camera does not know.

        The only detector of a camera is the whole camera.
        """
        node = self._nodes.get(name)
        while node is not None and node.parent is not None and len(node.parent.children) == 1:
            node = node.parent
        return node.level if node else "part"

    def detector_name(self, number: int) -> str:
        """Return the name of a detector."""
        return self._camera_words.get(number, f"detector {number}")

    def bit(self, name: str) -> int:
        """Return a number for the detector of a part, 0 for larger parts and unknown ones."""
        return self._bits.get(name, 0)

    def within(self, name: str, part: str) -> bool:
        """Tell whether one part is another, or belongs to it."""
        node, larger = self._nodes.get(name), self._nodes.get(part)
        if node is None or larger is None:
            return name == part
        return larger.order <= node.order <= larger.last

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
    node.last = place - 1
    if node.children:
        node.amps = sum(child.amps for child in node.children)
    return place
