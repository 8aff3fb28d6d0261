"""What the settings of every channel have: which alarms it is told of, and when."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from calwatch.alarms.deliver.routing import USUAL, Route
from calwatch.alarms.model import Kind, Severity, What

_SeverityWord = Literal["WARNING", "SERIOUS", "CRITICAL", "warning", "serious", "critical"]
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def _severity(value: Any) -> Any:
    """Take the name of a severity that an alarm can have."""
    names = [severity.name for severity in Severity if severity is not Severity.NONE]
    if isinstance(value, str) and value.upper() in names:
        return Severity[value.upper()]
    if isinstance(value, Severity) and value is not Severity.NONE:
        return value
    raise ValueError(f"{value!r} is no severity: there are {', '.join(names)}")


def _clock(text: Any) -> time:
    found = _CLOCK.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a time such as '18:00' (UTC, in quotation marks)")
    return time(int(found[1]), int(found[2]))


def listed(value: Any) -> Any:
    """Take one bare name as a list of one."""
    return (value,) if isinstance(value, str | Path) else value


def one_or_more(kind: Any) -> BeforeValidator:
    """Take a list in a configuration, or one without the list; the schema knows both."""
    return BeforeValidator(listed, json_schema_input_type=tuple[kind, ...] | kind)


_Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[_Word, ...], one_or_more(_Word)]
Paths = Annotated[tuple[Path, ...], one_or_more(Path)]
Least = Annotated[
    Severity,
    BeforeValidator(_severity, json_schema_input_type=_SeverityWord),
    PlainSerializer(lambda severity: severity.name, when_used="json"),
]
"""Its name in a configuration, as in its schema and where it is shown."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class RouteSettings(BaseModel):
    """Which alarms a channel is told of. What is not given is no condition."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Name
    """What the ledger and the log call the channel."""
    severity: Least = Field(Severity.WARNING, json_schema_extra={"default": "WARNING"})
    """Least severity, of the gravest that the alarm has been."""
    instruments: Words = ()
    kinds: Annotated[tuple[Kind, ...], one_or_more(Kind)] = ()
    alarms: Words = ()
    """Globs on the name, such as ``LSSTCam.readout.*``, whatever the case."""
    escalations_only: bool = False
    """Only alarms that nobody has acknowledged in time, from then on."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets: each is told by itself and waits for no other."""
        return (self.name,)

    @property
    def route(self) -> Route:
        """What it is told of, as rules."""
        return Route(
            severity=self.severity,
            instruments=self.instruments,
            kinds=self.kinds,
            alarms=self.alarms,
            escalations_only=self.escalations_only,
            state=True,
        )


class NoticeSettings(RouteSettings):
    """What every channel has that gives notices to people."""

    on: Annotated[tuple[What, ...], one_or_more(What)] = tuple(
        what for what in What if what in USUAL
    )
    """What must have happened."""
    quiet_hours: str = ""
    """``22:00-12:00`` (UTC): notices wait until they end. Empty: none."""
    quiet_below: Least = Field(Severity.CRITICAL, json_schema_extra={"default": "CRITICAL"})
    """Notices of alarms that have been as grave as this wait for nothing; escalations neither."""
    digest: str = ""
    """``"18:00"`` (UTC): when the day is summed up. Empty: never."""
    per_minute: int = Field(default=20, ge=1)
    """More notices than that wait for the next minute."""

    @model_validator(mode="before")
    @classmethod
    def _bare_on(cls, content: Any) -> Any:
        """Take ``on:`` in YAML, which reads the bare word as true."""
        if isinstance(content, dict) and True in content and "on" not in content:
            return {("on" if key is True else key): value for key, value in content.items()}
        return content

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, value: str) -> str:
        if value:
            begin, end = _hours(value)
            if begin == end:
                raise ValueError("quiet hours that end when they begin: leave them out for none")
        return value

    @field_validator("digest", mode="before")
    @classmethod
    def _is_clock(cls, value: Any) -> Any:
        if value != "":
            _clock(value)
        return value

    @property
    def route(self) -> Route:
        """What it is told of, as rules."""
        return Route(
            severity=self.severity,
            instruments=self.instruments,
            kinds=self.kinds,
            alarms=self.alarms,
            on=frozenset(self.on),
            escalations_only=self.escalations_only,
            quiet_hours=_hours(self.quiet_hours) if self.quiet_hours else None,
            quiet_below=self.quiet_below,
            digest=_clock(self.digest) if self.digest else None,
        )


def _hours(text: str) -> tuple[time, time]:
    begin, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is not a pair of times such as '22:00-12:00' (UTC)")
    return _clock(begin), _clock(end)
