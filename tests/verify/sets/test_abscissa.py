"""Which light the pairs of a sequence are measured by, and why not the other."""

import math

import numpy as np
import pytest

from calwatch.verify.sets.abscissa import Photodiode, choose, light_words
from calwatch.verify.sets.model import Earlier
from calwatch.verify.sets.photodiode import Charge

PAIRS = {2: (1, 2), 4: (3, 4), 6: (5, 6)}
NAMES = {number: f"obs{number}" for number in range(1, 7)}


def _points(*missing):
    return [
        Earlier(second, 3, float(second), {} if second in missing else {"C10": {"PAIR_MEAN": 9.0}})
        for second in PAIRS
    ]


def _photodiode(**changes):
    charges = {number: Charge(1e-9 * number, 1e-12 * number) for number in range(1, 7)}
    return Photodiode({**charges, **{int(k[1:]): v for k, v in changes.items()}}, PAIRS, NAMES)


def test_a_pair_has_the_mean_of_its_charges():
    found = choose(_points(), _photodiode(), "auto")
    assert (found.by, found.why_not, found.warnings) == ("photodiode", "every exposure has one", ())
    assert found.light == pytest.approx([1.5e-9, 3.5e-9, 5.5e-9])
    assert found.error[0] == pytest.approx(0.5e-12 * math.hypot(1, 2) / 1.5e-9)
    assert found.ratio == pytest.approx([2.0, 4 / 3, 6 / 5])


def test_none_at_all_is_no_warning():
    found = choose(_points(), Photodiode(halves=PAIRS), "auto")
    assert (found.by, found.why_not) == ("exposure_time", "no exposure has a photodiode")
    assert list(found.light) == [2.0, 4.0, 6.0]
    assert not found.warnings


def test_auto_falls_back_and_names_who_has_none():
    broken = _photodiode(n3=Charge(fault="it has no reading"))
    found = choose(_points(), broken, "auto")
    assert found.by == "exposure_time"
    assert found.warnings == (
        "linearity by the exposure time: not every exposure has a photodiode: obs3: it has no "
        "reading",
    )
    # A pair of which nothing was measured is missed by nobody.
    assert choose(_points(4), broken, "auto").by == "photodiode"


def test_photodiode_leaves_out_what_has_none():
    broken = _photodiode(n3=Charge(fault="it has no reading"))
    found = choose(_points(), broken, "photodiode")
    assert found.by == "photodiode"
    assert np.isnan(found.light).tolist() == [False, True, False]
    assert found.warnings == ("pairs left out of linearity: obs3: it has no reading",)
    none = choose(_points(), Photodiode(halves=PAIRS, names=NAMES), "photodiode")
    assert np.isnan(none.light).all()
    assert none.warnings == (
        "pairs left out of linearity: obs1, obs2, obs3, obs4 and 2 more: no photodiode",
    )


def test_the_exposure_time_if_it_is_wanted():
    found = choose(_points(), _photodiode(), "exposure_time")
    assert (found.by, found.why_not) == ("exposure_time", "linearity_by says exposure_time")


def test_a_pair_whose_halves_are_not_known_has_no_charge():
    unknown = Photodiode(_photodiode().charges, {2: (1, 2), 4: (3, 4)}, NAMES)
    found = choose(_points(), unknown, "photodiode")
    assert np.isnan(found.light).tolist() == [False, False, True]
    assert found.warnings == ("pairs left out of linearity: obs6: its pair is not known",)


def test_what_was_taken_in_words():
    assert light_words({}) == ""
    assert light_words({"by": "exposure_time", "why_not": "there is none"}) == (
        "by the exposure time: there is none"
    )
    taken = {"by": "photodiode", "why_not": "", "method": "MEAN", "datasets": ["a", "b"]}
    assert light_words(taken) == "by the photodiode (MEAN of 2 exposures)"
