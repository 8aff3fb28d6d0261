"""Building and certifying one generation of calibrations from the raws of its session.

The order is that of the dependencies (DMTN-222 §3): crosstalk and charge transfer are handed over
by the laboratory, linearizer and PTC come from the ramp, then bias, dark, flat and defects.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from calwatch.camera.model import Detector
from calwatch.offline.certify import certify
from calwatch.offline.chain import prepend, set_chain
from calwatch.offline.combine import combine
from calwatch.offline.datasets import CalibrationFile, put_calibrations
from calwatch.simulate.curated import (
    CROSSTALK_ERROR,
    CTI_ERROR,
    write_curated_crosstalk,
    write_curated_cti,
)
from calwatch.simulate.keywords import tai_string
from calwatch.simulate.model import SimulatedExposure
from calwatch.simulate.names import Generation, top_chain
from calwatch.simulate.plan import Setup
from calwatch.simulate.truth import DetectorTruth, detector_truth

CURATED: Mapping[str, tuple[Callable[[Path, str, Detector, DetectorTruth], None], str]] = {
    "crosstalk": (write_curated_crosstalk, f"truth ± {CROSSTALK_ERROR:g} a coefficient"),
    "cti": (write_curated_cti, f"truth ± {CTI_ERROR:.0%}"),
}
"""Calibrations no sequence measures: how they are written, and their error."""

MEASURED = ("linearizer", "ptc", "bias", "dark", "flat", "defects")
"""Types combined from raws for the first generation, in order."""

PTC_BIASES = 6
"""Biases that go into a photon-transfer curve: three pairs give the noise of a large amplifier
to a thousandth."""

REASONS = {
    "ptc": ("build_bias", "build_ptc"),
    "linearizer": ("build_ptc",),
    "bias": ("build_bias",),
    "dark": ("build_dark",),
    "flat": ("build_flat",),
}
"""Observation reasons of the exposures that go into each type; defects need none."""

_MARGIN_DAYS = 60.0 / 86_400.0


def build_generation(
    setup: Setup,
    generation: Generation,
    session: Sequence[SimulatedExposure],
    nights: Sequence[Sequence[SimulatedExposure]],
    report: Callable[[str, int, int], None],
    pool: Executor | None = None,
) -> list[dict[str, Any]]:
    """Build, certify and chain one generation; return its records for ``truth.json``.

    Parameters
    ----------
    setup
        What is simulated; faults of kind ``missing_calibration`` leave gaps of validity.
    generation
        Its number and names.
    session
        Exposures it is built from, ingested already. It is in force from the first of them on.
    nights
        Exposures of each night, for the gaps.
    report
        Called as work goes on.
    pool
        Worker processes; this process does everything if None.
    """
    stage = f"calibrations of generation {generation.number}"
    types = [*CURATED, *MEASURED]
    if generation.number > 1:
        types = [name for name in MEASURED if name in setup.plan.second_generation]
    begin = session[0].begin_mjd - _MARGIN_DAYS
    records = []
    for done, calib_type in enumerate(types):
        report(stage, done, len(types))
        if calib_type in CURATED:
            _put_curated(setup, generation, calib_type)
        else:
            _combine(setup, generation, calib_type, session, types[:done], pool)
        records.append(_certify(setup, generation, calib_type, begin, nights))
    certified = [generation.certified(calib_type) for calib_type in types]
    set_chain(setup.root, generation.ticket_chain, certified)
    prepend(setup.root, top_chain(setup.camera.instrument), [generation.ticket_chain])
    report(stage, len(types), len(types))
    return records


def _put_curated(setup: Setup, generation: Generation, calib_type: str) -> None:
    write, _ = CURATED[calib_type]
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for det in setup.detectors:
            path = Path(scratch) / f"{calib_type}-{det.name}.fits"
            write(path, setup.camera.instrument, det, detector_truth(det, setup.plan.seed))
            files.append(CalibrationFile(calib_type, det.number, path))
        put_calibrations(setup.root, generation.run(calib_type), files)


def _combine(
    setup: Setup,
    generation: Generation,
    calib_type: str,
    session: Sequence[SimulatedExposure],
    made: Sequence[str],
    pool: Executor | None,
) -> None:
    """Combine one type, flats filter by filter.

    What this generation has made so far is used first, then what is certified of the one before.
    """
    chosen = _chosen(calib_type, session)
    filters = setup.filters if calib_type == "flat" else setup.filters[:1]
    for name in filters:
        combine(
            setup.root,
            setup.camera,
            calib_type,
            exposure_ids=[
                exposure.exposure_id
                for exposure in chosen
                if calib_type != "flat" or exposure.physical_filter == name
            ],
            detectors=[det.number for det in setup.detectors],
            output_run=generation.run(calib_type),
            inputs=[generation.run(other) for other in made],
            calib_collection=top_chain(setup.camera.instrument) if generation.number > 1 else None,
            physical_filter=name if calib_type in ("flat", "defects") else "",
            pool=pool,
            compress=setup.plan.compress,
        )


def _chosen(calib_type: str, session: Sequence[SimulatedExposure]) -> list[SimulatedExposure]:
    """Return the exposures that go into one type: of a ramp's pairs the linearizer needs one."""
    reasons = REASONS.get(calib_type, ())
    chosen = [exposure for exposure in session if exposure.reason in reasons]
    if calib_type == "linearizer":
        return [exposure for exposure in chosen if exposure.current == 1]
    if calib_type == "ptc":
        biases = [exposure for exposure in chosen if exposure.observation_type == "bias"]
        return biases[:PTC_BIASES] + [e for e in chosen if e.observation_type == "flat"]
    return chosen


def _certify(
    setup: Setup,
    generation: Generation,
    calib_type: str,
    begin: float,
    nights: Sequence[Sequence[SimulatedExposure]],
) -> dict[str, Any]:
    """Certify one type from ``begin`` (TAI MJD) on and return its record."""
    ranges = _ranges(begin, _gaps(setup, calib_type, nights))
    run, collection = generation.run(calib_type), generation.certified(calib_type)
    for first, last in ranges:
        certify(setup.root, run, calib_type, collection, first, last)
    return {
        "generation": generation.number,
        "type": calib_type,
        "run": run,
        "collection": collection,
        "validity": [list(span) for span in ranges],
        "origin": CURATED[calib_type][1] if calib_type in CURATED else "combined from raws",
    }


def _gaps(
    setup: Setup, calib_type: str, nights: Sequence[Sequence[SimulatedExposure]]
) -> list[tuple[float, float]]:
    """Return the times (TAI MJD) for which faults want nothing of this type certified."""
    gone = {
        number
        for number, _ in enumerate(nights, start=1)
        for fault in setup.faults
        if fault.kind == "missing_calibration"
        and calib_type in fault.types
        and fault.night in (None, number)
    }
    return [
        (
            nights[number - 1][0].begin_mjd - _MARGIN_DAYS,
            nights[number - 1][-1].end_mjd + _MARGIN_DAYS,
        )
        for number in sorted(gone)
        if nights[number - 1]
    ]


def _ranges(begin: float, gaps: Sequence[tuple[float, float]]) -> list[tuple[str, str | None]]:
    """Return validity ranges from ``begin`` on without the gaps, as ISO-8601 in TAI."""
    ranges: list[tuple[str, str | None]] = []
    start = begin
    for first, last in gaps:
        if last <= start:
            continue
        if first > start:
            ranges.append((tai_string(start), tai_string(first)))
        start = max(start, last)
    ranges.append((tai_string(start), None))
    return ranges
