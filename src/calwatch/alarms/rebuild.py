"""Which certified calibrations must be built anew, and in which order, when one no longer holds.

The graph is that of DMTN-222 (Calibration Generation, Verification, Acceptance, and
Certification), fig. 2. calwatch only says it: it builds nothing that is certified.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bias": (),
        "dark_for_defects": ("bias",),
        "flat_for_defects": ("bias",),
        "defects": ("dark_for_defects", "flat_for_defects"),
        "dark": ("defects",),
        "flat": ("dark",),
        "photon_transfer_curve": ("flat", "dark", "defects", "bias"),
        "linearity": ("photon_transfer_curve",),
        "brighter_fatter_kernel": ("photon_transfer_curve",),
        "charge_transfer_inefficiency": ("photon_transfer_curve",),
        "crosstalk": ("flat", "dark", "defects", "bias"),
        "fringe": ("flat", "dark", "defects", "bias"),
    }
)
"""Calibration to those it is built with, in the document's words. Each stands after all it needs:
the order of this table is an order in which they can be built."""

BUTLER: Mapping[str, str] = MappingProxyType(
    {
        "photon_transfer_curve": "ptc",
        "linearity": "linearizer",
        "brighter_fatter_kernel": "bfk",
        "charge_transfer_inefficiency": "cti",
    }
)
"""Name of the dataset type where it is not the document's word."""
_WORDS = {dataset_type: word for word, dataset_type in BUTLER.items()}


def to_rebuild(calibration: str) -> tuple[str, ...]:
    """Return a calibration and everything that is built with it, each after all that it needs.

    Parameters
    ----------
    calibration
        In the document's words or as the Butler names it: ``photon_transfer_curve`` or ``ptc``.

    Returns
    -------
    tuple of str
        Names of dataset types. A calibration that the graph does not know stands alone, and none
        at all is nothing.
    """
    word = _WORDS.get(calibration, calibration)
    if word not in NEEDS:
        return (calibration,) if calibration else ()
    chosen = {word}
    for name, needs in NEEDS.items():
        if chosen.intersection(needs):
            chosen.add(name)
    return tuple(BUTLER.get(name, name) for name in NEEDS if name in chosen)
