"""What the pictures of a set show, as plain values, and the same as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import Request

from calwatch.arrays import AnyArray
from calwatch.camera.model import Detector
from calwatch.ledger.arrays import measured_arrays
from calwatch.ledger.queries import ExposureLine
from calwatch.ledger.sets import earlier_numbers, members_of
from calwatch.plots.defects import KINDS, amp_at
from calwatch.plots.linearity import Residual, Residuals
from calwatch.plots.transfer_curve import Curve, Pair
from calwatch.verify.model import DetectorResult
from calwatch.verify.sets.model import Earlier
from calwatch.web.of import address
from calwatch.web.site import Site
from calwatch.web.tables import Column, Table

DROPPED = "it was not measured, or has been dropped after keep_arrays_days"
"""Why an array is not in the ledger."""
_PAIRS = (
    Column("amp", "Amplifier"),
    Column("exposure", "Pair to", "code"),
    Column("mean", "Mean, ADU", "number"),
    Column("variance", "Variance, ADU²", "number"),
    Column("used", "On the curve"),
)
_RESIDUALS = (
    Column("amp", "Amplifier"),
    Column("exposure", "Pair to", "code"),
    Column("signal", "Signal, ADU", "number"),
    Column("residual", "Residual", "number"),
)
_PLACES = (
    Column("amp", "Amplifier"),
    Column("kind", "Kind"),
    Column("x", "x", "number"),
    Column("y", "y", "number"),
)
_COEFFICIENTS = (
    Column("source", "From"),
    Column("target", "To"),
    Column("coefficient", "Coefficient", "number"),
    Column("error", "Error", "number"),
)


@dataclass(frozen=True, slots=True)
class Looked:
    """One detector of a set that is looked at."""

    site: Site
    line: ExposureLine
    detector: Detector
    result: DetectorResult

    def arrays(self) -> Mapping[str, Any]:
        """Return what is kept of it, by name."""
        return measured_arrays(
            self.site.ledger, self.line.instrument, self.line.exposure_id, self.detector.number,
            self.result.algorithm,
        )  # fmt: skip

    def columns(self, values: AnyArray | None) -> Mapping[int, AnyArray]:
        """Return the values of all amplifiers by pair; none where it is not known which is whose.

        Parameters
        ----------
        values
            Shape (n_amp, n_pairs), in the order in which the pairs were given to be fitted.
        """
        made_of = self.result.provenance.get("made_of") or ()
        if values is None or values.shape != (len(self.detector.amplifiers), len(made_of)):
            return {}
        return {int(pair): values[:, j] for j, pair in enumerate(made_of)}

    def pairs(self, metrics: Sequence[str]) -> list[Earlier]:
        """Return the numbers of the pairs that it is made of, the oldest first."""
        ledger, line = self.site.ledger, self.line
        members = members_of(ledger, line.instrument, line.exposure_id, line.calib_type)
        found = earlier_numbers(
            ledger, line.instrument, dict.fromkeys(members, 0.0), metrics, "gain",
            detectors=[self.detector.number],
        )  # fmt: skip
        return found.get(self.detector.number, [])


def curves(looked: Looked) -> list[Curve]:
    """Return the photon transfer curve of every amplifier; empty if no pair has a number."""
    pairs = looked.pairs(["PAIR_MEAN", "PAIR_VARIANCE"])
    used = looked.columns(looked.arrays().get("used"))
    found = []
    for i, amp in enumerate(looked.detector.amp_names):
        points = []
        for pair in pairs:
            mean, variance = (_value(pair, amp, name) for name in ("PAIR_MEAN", "PAIR_VARIANCE"))
            if mean is not None and variance is not None:
                # A pair that was judged since is none of those that were fitted, or left out.
                fitted = bool(used[pair.exposure_id][i]) if pair.exposure_id in used else None
                points.append(Pair(pair.exposure_id, mean, variance, fitted))
        own = looked.result.amps.get(amp)
        metrics = own.metrics if own else {}
        fit = [metrics.get(name) for name in ("PTC_GAIN", "PTC_A00", "PTC_FIT_NOISE")]
        found.append(Curve(amp, points, *fit))
    return found if any(one.pairs for one in found) else []


def residuals(looked: Looked) -> list[Residuals]:
    """Return the residual of every pair of every amplifier; empty if none is kept."""
    kept = looked.columns(looked.arrays().get("residuals"))
    pairs = [pair for pair in looked.pairs(["PAIR_MEAN"]) if pair.exposure_id in kept]
    if not pairs:
        return []
    found = []
    for i, amp in enumerate(looked.detector.amp_names):
        points = []
        for pair in pairs:
            signal = _value(pair, amp, "PAIR_MEAN")
            residual = float(kept[pair.exposure_id][i])
            if signal is not None and math.isfinite(residual):
                points.append(Residual(pair.exposure_id, signal, residual))
        found.append(Residuals(amp, points))
    return found


def limit_of(result: DetectorResult, test: str, amp: str) -> float | None:
    """Return the upper limit of a test of an amplifier, or the highest of all amplifiers."""
    parts = [result.amps[amp]] if amp in result.amps else list(result.amps.values())
    limits = [one.tests[test].limit[1] for one in parts if test in one.tests]
    return max((limit for limit in limits if limit is not None), default=None)


def points_table(request: Request, looked: Looked) -> Table | None:
    """Return what the picture of a set shows as a table; None if there is no picture of it."""
    line = looked.line

    def to_pair(exposure_id: int) -> dict[str, str]:
        where = {"instrument": line.instrument, "exposure_id": exposure_id}
        found = address(request, "gain", "detector", **where, detector=looked.detector.name)
        return {"exposure": found}

    match line.calib_type:
        case "ptc":
            words = {True: "yes", False: "no", None: ""}
            pairs = [(one.amp, pair) for one in curves(looked) for pair in one.pairs]
            rows: list[dict[str, Any]] = [
                {
                    "amp": amp,
                    "exposure": pair.exposure_id,
                    "mean": pair.mean,
                    "variance": pair.variance,
                    "used": words[pair.used],
                }
                for amp, pair in pairs
            ]
            links = [to_pair(pair.exposure_id) for _, pair in pairs]
            return Table("points", "Pairs", _PAIRS, rows, links)
        case "linearity":
            points = [(one.amp, point) for one in residuals(looked) for point in one.points]
            rows = [
                {
                    "amp": amp,
                    "exposure": point.exposure_id,
                    "signal": point.signal,
                    "residual": point.residual,
                }
                for amp, point in points
            ]
            links = [to_pair(point.exposure_id) for _, point in points]
            return Table("points", "Residuals", _RESIDUALS, rows, links)
        case "defects":
            boxes = {amp.name: amp.bbox for amp in looked.detector.amplifiers}
            places = looked.arrays().get("defect_places")
            rows = [
                {
                    "amp": amp_at(boxes, x, y),
                    "kind": KINDS[int(kind)].name if int(kind) in KINDS else str(kind),
                    "x": float(x),
                    "y": float(y),
                }
                for x, y, kind in ([] if places is None else places)
            ]
            return Table("points", "New defects", _PLACES, rows)
        case "crosstalk":
            return Table("points", "Coefficients", _COEFFICIENTS, _coefficient_rows(looked))
    return None


def coefficients_of(looked: Looked) -> tuple[AnyArray, AnyArray] | None:
    """Return the crosstalk that is left and its errors, [source, target]; None if not kept."""
    arrays, count = looked.arrays(), len(looked.detector.amplifiers)
    values, errors = arrays.get("crosstalk_residual"), arrays.get("crosstalk_error")
    if values is None or values.shape != (count, count):
        return None
    if errors is None or errors.shape != values.shape:
        errors = np.full_like(values, np.nan)
    return values, errors


def _coefficient_rows(looked: Looked) -> list[dict[str, Any]]:
    kept, amps = coefficients_of(looked), looked.detector.amp_names
    if kept is None:
        return []
    values, errors = kept
    return [
        {
            "source": amps[i],
            "target": amps[j],
            "coefficient": float(values[i, j]),
            "error": float(errors[i, j]) if math.isfinite(errors[i, j]) else None,
        }
        for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True)
        if i != j
    ]


def _value(pair: Earlier, amp: str, metric: str) -> float | None:
    found = pair.amps.get(amp, {}).get(metric)
    return found if found is not None and math.isfinite(found) else None
