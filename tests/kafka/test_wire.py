"""The head of a message: written and read, and every wrong one named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.kafka.wire import WireError, frame, unframe


@given(schema_id=st.integers(0, 2**31 - 1), payload=st.binary())
def test_what_is_framed_comes_back(schema_id: int, payload: bytes) -> None:
    assert unframe(frame(schema_id, payload)) == (schema_id, payload)


def test_the_head_is_a_zero_byte_and_four_of_the_id() -> None:
    assert frame(258, b"x") == b"\x00\x00\x00\x01\x02x"


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"{}", "0x7b"),
        (b"\x01\x00\x00\x00\x01x", "0x01"),
        (b"\x00", "1 bytes"),
        (b"\x00\x00\x00\x01", "4 bytes"),
    ],
)
def test_a_wrong_head_is_named(value: bytes | None, cause: str) -> None:
    with pytest.raises(WireError, match=cause):
        unframe(value)


@pytest.mark.parametrize("schema_id", [-1, 2**31])
def test_an_id_that_does_not_fit_is_refused(schema_id: int) -> None:
    with pytest.raises(WireError, match=str(schema_id)):
        frame(schema_id, b"")


@given(value=st.binary(max_size=12))
def test_any_bytes_are_read_or_refused(value: bytes) -> None:
    try:
        schema_id, payload = unframe(value)
    except WireError:
        assert value[:1] != b"\x00" or len(value) < 5
    else:
        assert b"\x00" + schema_id.to_bytes(4, "big") + payload == value
