"""The files that the configuration names: limits, alarm rules, cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from calwatch.alarms.rules import load_rules
from calwatch.doctor.model import Case, Finding, fail, ok
from calwatch.errors import CalwatchError
from calwatch.service.judge_settings import JudgeSettings
from calwatch.verify.limits import load_limits

FILES = "files"


def look_at_files(case: Case) -> Iterator[Finding]:
    """Say whether the files that the configuration names can be read and make sense."""
    settings = case.settings
    judge = JudgeSettings.of(settings)
    asked: dict[str, Callable[[], str]] = {
        f"limits {settings.limits}": lambda: load_limits(settings.limits).label,
        f"alarm rules {settings.alarms.rules}": lambda: _rules(settings.alarms.rules),
    }
    for name in settings.instruments:
        asked[f"camera {name}"] = partial(_camera, judge, name)
    for what, ask in asked.items():
        try:
            told = ask()
        except CalwatchError as error:
            yield fail(FILES, f"{what}: {error}", "`calwatch config check` names every mistake")
        else:
            yield ok(FILES, f"{what}: nothing wrong{f' ({told})' if told else ''}")


def _rules(name: str) -> str:
    return f"{len(load_rules(name).families)} families"


def _camera(judge: JudgeSettings, name: str) -> str:
    return f"{len(judge.camera_of(name).detectors)} detectors"
