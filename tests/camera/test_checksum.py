from __future__ import annotations

import numpy as np
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calwatch.camera.checksum import datasum_agrees, sum_of_words
from calwatch.camera.hdus import walk


@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=200))
def test_sum_of_words_is_that_of_numpy(words: list[int]) -> None:
    stored = np.array(words, ">u4")
    assert sum_of_words(stored.view("<u4")) == int(stored.sum(dtype=np.uint64)) == sum(words)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_datasum_agrees_with_astropy(words: list[int]) -> None:
    hdu = fits.ImageHDU(np.array(words, np.uint32).view(np.int32).reshape(1, -1))
    if not words:
        hdu = fits.ImageHDU()
    hdu.add_datasum()
    primary = fits.PrimaryHDU().header.tostring().encode()
    data = primary + hdu.header.tostring().encode()
    body = (
        np.array(words, ">u4").tobytes() if hdu.data is None else hdu.data.astype(">i4").tobytes()
    )
    data += body + b"\0" * (-len(body) % 2880)
    found = walk(data, "a.fits")
    assert [datasum_agrees(data, h) for h in found] == [None, True]
    if body:
        start = found[1].data_start
        spoilt = data[:start] + bytes([data[start] ^ 1]) + data[start + 1 :]
        assert datasum_agrees(spoilt, found[1]) is False


def test_nonsense_datasum_counts_as_none() -> None:
    hdu = fits.PrimaryHDU()
    hdu.header["DATASUM"] = "many"
    data = hdu.header.tostring().encode()
    assert datasum_agrees(data, walk(data, "a.fits")[0]) is None
