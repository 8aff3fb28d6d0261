"""The dashboards of the cameras: the night, trends with limits, one detector, alarms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calwatch.alarms.model import Severity, What
from calwatch.dashboards import drawing
from calwatch.dashboards.influxql import (
    COMMENT,
    Store,
    binned,
    equals,
    inner,
    over,
    quoted,
    rows,
    total,
)
from calwatch.dashboards.model import (
    INSTRUMENT,
    SETS,
    Dashboard,
    Kind,
    Panel,
    Row,
    Source,
    Variable,
)
from calwatch.dashboards.sets import WORDS, sets_dashboard
from calwatch.publish.schemas import (
    ALARM,
    COMPLETENESS,
    EXPOSURE,
    RUBIN_AMPS,
    SET,
    amp_field,
    metrics_of,
)
from calwatch.verify.counts import OUTCOMES
from calwatch.verify.limits import Limits
from calwatch.verify.limits_schema import TestSpec
from calwatch.verify.metrics import CALIB_TYPES, FRAME_TYPES, LEVELS, SET_TYPES, TESTS, Metric
from calwatch.verify.model import Verdict

_ALWAYS = "exposure_id"
"""A number that every record of an exposure has."""
_PROBLEMS = [outcome for outcome in OUTCOMES if outcome != Verdict.PASS.value.lower()]


def camera_dashboards(store: Store, limits: Limits) -> list[Dashboard]:
    """Return all dashboards that show what Sasquatch has of the cameras.

    Parameters
    ----------
    store
        Where the records are.
    limits
        Whose lines are drawn.
    """
    return [
        _night(store),
        sets_dashboard(store),
        *(_trends(store, limits, calib_type) for calib_type in CALIB_TYPES),
        *(_detector(store, limits, calib_type) for calib_type in CALIB_TYPES),
        _alarms(store),
    ]


def _night(store: Store) -> Dashboard:
    exposure, incomplete = store.source(EXPOSURE), store.source(COMPLETENESS)
    counts = [
        Panel(
            f"Exposures {verdict.value}", Kind.STAT,
            (total(exposure, f'count("{_ALWAYS}")', verdict.value, equals("verdict", verdict)),),
            width=4, height=4,
        )
        for verdict in Verdict
    ]  # fmt: skip
    others = [
        Panel(title, Kind.STAT, (total(source, f'sum("{field}")', title),), width=4, height=4)
        for title, source, field in (
            ("Detectors FAIL", exposure, "n_fail"),
            ("Detectors UNKNOWN", exposure, "n_unknown"),
            ("Detectors missing", incomplete, "n_missing"),
        )
    ]
    fields = [f"n_{level}_{outcome}" for level in LEVELS for outcome in _PROBLEMS]
    problems = Panel(
        "Tests that failed, warned or could not be made", Kind.TREND,
        (binned(exposure, {field: f'sum("{field}")' for field in fields}),),
        "By level: amp, detector, exposure.", width=24,
    )  # fmt: skip
    exposures = Panel(
        "Exposures", Kind.TABLE,
        (rows(exposure, ["obs_id", "calib_type", "physical_filter", "verdict", "n_fail",
                         "n_unknown", "n_amp_fail", "n_amp_warning", "failures", "reason"]),),
        width=24, height=10,
    )  # fmt: skip
    missing = Panel(
        "Detectors that have not come", Kind.TABLE,
        (rows(incomplete, ["obs_id", "calib_type", "n_missing", "n_expected", "missing",
                           "reason"], '"n_missing" > 0'),),
        width=24,
    )  # fmt: skip
    return Dashboard(
        "calwatch-night", "calwatch: the night",
        "What became of the exposures of the last two days.", Source.INFLUXDB,
        (
            Row("At a glance", (*counts, *others, problems, exposures)),
            Row("Where", (*_bad_detectors(store), missing)),
        ),
        (_instrument(store),),
    )  # fmt: skip


def _bad_detectors(store: Store) -> list[Panel]:
    fields = ["detector_name", "obs_id", "verdict", "n_amp_fail", "n_amp_unknown",
              "n_detector_fail", "reason"]  # fmt: skip
    passed = Verdict.PASS.value
    return [
        Panel(
            f"{calib_type.capitalize()}: detectors that did not pass", Kind.TABLE,
            (rows(store.source(calib_type), fields, f"\"verdict\" <> '{passed}'"),),
            width=24,
        )
        for calib_type in FRAME_TYPES
    ]  # fmt: skip


def _trends(store: Store, limits: Limits, calib_type: str) -> Dashboard:
    """Return the tests of one type over all detectors, each with its limits."""
    source = store.source(calib_type)
    merged = store.source(EXPOSURE if calib_type in FRAME_TYPES else SET)
    what = WORDS[calib_type]
    amps = tuple(
        _drawn(
            spec, limits, calib_type, source,
            {amp: _field_of(amp) for amp in RUBIN_AMPS}, _sides(spec),
        )
        for spec in drawing.specs(limits, calib_type, "amp")
    )  # fmt: skip
    whole = [
        _drawn(spec, limits, calib_type, source, {"": str}, _sides(spec))
        for spec in drawing.specs(limits, calib_type, "detector")
    ]
    exposure = [
        _drawn(spec, limits, calib_type, merged, {"": str}, ("max",))
        for spec in drawing.specs(limits, calib_type, "exposure")
    ]
    numbers = [
        *(_number(metric, source, "mean") for metric in metrics_of("detector", calib_type)),
        *(_number(metric, merged, "mean") for metric in metrics_of("exposure", calib_type)),
    ]
    return Dashboard(
        f"calwatch-trend-{calib_type}", f"calwatch: {what} trends",
        f"Every test of {what if calib_type in SET_TYPES else f'a {what}'} against its limits: "
        "the extremes of each amplifier over all detectors.", Source.INFLUXDB,
        _filled(
            Row("Tests of amplifiers, extremes over all detectors", amps),
            Row("Tests of detectors and exposures", (*whole, *exposure)),
            Row("Numbers of detectors and exposures", tuple(numbers)),
        ),
        (_instrument(store),), since="now-30d", group=_group(calib_type),
    )  # fmt: skip


def _detector(store: Store, limits: Limits, calib_type: str) -> Dashboard:
    """Return everything that is measured of one detector in one type of exposure."""
    source = store.source(calib_type)
    fields = {amp: _field_of(amp) for amp in RUBIN_AMPS}
    tests = tuple(
        _drawn(spec, limits, calib_type, source, fields, ("mean",), detector=True)
        for spec in drawing.specs(limits, calib_type, "amp")
    )
    numbers = tuple(
        Panel(
            metric.name, Kind.TREND,
            (binned(source, {amp: f'mean("{amp_field(amp, metric.name)}")' for amp in RUBIN_AMPS},
                    detector=True),),
            metric.description, metric.unit, width=8,
        )
        for metric in metrics_of("amp", calib_type)
    )  # fmt: skip
    whole = tuple(
        _number(metric, source, "mean", detector=True)
        for metric in metrics_of("detector", calib_type)
    )
    is_set = calib_type in SET_TYPES
    exposures = f"sets ({WORDS[calib_type]})" if is_set else f"{calib_type} exposures"
    return Dashboard(
        f"calwatch-detector-{calib_type}", f"calwatch: one detector, {WORDS[calib_type]}",
        f"Every test and every number of one detector's {exposures}, by amplifier.",
        Source.INFLUXDB,
        _filled(
            Row("Tests with their limits", tests),
            Row("The detector", whole),
            Row("All numbers", numbers, collapsed=is_set),
        ),
        (
            _instrument(store),
            Variable("detector", "Detector", store.measurement(calib_type), "0"),
        ),
        since="now-30d", group=_group(calib_type),
    )  # fmt: skip


def _alarms(store: Store) -> Dashboard:
    source = store.source(ALARM)
    last = _last_state(source)
    grave = [severity for severity in reversed(Severity) if severity > Severity.NONE]
    counts = [
        Panel(
            f"{severity.name} now", Kind.STAT,
            (f'{COMMENT}SELECT count("severity") AS "{severity.name}" FROM {last} '
             f'WHERE "severity" = {severity.value}',),
            "Alarms that stand, whenever they were raised.", width=8, height=4,
        )
        for severity in grave
    ]  # fmt: skip
    standing = Panel(
        "Alarms that stand", Kind.TABLE,
        (f'{COMMENT}SELECT "severity", "name", "reason", "n_members", "acknowledged_by", '
         f'"muted_by" FROM {last} WHERE "severity" > {Severity.NONE.value}',),
        "2 warning, 3 serious, 4 critical; whenever they were raised.", width=24, height=10,
    )  # fmt: skip
    raised = Panel(
        "Raised, by family of tests", Kind.TREND,
        (binned(source, {"raised": 'count("alarm_id")'}, by="pipeline",
                also=equals("what", What.RAISED)),),
        label="$tag_pipeline",
    )  # fmt: skip
    severity = Panel(
        "Severity by part", Kind.STEPS,
        (binned(source, {"severity": 'max("severity")'}, by="detector"),),
        "1 none, 2 warning, 3 serious, 4 critical.", label="$tag_detector",
    )  # fmt: skip
    history = Panel(
        "What happened", Kind.TABLE,
        (rows(source, ["name", "what", "severity", "part", "n_members", "reason", "who", "why"]),),
        width=24, height=12,
    )  # fmt: skip
    return Dashboard(
        "calwatch-alarms", "calwatch: alarms", "Which alarms stand, and what happened to them.",
        Source.INFLUXDB,
        (Row("Now", (*counts, standing)), Row("History", (raised, severity, history))),
        (_instrument(store),), since="now-7d",
    )  # fmt: skip


def _last_state(source: str) -> str:
    """Return a query in brackets for the last state of each problem.

    A problem is an instrument, a part of the camera (the tag ``detector``) and a family of tests
    (the tag ``pipeline``).
    """
    strings = ("name", "reason", "n_members", "acknowledged_by", "muted_by")
    chosen = ", ".join(map(quoted, strings))
    return (
        f'(SELECT last("severity") AS "severity", {chosen} FROM {source} WHERE {INSTRUMENT} '
        'GROUP BY "detector", "pipeline")'
    )


def _drawn(
    spec: TestSpec,
    limits: Limits,
    calib_type: str,
    source: str,
    fields: dict[str, Callable[[str], str]],
    how: Sequence[str],
    *,
    detector: bool = False,
) -> Panel:
    """Return a trend of what a test compares, with its limits.

    Parameters
    ----------
    spec, limits, calib_type
        The test.
    source
        The measurement.
    fields
        By the name of each series (empty for the only one): which field has a metric.
    how
        Aggregations, such as ``max`` and ``min``: each gives a series.
    detector
        Only the chosen detector.
    """
    compared = {name or spec.name: drawing.expression(spec, of) for name, of in fields.items()}
    names = {"max": " highest", "min": " lowest", "mean": ""}
    columns = {f"{name}{names[one]}": f"{one}({quoted(name)})" for name in compared for one in how}
    test = TESTS[spec.name, spec.level]
    return Panel(
        spec.name, Kind.TREND, (over(inner(source, compared, detector=detector), columns),),
        f"{test.description} {drawing.described(spec, limits, calib_type)}",
        drawing.unit(spec), drawing.lines(spec), source,
    )  # fmt: skip


def _sides(spec: TestSpec) -> tuple[str, ...]:
    """Return which extremes matter for a test."""
    return {"lower": ("min",), "upper": ("max",), "both": ("max", "min")}[spec.side]


def _number(metric: Metric, source: str, how: str, *, detector: bool = False) -> Panel:
    query = binned(source, {metric.name: f'{how}("{metric.name}")'}, detector=detector)
    return Panel(metric.name, Kind.TREND, (query,), metric.description, metric.unit, width=8)


def _filled(*rows: Row) -> tuple[Row, ...]:
    """Return the rows that have a panel."""
    return tuple(row for row in rows if row.panels)


def _group(calib_type: str) -> str:
    return SETS if calib_type in SET_TYPES else ""


def _field_of(amp: str) -> Callable[[str], str]:
    return lambda metric: amp_field(amp, metric)


def _instrument(store: Store) -> Variable:
    return Variable("instrument", "Instrument", store.measurement(EXPOSURE), "LATISS")


def limit_query(panel: Panel) -> str | None:
    """Return a query for the limits of a panel as series, None if it has none."""
    if not panel.lines:
        return None
    columns = {line.label: drawing.line_column(line, _ALWAYS) for line in panel.lines}
    means = {name: f"mean({quoted(name)})" for name in columns}
    return over(inner(panel.line_source, columns), means)
