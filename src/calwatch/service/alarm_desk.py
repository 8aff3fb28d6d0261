"""Alarms as a person asks for them and acts on them: what the commands and the page share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from calwatch.alarms.model import Numbered, Severity
from calwatch.camera.loader import load_camera
from calwatch.camera.model import Camera
from calwatch.errors import CameraError, StopError
from calwatch.ledger.alarms import AlarmStore
from calwatch.service.alarm_books import AlarmBooks, make_books
from calwatch.service.alarming import HEARTBEAT
from calwatch.service.lifecycle import Clock
from calwatch.settings import Settings
from calwatch.verify.limits import load_limits

LONGEST_MUTE = timedelta(days=366)
LONGEST_NAME = 100
LONGEST_REASON = 1000
MOST_CANDIDATES = 12
"""Alarms named in an error before the rest are only counted."""


class OrderError(StopError):
    """What was asked is not complete, or nonsense: another alarm would not take it either."""


class NoSuchAlarmError(StopError):
    """There is no alarm of that name or number, or more than one."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a person wants done with an alarm, and why."""

    who: str
    why: str = ""
    severity: Severity | None = None
    """Of an acknowledgement: the gravest it covers. Of a mute: the gravest that is held back."""
    duration: timedelta | None = None
    """Of a mute."""


@dataclass(frozen=True, slots=True)
class _Action:
    act: Callable[[AlarmBooks, int, Order], None]
    needs_why: bool = False
    takes_severity: bool = False
    needs_duration: bool = False


def _mute(books: AlarmBooks, alarm_id: int, order: Order) -> None:
    severity = Severity.CRITICAL if order.severity is None else order.severity
    books.mute(alarm_id, order.who, order.why, order.duration or timedelta(0), severity)


_ACTIONS: Mapping[str, _Action] = {
    "acknowledge": _Action(
        lambda b, n, o: b.acknowledge(n, o.who, o.why, o.severity),
        needs_why=True,
        takes_severity=True,
    ),
    "unacknowledge": _Action(lambda b, n, o: b.unacknowledge(n, o.who, o.why)),
    "mute": _Action(_mute, needs_why=True, takes_severity=True, needs_duration=True),
    "unmute": _Action(lambda b, n, o: b.unmute(n, o.who, o.why)),
    "reset": _Action(lambda b, n, o: b.reset(n, o.who, o.why), needs_why=True),
}
ACTIONS = tuple(_ACTIONS)
"""What may be done with an alarm."""


def act(books: AlarmBooks, alarm_id: int, action: str, order: Order) -> Numbered:
    """Do something with an alarm; return it as it is afterwards.

    Parameters
    ----------
    books
        Of all instruments.
    alarm_id
        Which.
    action
        One of `ACTIONS`.
    order
        Who wants it, and what is needed for it.

    Raises
    ------
    OrderError
        If something is missing or impossible.
    NoSuchAlarmError
        If there is no such alarm.
    AlarmActionError
        If the alarm, as it is now, does not allow it.
    LedgerError
        If the ledger cannot be written.
    """
    chosen = _ACTIONS[action]
    order = _checked(action, chosen, order)
    if books.store.alarm(alarm_id) is None:
        raise NoSuchAlarmError(f"there is no alarm {alarm_id}")
    chosen.act(books, alarm_id, order)
    return numbered(books.store, alarm_id)


def _checked(action: str, chosen: _Action, order: Order) -> Order:
    who = _line("name", order.who, LONGEST_NAME)
    why = _line("reason", order.why, LONGEST_REASON)
    if not who:
        raise OrderError(f"{action}: say who you are")
    if chosen.needs_why and not why:
        raise OrderError(f"{action}: say why; the next person will want to know")
    if order.severity is not None and not chosen.takes_severity:
        raise OrderError(f"{action}: takes no severity")
    if order.severity is Severity.NONE:
        raise OrderError(f"{action}: severity must be WARNING, SERIOUS or CRITICAL")
    if not chosen.needs_duration and order.duration is not None:
        raise OrderError(f"{action}: takes no time")
    if chosen.needs_duration:
        if order.duration is None:
            raise OrderError(f"{action}: say for how long")
        if not timedelta(seconds=1) <= order.duration <= LONGEST_MUTE:
            raise OrderError(
                f"{action}: the time must be from 1 second to {LONGEST_MUTE.days} days"
            )
    return Order(who, why, order.severity, order.duration)


def _line(what: str, text: str, longest: int) -> str:
    """Return a line without what a terminal or a message might take for more than text."""
    text = " ".join(text.split())
    if not text.isprintable():
        raise OrderError(f"the {what} holds characters that cannot be shown")
    if len(text) > longest:
        raise OrderError(f"the {what} is longer than {longest} characters")
    return text


def numbered(store: AlarmStore, alarm_id: int) -> Numbered:
    """Return one alarm.

    Raises
    ------
    NoSuchAlarmError
        If there is none of that number.
    """
    found = store.alarm(alarm_id)
    if found is None:
        raise NoSuchAlarmError(f"there is no alarm {alarm_id}")
    return found


def find_alarm(store: AlarmStore, text: str) -> Numbered:
    """Return the alarm that somebody means.

    Parameters
    ----------
    store
        Where the alarms are.
    text
        A number; a whole name, which is its last episode; or the beginning of the name of exactly
        one open alarm, whatever its case.

    Raises
    ------
    NoSuchAlarmError
        If there is none, or several open ones begin so.
    """
    if not text:
        raise NoSuchAlarmError("say which alarm: a number, or a name")
    if text.isascii() and text.isdigit() and len(text) < 19:
        return numbered(store, int(text))
    similar = store.by_name(None, text)
    if similar and similar[0].alarm.name == text:
        return similar[0]
    begin = text.casefold()
    open_ones = store.open_alarms()
    found = [one for one in open_ones if one.alarm.name.casefold().startswith(begin)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NoSuchAlarmError(
            f"{text!r} is the beginning of {len(found)} alarms:\n{_listed(found)}"
        )
    if similar:
        raise NoSuchAlarmError(f"no open alarm begins with {text!r}; it is in:\n{_listed(similar)}")
    told = f"; open are:\n{_listed(open_ones)}" if open_ones else "; none is open"
    raise NoSuchAlarmError(f"no alarm is called {text!r}, and no open one begins so{told}")


def _listed(found: list[Numbered]) -> str:
    lines = [f"  {one.alarm_id:>6}  {one.alarm.name}" for one in found[:MOST_CANDIDATES]]
    if len(found) > MOST_CANDIDATES:
        lines.append(f"  and {len(found) - MOST_CANDIDATES} more")
    return "\n".join(lines)


def cameras_of(settings: Settings) -> dict[str, Camera]:
    """Return the camera of each instrument of a configuration.

    Raises
    ------
    CameraError
        If there is none, or the camera file is of another instrument.
    """
    cameras = {name: load_camera(settings.camera or name) for name in settings.instruments}
    for name, camera in cameras.items():
        if camera.instrument != name:
            raise CameraError(f"{settings.camera}: is {camera.instrument}, not {name}")
    return cameras


def open_books(settings: Settings, store: AlarmStore, clock: Clock) -> AlarmBooks:
    """Return the books of a configuration's instruments, for whoever acts on them.

    Raises
    ------
    StopError
        If cameras, limits or alarm rules are wrong.
    """
    limits = load_limits(settings.limits)
    return make_books(store, settings.alarms, cameras_of(settings), limits, clock)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Whether the daemon lives, by its own last word."""

    at: datetime | None
    """None: it never said anything."""
    age: float | None
    """Seconds since then."""


LATE_SECONDS = 60.0
"""A daemon that has said nothing for so long is not taken to live."""


def heartbeat(store: AlarmStore, now: datetime) -> Heartbeat:
    """Return when the daemon last said that it lives."""
    beat = store.beats().get(HEARTBEAT)
    if beat is None:
        return Heartbeat(None, None)
    return Heartbeat(beat.at, max(0.0, (now - beat.at).total_seconds()))


def heartbeat_publishes(store: AlarmStore) -> bool:
    """Return whether the daemon of this ledger publishes what happens, by its own last word."""
    beat = store.beats().get(HEARTBEAT)
    return beat is not None and bool(beat.document.get("publishing"))
