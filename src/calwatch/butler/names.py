"""Collection names of DMTN-222 §2: parsed, built and validated.

======================  ===========================================================
generation (RUN)        ``$INSTRUMENT/calib/$TICKET/$TAG/{type}Gen.YYYYMMDDv``
verification (RUN)      ``$INSTRUMENT/calib/$TICKET/$TAG/verify{Type}.YYYYMMDDv``
certified (CALIBRATION) ``$INSTRUMENT/calib/$TICKET/$TAG/{type}.YYYYMMDDv``
tag (CHAINED)           ``$INSTRUMENT/calib/$TICKET/$TAG``
ticket (CHAINED)        ``$INSTRUMENT/calib/$TICKET``
top (CHAINED)           ``$INSTRUMENT/calib``
tagged (TAGGED)         ``$INSTRUMENT/calib_tagged`` or ``$INSTRUMENT/calib_tagged/$NAME``
defaults (CHAINED)      ``$INSTRUMENT/defaults``
raw (RUN)               ``$INSTRUMENT/raw/$NAME``
======================  ===========================================================

``v`` is one letter, counted up when a generation is retried. A type may carry a variant
(``flatGen-r.20250207a``), as in the worked example of DMTN-222; generation and verification may
have a subordinate run below them (``biasGen.20250207a/run1``); private collections begin with
``u/$USER/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from calwatch.errors import NameRuleError


class Kind(StrEnum):
    """What a collection is for."""

    GENERATION = "generation"
    VERIFICATION = "verification"
    CERTIFIED = "certified"
    TAG = "tag"
    TICKET = "ticket"
    TOP = "top"
    TAGGED = "tagged"
    DEFAULTS = "defaults"
    RAW = "raw"


_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9])?"
_TYPE = r"[A-Za-z][A-Za-z0-9_]*"
_PREFIX = rf"(?:u/(?P<user>{_WORD})/)?(?P<instrument>[A-Za-z][A-Za-z0-9_\-]*)"
_TICKET = r"(?P<ticket>[A-Z][A-Z0-9]*-[0-9]+)"
_RERUN = r"(?:-(?P<variant>[A-Za-z0-9_~]+))?\.(?P<day>[0-9]{8})(?P<iteration>[a-z])"

_PATTERNS = {
    Kind.RAW: re.compile(rf"{_PREFIX}/raw/(?P<label>{_WORD})"),
    Kind.DEFAULTS: re.compile(rf"{_PREFIX}/defaults"),
    Kind.TAGGED: re.compile(rf"{_PREFIX}/calib_tagged(?:/(?P<label>{_WORD}))?"),
    Kind.TOP: re.compile(rf"{_PREFIX}/calib"),
    Kind.TICKET: re.compile(rf"{_PREFIX}/calib/{_TICKET}"),
    Kind.TAG: re.compile(rf"{_PREFIX}/calib/{_TICKET}/(?P<tag>{_WORD})"),
    Kind.VERIFICATION: re.compile(
        rf"{_PREFIX}/calib/{_TICKET}/(?P<tag>{_WORD})/verify(?P<type>[A-Z][A-Za-z0-9_]*){_RERUN}"
        rf"(?:/(?P<label>{_WORD}))?"
    ),
    Kind.GENERATION: re.compile(
        rf"{_PREFIX}/calib/{_TICKET}/(?P<tag>{_WORD})/(?P<type>{_TYPE})Gen{_RERUN}"
        rf"(?:/(?P<label>{_WORD}))?"
    ),
    Kind.CERTIFIED: re.compile(
        rf"{_PREFIX}/calib/{_TICKET}/(?P<tag>{_WORD})/(?P<type>{_TYPE}){_RERUN}"
    ),
}
"""Tried in this order: what verification and generation match is never a certified type."""

_EXAMPLES = {
    Kind.GENERATION: "LATISS/calib/DM-12345/voltageChange/biasGen.20220915a",
    Kind.VERIFICATION: "LATISS/calib/DM-12345/voltageChange/verifyBias.20220915a",
    Kind.CERTIFIED: "LATISS/calib/DM-12345/voltageChange/bias.20220915a",
    Kind.TAG: "LATISS/calib/DM-12345/voltageChange",
    Kind.TICKET: "LATISS/calib/DM-12345",
    Kind.TOP: "LATISS/calib",
    Kind.TAGGED: "LATISS/calib_tagged/inUse",
    Kind.DEFAULTS: "LATISS/defaults",
    Kind.RAW: "LATISS/raw/all",
}


@dataclass(frozen=True, slots=True)
class CollectionName:
    """The parts of a collection name; empty where its kind has no such part."""

    kind: Kind
    instrument: str
    ticket: str = ""
    tag: str = ""
    calib_type: str = ""
    """Dataset type, such as ``bias``."""
    variant: str = ""
    """What sets apart collections of one type, such as the band of a flat."""
    day: str = ""
    """``YYYYMMDD``: when it was made."""
    iteration: str = ""
    """One letter."""
    label: str = ""
    """Name of a raw or tagged collection, or of the run below a generation or verification."""
    user: str = ""

    def __str__(self) -> str:
        return build(self)


def parse(name: str) -> CollectionName:
    """Take a collection name apart.

    Raises
    ------
    NameRuleError
        If it is none of the kinds of DMTN-222 §2.
    """
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(name)
        if match is None:
            continue
        parts = {key: value or "" for key, value in match.groupdict().items()}
        calib_type = parts.pop("type", "")
        if kind is Kind.VERIFICATION:
            calib_type = calib_type[0].lower() + calib_type[1:]
        if parts.get("day"):
            _check_day(parts["day"], name)
        return CollectionName(kind=kind, calib_type=calib_type, **parts)
    raise NameRuleError(
        f"collection name {name!r} breaks the rules of DMTN-222 §2; a certified collection, for "
        f"one, is named like {_EXAMPLES[Kind.CERTIFIED]}"
    )


def build(parts: CollectionName) -> str:
    """Put a collection name together.

    Raises
    ------
    NameRuleError
        If the parts do not make a valid name of their kind.
    """
    head = f"u/{parts.user}/{parts.instrument}" if parts.user else parts.instrument
    base = f"{head}/calib/{parts.ticket}"
    variant = f"-{parts.variant}" if parts.variant else ""
    rerun = f"{variant}.{parts.day}{parts.iteration}"
    label = f"/{parts.label}" if parts.label else ""
    kind_of_type = parts.calib_type[:1].upper() + parts.calib_type[1:]
    name = {
        Kind.RAW: f"{head}/raw/{parts.label}",
        Kind.DEFAULTS: f"{head}/defaults",
        Kind.TAGGED: f"{head}/calib_tagged{label}",
        Kind.TOP: f"{head}/calib",
        Kind.TICKET: base,
        Kind.TAG: f"{base}/{parts.tag}",
        Kind.VERIFICATION: f"{base}/{parts.tag}/verify{kind_of_type}{rerun}{label}",
        Kind.GENERATION: f"{base}/{parts.tag}/{parts.calib_type}Gen{rerun}{label}",
        Kind.CERTIFIED: f"{base}/{parts.tag}/{parts.calib_type}{rerun}",
    }[parts.kind]
    if parse(name) != parts:
        raise NameRuleError(
            f"{name!r} would not be read back as what it is meant to be ({parts.kind}); "
            f"such a name looks like {_EXAMPLES[parts.kind]}"
        )
    return name


def validate(name: str, kinds: Kind | Iterable[Kind], what: str = "collection") -> CollectionName:
    """Return the parts of a name that must be of one of the kinds.

    Raises
    ------
    NameRuleError
        If it is not; the message shows what a right name looks like.
    """
    allowed = (kinds,) if isinstance(kinds, Kind) else tuple(kinds)
    try:
        parts = parse(name)
    except NameRuleError:
        parts = None
    if parts is None or parts.kind not in allowed:
        like = " or ".join(f"{_EXAMPLES[kind]} ({kind})" for kind in allowed)
        found = "" if parts is None else f" (it is the name of a {parts.kind} collection)"
        raise NameRuleError(
            f"{what} {name!r} breaks the rules of DMTN-222 §2{found}; expected a name like {like}"
        )
    return parts


def _check_day(day: str, name: str) -> None:
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError as exc:
        raise NameRuleError(f"collection name {name!r}: {day} is not a date YYYYMMDD") from exc
