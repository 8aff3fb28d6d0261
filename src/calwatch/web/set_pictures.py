"""The pictures of one detector of a set: photon transfer curve, linearity, defects, crosstalk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calwatch.camera.model import Detector
from calwatch.plots.coefficients import coefficients
from calwatch.plots.defects import defect_map
from calwatch.plots.linearity import linearity
from calwatch.plots.look import Scheme
from calwatch.plots.transfer_curve import transfer_curve
from calwatch.service.alarm_desk import OrderError
from calwatch.web.api import site_of
from calwatch.web.exposure import line_of, result_of
from calwatch.web.plotting import picture, wanted_scheme
from calwatch.web.set_points import DROPPED, Looked, coefficients_of, curves, limit_of, residuals
from calwatch.web.site import NoSuchPageError

Draw = Callable[[Looked, str, Scheme], Any]
"""From a detector, an amplifier or none, and colours to a figure; None if nothing is kept."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of one type of set."""

    title: str
    absent: str
    """What to say where there is nothing to draw."""
    draw: Draw
    by_amp: bool = False
    """Whether an amplifier can stand before the others."""
    wide: bool = False
    """Whether it goes over the whole page, or is a square."""


def routes() -> list[Route]:
    """Return the address."""
    base = "/exposures/{instrument}/{exposure_id:int}/{detector}"
    return [Route(f"{base}/picture", set_picture, name="set-picture")]


async def set_picture(request: Request) -> Response:
    """Give the picture of one detector of a set."""
    site = site_of(request)

    def draw() -> Any:
        line = line_of(site, request)
        result = result_of(site, line, request.path_params["detector"])
        detector = site.detector(line.instrument, str(result.detector))
        known, looked = PICTURES.get(line.calib_type), Looked(site, line, detector, result)
        if known is None:
            raise NoSuchPageError(f"there is no picture of a {line.calib_type} here")
        drawn = known.draw(looked, wanted_amp(request, detector), wanted_scheme(request))
        if drawn is None:
            raise NoSuchPageError(absent_words(looked))
        return drawn

    return picture(await asyncio.to_thread(draw))


def wanted_amp(request: Request, detector: Detector) -> str:
    """Return the amplifier that is to stand before the others; empty for none.

    Raises
    ------
    OrderError
        If the detector has no such amplifier.
    """
    amp = request.query_params.get("amp", "")
    if amp and amp not in detector.amp_names:
        raise OrderError(f"amp: {amp[:20]!r} is none of {', '.join(detector.amp_names)}")
    return amp


def absent_words(looked: Looked) -> str:
    """Say why there is nothing to draw; empty where there is no picture of the type of set."""
    known = PICTURES.get(looked.line.calib_type)
    if known is None:
        return ""
    if looked.line.calib_type == "defects" and looked.arrays().get("defect_places") is not None:
        return "There is no new defect."
    return known.absent


def _transfer_curve(looked: Looked, amp: str, scheme: Scheme) -> Any:
    found = curves(looked)
    return transfer_curve(found, chosen=amp, scheme=scheme) if found else None


def _linearity(looked: Looked, amp: str, scheme: Scheme) -> Any:
    found = residuals(looked)
    if not found:
        return None
    limit = limit_of(looked.result, "MAX_RESIDUAL", amp)
    return linearity(found, chosen=amp, limit=limit, scheme=scheme)


def _defects(looked: Looked, _amp: str, scheme: Scheme) -> Any:
    places = looked.arrays().get("defect_places")
    return None if places is None else defect_map(looked.detector, places, scheme=scheme)


def _crosstalk(looked: Looked, _amp: str, scheme: Scheme) -> Any:
    kept = coefficients_of(looked)
    return None if kept is None else coefficients(looked.detector.amp_names, *kept, scheme=scheme)


PICTURES: Mapping[str, Picture] = MappingProxyType(
    {
        "ptc": Picture(
            "Photon transfer curve", "No number of its pairs is in the ledger.", _transfer_curve,
            by_amp=True, wide=True,
        ),
        "linearity": Picture(
            "Residual of the linearity", f"The residuals are not kept: {DROPPED}.", _linearity,
            by_amp=True, wide=True,
        ),
        "defects": Picture(
            "Where the new defects are",
            f"The places of new defects are not kept: {DROPPED}.", _defects,
        ),
        "crosstalk": Picture(
            "Crosstalk that is left", f"The coefficients are not kept: {DROPPED}.", _crosstalk
        ),
    }
)  # fmt: skip
"""By type of set."""
