"""Parts of a camera in words: where one is, and many of them in one line.

Everything is derived from the names, which say it in every Rubin camera: amplifier ``R22_S11/C05``
belongs to detector ``R22_S11``, board ``R22_Reb1`` and raft ``R22``. Any other name stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_CCD = re.compile(r"(?P<raft>R\d\d)_S(?P<place>[0-2][0-2]|G[01]|W[01])")
_BOARD = re.compile(r"(?P<raft>R\d\d)_Reb[0-9GW]")
_RAFTS = (
    ("00", "01", "02", "10", "11", "12", "20", "21", "22"),
    ("G0", "G1", "W0", "W1"),
)
"""Detectors of a science raft and of a corner raft, in the camera's order."""
_AMPS = 16
_AMPS_WAVEFRONT = 8
_NAMED_AMPS = 3
"""Amplifiers of one detector that are named; more are counted."""
SHOWN = 8
"""Pieces of a list of members that are given; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of a list of members, and the members it stands for."""

    text: str
    names: tuple[str, ...]


def where(part: str, level: str) -> str:
    """Say where a part is: ``amplifier C05 of detector R22_S11 (raft R22, board R22_Reb1)``."""
    ccd, slash, amp = part.partition("/")
    if slash:
        return f"amplifier {amp} of detector {ccd}{_place(ccd)}"
    match level:
        case "CCD":
            return f"detector {part}{_place(part)}"
        case "REB":
            found = _BOARD.fullmatch(part)
            return f"board {part}" + (f" (raft {found['raft']})" if found else "")
        case "focal plane":
            return "the whole camera"
        case _:
            return f"{level} {part}"


def short_where(instrument: str, part: str, level: str) -> str:
    """Name a part in as few words as possible: ``LSSTCam R22_S11/C05``, ``LSSTCam raft R22``."""
    if part == instrument:
        return instrument
    word = {"REB": "board ", "raft": "raft "}.get(level, "")
    return f"{instrument} {word}{part}"


def noun(members: Sequence[str], number: int | None = None) -> str:
    """Say what sort of parts these are; ``number`` decides between one and many."""
    kinds = {"amplifier" if "/" in name else "detector" for name in members}
    word = kinds.pop() if len(kinds) == 1 else "part"
    return word if (len(members) if number is None else number) == 1 else f"{word}s"


def how_many(members: Sequence[str], total: int) -> str:
    """Count parts: ``144 of 144 amplifiers``."""
    number = len(members)
    if total < number:
        return f"{number} {noun(members)}"
    return f"{number} of {total} {noun(members, total)}"


def compress(members: Sequence[str], shown: int = SHOWN) -> str:
    """Name many parts in one line.

    Parameters
    ----------
    members
        Names of amplifiers and detectors, in the camera's order.
    shown
        Pieces that are given.

    Returns
    -------
    str
        Whole detectors first, then single amplifiers, then how many more there are:
        ``all of R22_S00 to R22_S12, R22_S20/C05 and 31 more amplifiers``.
    """
    found = pieces(members)
    given = found[:shown]
    left = [name for piece in found[shown:] for name in piece.names]
    text = ", ".join(piece.text for piece in given)
    return f"{text} and {len(left)} more {noun(left)}" if left else text


def pieces(members: Iterable[str]) -> list[Piece]:
    """Return the entries of `compress`; together they stand for each member once."""
    by_ccd: dict[str, list[str]] = {}
    for name in dict.fromkeys(members):
        ccd, _, amp = name.partition("/")
        found = by_ccd.setdefault(ccd, [])
        if amp:
            found.append(amp)
    whole = {ccd: amps for ccd, amps in by_ccd.items() if len(amps) in (0, _number(ccd))}
    named = {ccd: amps for ccd, amps in whole.items() if not amps}
    full = {ccd: amps for ccd, amps in whole.items() if amps}
    rest = {ccd: amps for ccd, amps in by_ccd.items() if ccd not in whole}
    return [
        *_runs(named, ""),
        *_runs(full, "all of "),
        *(_some(ccd, amps) for ccd, amps in rest.items()),
    ]


def board(ccd: str) -> str:
    """Return the readout board of a detector; empty where its name does not say it."""
    found = _CCD.fullmatch(ccd)
    return f"{found['raft']}_Reb{found['place'][0]}" if found else ""


def _place(ccd: str) -> str:
    found = _CCD.fullmatch(ccd)
    return f" (raft {found['raft']}, board {board(ccd)})" if found else ""


def _number(ccd: str) -> int:
    """Return the number of amplifiers of a detector."""
    found = _CCD.fullmatch(ccd)
    return _AMPS_WAVEFRONT if found and found["place"].startswith("W") else _AMPS


def _some(ccd: str, amps: list[str]) -> Piece:
    names = tuple(f"{ccd}/{amp}" for amp in amps)
    if len(amps) > _NAMED_AMPS:
        return Piece(f"{len(amps)} amplifiers of {ccd}", names)
    return Piece(", ".join(names), names)


def _runs(ccds: dict[str, list[str]], before: str) -> list[Piece]:
    """Join neighbours of one raft, and rafts that are whole."""
    runs: list[list[str]] = []
    for ccd in ccds:
        if runs and _follows(runs[-1][-1], ccd):
            runs[-1].append(ccd)
        else:
            runs.append([ccd])
    rafts = [run for run in runs if _is_raft(run)]
    if len(rafts) < 2:
        return [_run(run, ccds, before) for run in runs]
    names = [run[0].partition("_")[0] for run in rafts]
    text = f"{before}rafts {', '.join(names[:-1])} and {names[-1]}"
    joined = Piece(text, tuple(name for run in rafts for name in _run(run, ccds, "").names))
    return [joined, *(_run(run, ccds, before) for run in runs if run not in rafts)]


def _run(run: list[str], ccds: dict[str, list[str]], before: str) -> Piece:
    names = tuple(f"{ccd}/{amp}" if amp else ccd for ccd in run for amp in ccds[ccd] or [""])
    if len(run) == 1:
        return Piece(f"{before}{run[0]}", names)
    joint = " to " if len(run) > 2 else " and "
    return Piece(f"{before}{run[0]}{joint}{run[-1]}", names)


def _follows(first: str, second: str) -> bool:
    """Tell whether a detector is the next one of the same raft."""
    one, other = _CCD.fullmatch(first), _CCD.fullmatch(second)
    if not one or not other or one["raft"] != other["raft"]:
        return False
    here = (one["place"], other["place"])
    return any(here in pairwise(places) for places in _RAFTS)


def _is_raft(run: list[str]) -> bool:
    found = [_CCD.fullmatch(ccd) for ccd in run]
    return tuple(match["place"] for match in found if match) in _RAFTS
