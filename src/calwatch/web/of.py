"""Which judgement an address asks for: that of an exposure, or of a set that ends with it.

``?of=ptc`` behind the address of an exposure asks for the set.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from calwatch.verify.metrics import SET_TYPES
from calwatch.verify.model import ALGORITHM, algorithm_of
from calwatch.web.site import NoSuchPageError


def asked(request: Request) -> str:
    """Return the type of the set that is asked for; empty for the exposure itself.

    Raises
    ------
    NoSuchPageError
        If there is no such type of set.
    """
    word = request.query_params.get("of", "")
    if word and word not in SET_TYPES:
        raise NoSuchPageError(f"of: {word[:40]!r} is no set, but {', '.join(SET_TYPES)} are")
    return word


def algorithm_asked(request: Request) -> str:
    """Return the algorithm of the judgement that is asked for.

    Raises
    ------
    NoSuchPageError
        If there is no such type of set.
    """
    word = asked(request)
    return algorithm_of(word) if word else ALGORITHM


def address(request: Request, calib_type: str, route: str, **where: Any) -> str:
    """Return where a page of a judgement is.

    Parameters
    ----------
    request
        Knows where the pages are.
    calib_type
        What was judged: of a set, the address says so.
    route, where
        Name of the page, and what is in its path.
    """
    return request.url_for(route, **where).path + query(calib_type)


def query(calib_type: str, sign: str = "?") -> str:
    """Return what stands behind the address of a set; nothing of an exposure."""
    return f"{sign}of={calib_type}" if calib_type in SET_TYPES else ""
