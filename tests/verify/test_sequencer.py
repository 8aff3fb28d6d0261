import math

import pytest

from calwatch.verify.sequencer import mismatches

RAW = {"SEQNAME": "FP_v30.seq", "SEQCKSUM": "1234", "ODP": 26.0}


def test_equal_keywords_give_nothing():
    header = {"SEQNAME": "FP_v30.seq  ", "SEQCKSUM": 1234, "ODP": 26.0001, "OTHER": 1}
    assert mismatches(RAW, {"bias": header, "ptc": header}) == ()


def test_each_difference_is_named():
    found = mismatches(RAW, {"bias": {"SEQNAME": "FP_v29.seq"}, "dark": {"ODP": 25.0}})
    assert found == (
        "SEQNAME is FP_v30.seq in the raw and FP_v29.seq in the certified bias",
        "ODP is 26.0 in the raw and 25.0 in the certified dark",
    )


@pytest.mark.parametrize("absent", [None, "", "  ", "None", math.nan])
def test_absent_keywords_are_skipped(absent):
    assert mismatches({"SEQNAME": absent}, {"bias": {"SEQNAME": "FP_v29.seq"}}) == ()
    assert mismatches({"SEQNAME": "FP_v29.seq"}, {"bias": {"SEQNAME": absent}}) == ()
    assert mismatches(RAW, {"bias": {}}) == ()


def test_a_word_is_no_number():
    assert len(mismatches({"ODP": 26.0}, {"bias": {"ODP": "off"}})) == 1
    assert mismatches({"ODP": 26}, {"bias": {"ODP": 26.0}}) == ()
