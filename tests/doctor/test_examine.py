"""Every check is made, for a limited time, and no secret is shown."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from calwatch.doctor.examine import examine
from calwatch.doctor.model import Check, Finding, Status, fail, ok
from calwatch.errors import StopError
from calwatch.redaction import SECRETS, keep_secret


def raising() -> list[Finding]:
    raise StopError("ledger postgresql://ada:hush-hush@db: is gone")


def test_one_that_fails_or_hangs_keeps_none_from_being_made() -> None:
    never = threading.Event()
    checks = [
        Check("good", lambda: [ok("good", "fine")]),
        Check("bad", raising),
        Check("hangs", never.wait),
        Check("slow", lambda: time.sleep(0.05) or [ok("slow", "fine")]),
    ]
    began = time.monotonic()
    found = list(examine(checks, 0.4))
    assert time.monotonic() - began < 2
    assert [(one.check, one.status) for one in found] == [
        ("good", Status.OK),
        ("bad", Status.FAIL),
        ("hangs", Status.FAIL),
        ("slow", Status.OK),
    ]
    assert found[1].says == "ledger postgresql://ada:***@db: is gone"
    assert found[2].says == "no answer within 0.4 s"
    assert all(one.advice for one in found if one.status is Status.FAIL)
    never.set()


def test_what_a_check_found_before_it_broke_is_not_half_told() -> None:
    def half():
        yield ok("half", "one")
        raise StopError("two is gone")

    (only,) = examine([Check("half", half)], 5)
    assert (only.status, only.says) == (Status.FAIL, "two is gone")


secret = st.text(min_size=4, max_size=12).filter(lambda text: text.strip("* ") == text)


@given(secrets=st.sets(secret, max_size=3))
def test_no_secret_is_shown(secrets: set[str]) -> None:
    keep_secret(*secrets)
    try:
        said = "\x00".join([*secrets, "words", *secrets])
        (found,) = examine([Check("x", lambda: [fail("x", said, said)])], 5)
    finally:
        SECRETS.forget()
    for one in secrets:
        assert one not in found.says.replace("***", "")
        assert one not in found.advice.replace("***", "")
