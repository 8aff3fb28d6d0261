"""What is zipped comes back, up to a size."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.unzip import UnzipError, unzip


@given(st.lists(st.binary(max_size=2000), max_size=3))
def test_what_was_zipped_comes_back(parts: list[bytes]) -> None:
    zipped = b"".join(map(gzip.compress, parts))
    assert unzip(zipped, sum(map(len, parts))) == b"".join(parts)
    if parts:  # padded, as gzip allows
        assert unzip(zipped + bytes(7), 10_000) == b"".join(parts)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_a_part_is_not_taken_for_the_whole(content: bytes, data: st.DataObject) -> None:
    zipped = gzip.compress(content)
    end = data.draw(st.integers(1, len(zipped) - 1))
    with pytest.raises(UnzipError, match="gzip"):
        unzip(zipped[:end], 10_000)


@given(st.integers(0, 4))
def test_more_than_it_may_be_is_refused(over: int) -> None:
    zipped = gzip.compress(bytes(100 + over))
    if over:
        with pytest.raises(UnzipError, match="more than 100"):
            unzip(zipped, 100)
    else:
        assert len(unzip(zipped, 100)) == 100


def test_a_bomb_costs_no_more_than_its_bound() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(60)) + packer.flush()
    assert len(bomb) < 80_000
    with pytest.raises(UnzipError, match="more than 1000000"):
        unzip(bomb, 1_000_000)
