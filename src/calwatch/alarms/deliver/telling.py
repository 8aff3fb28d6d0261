"""A notice as it goes out: the words of the transition, and what has happened since."""

from __future__ import annotations

from calwatch.alarms.deliver.channel import Delivery
from calwatch.alarms.model import Alarm, Severity, What
from calwatch.alarms.words import Message

REPEAT = (
    "This may be a repeat: calwatch was cut off while it sent this, and cannot know whether it"
    " arrived."
)


def told(delivery: Delivery) -> Message:
    """Return what to say now of a transition that may be some hours old.

    Of an alarm that is over by now one line is left, which says so. One that has become graver, has
    eased or has recovered meanwhile keeps its words and gets one line more.
    """
    message, now = delivery.message, delivery.newest
    later = _since(delivery)
    if later and not now.open:
        subject, body = f"{message.subject} ({later})", ""
    else:
        subject = message.subject
        body = "\n".join(line for line in (message.body, later and f"Meanwhile {later}.") if line)
    if delivery.repeat:
        body = f"{body}\n\n{REPEAT}" if body else REPEAT
    return Message(" ".join(subject.split()), body, message.facts)


def _since(delivery: Delivery) -> str:
    """Say what has become of an alarm since the transition; nothing if it is as it was."""
    then, now = delivery.transition.alarm, delivery.newest
    if now.closed_at is not None:
        ended = then.closed_at is not None or delivery.transition.what is What.CLEARED
        return "" if ended else f"it is over since {now.closed_at:%Y-%m-%d %H:%M} UTC"
    if now.severity is then.severity or now.severity_oldest <= then.severity_oldest:
        return ""
    return f"it {_became(now)} at {now.severity_oldest:%Y-%m-%d %H:%M} UTC"


def _became(alarm: Alarm) -> str:
    return "recovered" if alarm.severity is Severity.NONE else f"became {alarm.severity.name}"
