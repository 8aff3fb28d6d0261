"""The CHAINED collections that put certified calibrations in order (DMTN-222 §2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calwatch.butler.names import Kind, parse, validate
from calwatch.errors import NameRuleError, StopError
from calwatch.offline.repository import writing

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

_CHAINS = (Kind.TOP, Kind.TICKET, Kind.TAG, Kind.DEFAULTS)


def set_chain(
    root: str | Path, chain: str, collections: Sequence[str], *, force_name: bool = False
) -> tuple[str, ...]:
    """Make a chain hold these collections, in this order; return its new definition.

    Parameters
    ----------
    root
        The repository.
    chain
        CHAINED collection; made if it does not exist.
    collections
        The first is searched first.
    force_name
        Accept names that break DMTN-222 §2.

    Raises
    ------
    NameRuleError
        If a name breaks the rules.
    StopError
        If a collection does not exist, the chain is another kind of collection, or it would
        contain itself.
    """
    return _change(root, chain, collections, redefine=True, force_name=force_name)


def prepend(
    root: str | Path, chain: str, collections: Sequence[str], *, force_name: bool = False
) -> tuple[str, ...]:
    """Put collections in front of a chain, so that they are found first.

    Parameters and errors are those of `set_chain`. A collection that is in the chain already moves
    to the front.
    """
    return _change(root, chain, collections, redefine=False, force_name=force_name)


def _change(
    root: str | Path, chain: str, collections: Sequence[str], *, redefine: bool, force_name: bool
) -> tuple[str, ...]:
    from lsst.daf.butler import CollectionType
    from lsst.daf.butler.registry import CollectionError

    if not collections:
        raise StopError(f"{chain}: name the collections it is to hold")
    if not force_name:
        _check_names(chain, collections)
    with writing(root) as butler:
        for name in collections:
            _must_exist(butler, name)
        try:
            butler.collections.register(chain, CollectionType.CHAINED)
            if redefine:
                butler.collections.redefine_chain(chain, collections)
            else:
                butler.collections.prepend_chain(chain, collections)
        except CollectionError as exc:
            raise StopError(f"{chain}: {exc}") from exc
        return tuple(butler.collections.get_info(chain).children)


def _must_exist(butler: Butler, name: str) -> None:
    from lsst.daf.butler.registry import MissingCollectionError

    try:
        butler.collections.get_info(name)
    except MissingCollectionError as exc:
        raise StopError(f"the repository has no collection {name!r}") from exc


def _check_names(chain: str, collections: Sequence[str]) -> None:
    parts = validate(chain, _CHAINS, "chain")
    for name in collections:
        child = parse(name)
        if child.instrument != parts.instrument:
            raise NameRuleError(f"{name!r} is of another instrument than the chain {chain!r}")
        if parts.ticket and child.ticket != parts.ticket:
            raise NameRuleError(
                f"{name!r} is of another ticket than the chain {chain!r} (DMTN-222 §2)"
            )
