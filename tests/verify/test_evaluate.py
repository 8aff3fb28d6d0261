import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwatch.verify.evaluate import evaluate
from calwatch.verify.limits import ActiveTest
from calwatch.verify.limits_schema import Sides
from calwatch.verify.limits_schema import TestSpec as Spec
from calwatch.verify.model import Verdict

GRADE = {(Verdict.PASS, ""): 0, (Verdict.PASS, "WARNING"): 1, (Verdict.FAIL, "SERIOUS"): 2}
NUMBERS = {
    "NOISE": 7.31, "PTC_NOISE": 6.52, "MEAN": 0.0, "MEAN_ERROR": 0.1, "CR_NOISE": 7.3,
    "OVERSCAN_LEVEL": 24_905.0, "PTC_OVERSCAN_MEDIAN": 25_000.0, "BIAS_SHIFT_COUNT": 2.0,
}  # fmt: skip


def _test(warning=None, serious=None, counts=True, **fields):
    usual = {
        "name": "NOISE", "calib_types": ["bias"], "level": "amp", "metric": "NOISE",
        "unit": "e-", "form": "relative", "reference": "PTC_NOISE", "side": "both",
    }  # fmt: skip
    entry = {"warning": warning, "serious": serious}
    spec = Spec.model_validate({**usual, "limits": [entry], **fields})
    made = spec.limits[0]
    return ActiveTest(spec, made.warning, made.serious, counts, "4.3")


MEAN = {"name": "MEAN", "metric": "MEAN", "form": "absolute", "reference": None}
FORMS = (
    {"form": "relative"},
    {"form": "absolute"},
    {**MEAN, "n_sigma": 5, "error": "MEAN_ERROR"},
    {"form": "multiple", "reference": "CR_NOISE"},
    {"form": "sqrt", "reference": "MEAN", "calib_types": ["flat"]},
    {"form": "relative", "strict": True},
)


def _judge(test, **numbers):
    return evaluate(test, {**NUMBERS, **numbers}, "C05")


def test_a_failure_says_by_how_much():
    found = _judge(_test(serious=0.05))
    assert found.verdict is Verdict.FAIL
    assert found.severity == "SERIOUS"
    assert found.reason == "C05 NOISE 7.31 e- is 12 % above the certified 6.52 e- (limit 5 %)"
    assert found.limit == pytest.approx((6.194, 6.846))
    assert (found.value, found.unit, found.section) == (7.31, "e-", "4.3")


@pytest.mark.parametrize(
    ("test", "numbers", "reason"),
    [
        (_test(serious=0.05), {"NOISE": 5.9}, "NOISE 5.9 e- is 9.5 % below the certified 6.52 e- "
         "(limit 5 %)"),
        (_test(serious=1.0, n_sigma=5, error="MEAN_ERROR", **MEAN), {"MEAN": -2.25},
         "MEAN -2.25 e- is below -1.5 e-"),
        (_test(serious=50, name="OVERSCAN_LEVEL", metric="OVERSCAN_LEVEL", unit="adu",
               form="absolute", reference="PTC_OVERSCAN_MEDIAN"), {},
         "OVERSCAN_LEVEL 24905 adu is 95 adu below the certified 25000 adu (limit 50 adu)"),
        (_test(serious=0, name="BIAS_SHIFT", metric="BIAS_SHIFT_COUNT", unit="count",
               form="absolute", reference=None, side="upper"), {},
         "BIAS_SHIFT 2 is above 0"),
        (_test(serious=0, form="sqrt", reference="MEAN", side="upper", calib_types=["flat"]),
         {"MEAN": 10_000.0, "NOISE": 104.0},
         "NOISE 104 e- is 4 % above the root of the mean 100 e- (limit 0 %)"),
        (_test(serious=1, name="MEAN", metric="MEAN", form="multiple", reference="NOISE"),
         {"MEAN": 8.0}, "MEAN 8 e- is above 7.31 e-"),
    ],
)  # fmt: skip
def test_reasons(test, numbers, reason):
    found = _judge(test, **numbers)
    assert found.verdict is Verdict.FAIL
    assert found.reason == f"C05 {reason}"


def test_a_warning_passes_and_says_so():
    found = _judge(_test(warning=0.04, serious=0.2))
    assert (found.verdict, found.severity) == (Verdict.PASS, "WARNING")
    assert "(limit 4 %)" in found.reason


def test_a_plain_pass_has_no_words_and_the_nearest_limit():
    found = _judge(_test(warning=0.04, serious=0.2), NOISE=6.5)
    assert (found.verdict, found.severity, found.reason) == (Verdict.PASS, "", "")
    assert found.limit == pytest.approx((6.52 * 0.96, 6.52 * 1.04))


def test_one_open_side_is_never_crossed():
    test = _test(serious=Sides(upper=0.05), warning=0.05)
    assert _judge(test, NOISE=0.01).severity == "WARNING"
    assert _judge(test, NOISE=9.0).verdict is Verdict.FAIL


@pytest.mark.parametrize(("strict", "verdict"), [(True, Verdict.FAIL), (False, Verdict.PASS)])
def test_on_the_limit(strict, verdict):
    test = _test(serious=1, form="multiple", reference="CR_NOISE", strict=strict)
    assert _judge(test, NOISE=7.3).verdict is verdict


@pytest.mark.parametrize("name", ["NOISE", "PTC_NOISE", "MEAN_ERROR"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_number_that_does_not_exist_is_unknown(name, value):
    test = _test(serious=0.05, n_sigma=5, error="MEAN_ERROR")
    found = _judge(test, **{name: value})
    assert found.verdict is Verdict.UNKNOWN
    assert name in found.reason
    assert found.severity == ""


@pytest.mark.parametrize("reference", [0.0, -6.5])
def test_an_absurd_reference_is_unknown(reference):
    found = _judge(_test(serious=0.05), PTC_NOISE=reference)
    assert found.verdict is Verdict.UNKNOWN
    assert "the certified (PTC_NOISE) is" in found.reason


def test_an_optional_test_without_reference_is_left_out():
    assert _judge(_test(serious=0.05, optional=True), PTC_NOISE=None) is None
    assert _judge(_test(serious=0.05, optional=True)) is not None
    assert _judge(_test(serious=0.05, optional=True), NOISE=None).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f["form"])
@given(
    limit=st.tuples(st.floats(0, 2), st.floats(0, 2)).map(sorted),
    reference=st.floats(0.01, 100),
    near=st.floats(0, 50),
    further=st.floats(0, 50),
    sign=st.sampled_from([-1, 1]),
)
def test_a_larger_deviation_is_never_judged_better(form, limit, reference, near, further, sign):
    test = _test(warning=limit[0], serious=limit[1], **form)
    metric, against = test.spec.metric, test.spec.reference
    centre = {"relative": reference, "sqrt": math.sqrt(reference), "multiple": 0.0}.get(
        test.spec.form, reference if against else 0.0
    )
    numbers = {against: reference} if against else {}
    grades = []
    for deviation in (near, near + further):
        found = _judge(test, **{**numbers, metric: centre + sign * deviation})
        grades.append(GRADE[found.verdict, found.severity])
    assert grades[0] <= grades[1]


@given(st.sampled_from(FORMS), st.sampled_from([None, math.nan, math.inf]), st.data())
def test_nothing_is_never_a_pass(form, nothing, data):
    test = _test(warning=0.1, serious=1.0, **form)
    used = [n for n in (test.spec.metric, test.spec.reference, test.spec.error) if n]
    broken = data.draw(st.sampled_from(used))
    assert _judge(test, **{broken: nothing}).verdict is Verdict.UNKNOWN
