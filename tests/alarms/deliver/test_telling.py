"""A notice as it goes out, some time after it was decided."""

from __future__ import annotations

from datetime import timedelta

from deliveries import NOON, N, S, W, alarm, closed, delivery

from calwatch.alarms.deliver.telling import told
from calwatch.alarms.model import What

LATER = NOON + timedelta(hours=9)


def test_a_notice_has_the_words_it_was_given() -> None:
    sent = delivery()
    assert told(sent) == sent.message


def test_what_is_over_meanwhile_is_told_in_one_line() -> None:
    message = told(delivery(newest=closed(alarm(), LATER)))
    assert message.subject == (
        "[SERIOUS] raised: R22_S11/C05 (it is over since 2026-11-23 03:00 UTC)"
    )
    assert message.body == ""


def test_the_end_itself_keeps_its_words() -> None:
    over = delivery(What.CLEARED, closed(alarm(), LATER))
    assert told(over) == over.message


def test_what_has_changed_meanwhile_is_added() -> None:
    worse = alarm(S, severity_oldest=LATER)
    assert told(delivery(found=alarm(W), newest=worse)).body.endswith(
        "See the playbook.\nMeanwhile it became SERIOUS at 2026-11-23 03:00 UTC."
    )
    good = alarm(N, severity_oldest=LATER)
    assert "Meanwhile it recovered at" in told(delivery(newest=good)).body


def test_a_repeat_says_so() -> None:
    assert "may be a repeat" in told(delivery(repeat=True)).body
    over = told(delivery(newest=closed(alarm(), LATER), repeat=True))
    assert over.body.startswith("This may be a repeat")


def test_a_subject_is_one_line() -> None:
    sent = delivery(found=alarm(part="R22\nBcc: x"))
    assert "\n" not in told(sent).subject
