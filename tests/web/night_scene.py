"""An LSSTCam night and a LATISS night in a ledger, judged by the real limits, without pixels."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("report", "services"))

from report_scene import Scene as Camera  # found only now

from calwatch.butler.model import ExposureRecord
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Detector
from calwatch.ledger.store import Ledger
from calwatch.verify.model import DetectorResult
from calwatch.verify.reasons import detector_reason

DAY, BEFORE = 20261122, 20261121
EVENING = datetime(2026, 11, 22, 20, tzinfo=UTC)
"""When the page is looked at."""
DETECTORS = ("R01_S00", "R22_S11", "R22_S12", "R30_S00", "R30_S01")
"""Enough for tests; () stands for all."""
NOISY = "R22_S11/C05"
DRIFTING = "R22_S11/C07"
"""Warned of only."""
BROKEN = "R01_S00"
"""Its file is cut short in the third bias."""


class Judging(Camera):
    """A camera whose results say why, from what, and keep the image of one detector."""

    def result(self, exposure: ExposureRecord, detector: Detector, *how) -> DetectorResult:
        found = super().result(exposure, detector, *how)
        reason = detector_reason(found.verdict, found.amps, found.detector_tests, {})
        found = replace(
            found,
            reason=found.reason or reason,
            provenance={**found.provenance, **_origin(exposure, detector)},
        )
        if detector.name != "R22_S11" or not found.amps:
            return found
        image = np.random.default_rng(1).normal(0, 0.3, (len(found.amps), 63, 16))
        image[4, 20:40] += 1.5
        image[5, :, 3] += 2
        return replace(found, arrays={"binned_residual": image.astype("f4")})


def take_nights(ledger: Ledger, detectors: Collection[str] = DETECTORS) -> None:
    """Take two LSSTCam nights and a LATISS night.

    In the second night of LSSTCam `NOISY` fails, `DRIFTING` is warned of, the whole raft R30 fails
    once, a file is cut short once, and the certified chain changes. The darks of LATISS are never
    good.
    """
    camera = Judging(ledger, "LSSTCam", tuple(detectors))
    bad = {NOISY: {"NOISE": 1.4, "CR_NOISE": 1.4}, DRIFTING: {"NOISE": 1.045, "CR_NOISE": 1.045}}
    camera.take(1, day=BEFORE)
    camera.take(2, day=BEFORE, bad=bad)
    camera.take(1, bad=bad, chain="b")
    camera.take(2, bad={**bad, **_raft("R30")}, chain="b")
    camera.take(3, bad=bad, chain="b", unknown={BROKEN: "HDU Segment06 is truncated <sic>"})
    for number in (4, 5):
        camera.take(number, "dark", chain="b")
    for number, name in ((6, "g_6"), (7, "i_39")):
        camera.take(number, "flat", chain="b", filter_name=name)
    latiss = Judging(ledger, "LATISS", ())
    for number in (1, 2, 3):
        latiss.take(number)
    for number in (4, 5):
        latiss.take(number, "dark", bad={"RXX_S00/C03": {"NOISE": 1.3, "CR_NOISE": 1.3}})


def _origin(exposure: ExposureRecord, detector: Detector) -> dict[str, object]:
    name = f"{exposure.instrument}/{exposure.day_obs}/{exposure.exposure_id}"
    return {
        "raw": {"uri": f"s3://raw/{name}/{detector.name}.fits"},
        "collection": f"{exposure.instrument}/calib",
        "missing": {"linearizer": "certified, but not valid at the time of the exposure"},
        "sequencer": {"SEQFILE": "FP_E2V_2s_l3cp_v30.seq"},
        "steps_applied": ["overscan", "gain", "bias"],
        "steps_not_applied": {"linearity": "no linearizer"},
    }


def _raft(raft: str) -> dict[str, dict[str, float]]:
    factors = {"NOISE": 1.25, "CR_NOISE": 1.25}
    detectors = [one for one in load_camera("LSSTCam").detectors if one.raft == raft]
    return {f"{one.name}/{amp}": factors for one in detectors for amp in one.amp_names}
