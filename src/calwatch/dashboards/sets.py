"""The dashboard of what is judged of several exposures together."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from calwatch.dashboards.influxql import Store, binned, equals, rows, total
from calwatch.dashboards.model import SETS, Dashboard, Kind, Panel, Row, Source, Variable
from calwatch.publish.schemas import SET
from calwatch.verify.metrics import CALIB_TYPES, SET_TYPES
from calwatch.verify.model import Verdict

WORDS: Mapping[str, str] = MappingProxyType(
    {
        **{calib_type: calib_type for calib_type in CALIB_TYPES},
        "gain": "gain of pairs",
        "cti": "charge transfer",
        "ptc": "photon transfer curve",
        "dark_stack": "stacked darks",
        "bias_stability": "stability of the bias",
    }
)
"""What each type is called in a title."""
_ALWAYS = "exposure_id"
"""A number that every record has."""


def sets_dashboard(store: Store) -> Dashboard:
    """Return what became of pairs, sequences and the sets of each day.

    Parameters
    ----------
    store
        Where the records are.
    """
    source = store.source(SET)
    counts = [
        Panel(
            f"Sets {verdict.value}", Kind.STAT,
            (total(source, f'count("{_ALWAYS}")', verdict.value, equals("verdict", verdict)),),
            "Each kind that is judged of a set is counted.", width=6, height=4,
        )
        for verdict in Verdict
    ]  # fmt: skip
    detectors = Panel(
        "Detectors FAIL", Kind.STAT, (total(source, 'sum("n_fail")', "Detectors FAIL"),),
        width=6, height=4,
    )  # fmt: skip
    problems = [
        Panel(
            title, Kind.TREND, (binned(source, {field: f'sum("{field}")'}, by="pipeline"),),
            description, label="$tag_pipeline",
        )
        for title, field, description in (
            ("Detectors that failed, by kind", "n_fail", "A curve, a map or a pair that failed."),
            (
                "Detectors that could not be judged, by kind", "n_unknown",
                "A flat without a partner is one of them.",
            ),
        )
    ]  # fmt: skip
    table = Panel(
        "Sets", Kind.TABLE,
        (rows(source, ["obs_id", "calib_type", "physical_filter", "verdict", "n_fail", "n_unknown",
                       "n_amp_fail", "n_amp_warning", "failures", "reason"]),),
        "Each under the last of its exposures.", width=24, height=10,
    )  # fmt: skip
    return Dashboard(
        "calwatch-sets", "calwatch: sets of exposures",
        "What became of pairs, sequences and the sets of each day.", Source.INFLUXDB,
        (
            Row("At a glance", (*counts, detectors, *problems, table)),
            Row("Where", tuple(_not_passed(store, one) for one in SET_TYPES), collapsed=True),
        ),
        (Variable("instrument", "Instrument", store.measurement(SET), "LATISS"),),
        since="now-7d", group=SETS,
    )  # fmt: skip


def _not_passed(store: Store, calib_type: str) -> Panel:
    fields = ["detector_name", "obs_id", "members", "verdict", "n_amp_fail", "n_amp_unknown",
              "n_detector_fail", "reason"]  # fmt: skip
    words = WORDS[calib_type]
    return Panel(
        f"{words[0].upper()}{words[1:]}: detectors that did not pass", Kind.TABLE,
        (rows(store.source(calib_type), fields, f"\"verdict\" <> '{Verdict.PASS.value}'"),),
        width=24,
    )  # fmt: skip
