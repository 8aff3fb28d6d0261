import contextlib
import copy
import re
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calwatch.errors import LimitsError
from calwatch.verify import limits as module
from calwatch.verify.limits import Part, load_limits, shipped_profiles
from calwatch.verify.metrics import METRICS, TESTS

GOOD = {
    "profile": "mine",
    "version": "1",
    "description": "For tests.",
    "tests": [
        {
            "name": "NOISE",
            "calib_types": ["bias", "dark"],
            "level": "amp",
            "section": {"bias": "4.3", "dark": "5.3"},
            "metric": "NOISE",
            "unit": "e-",
            "form": "relative",
            "reference": "PTC_NOISE",
            "side": "both",
            "limits": [
                {"warning": 0.04, "serious": 0.05},
                {"from": 20261122, "serious": 0.1},
                {"from": "2026-12-01", "serious": 0.2},
            ],
            "overrides": [
                {"instrument": "LATISS", "reason": "old", "serious": 0.3},
                {
                    "instrument": "LATISS", "detectors": [0, "R22_S11"], "amps": ["C05"],
                    "from": "2026-11-23", "until": "2026-11-24",
                    "reason": "loose cable", "serious": 0.9, "counts": False,
                },
            ],
        }
    ],
}  # fmt: skip


def _write(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def _broken(tmp_path, change):
    content = copy.deepcopy(GOOD)
    change(content)
    with pytest.raises(LimitsError) as caught:
        load_limits(_write(tmp_path, content))
    return str(caught.value)


def _active(limits, when, part=None, calib_type="bias"):
    (test,) = limits.active(calib_type, "amp", part or Part("X"), when)
    return test


@pytest.mark.parametrize("name", ["dmtn101", "cp_verify"])
def test_shipped_profiles_are_sound(name):
    limits = load_limits(name)
    assert limits.profile == name
    assert limits.label == f"{name} {limits.version}"
    assert {t.name for t in limits.tests} >= {"MEAN", "NOISE", "CR_NOISE", "SCATTER", "SEQUENCER"}


def test_every_known_test_is_in_the_default_profile():
    tests = load_limits("dmtn101").tests
    held = {(t.name, t.level, c) for t in tests for c in t.calib_types}
    assert held == {(t.name, t.level, c) for t in TESTS.values() for c in t.calib_types}


def test_dates_decide(tmp_path):
    limits = load_limits(_write(tmp_path, GOOD))
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a day_obs begins at 12:00 UTC
    assert _active(limits, noon.replace(hour=11)).serious == 0.05
    assert _active(limits, noon).serious == 0.1
    assert _active(limits, noon).warning is None
    assert _active(limits, datetime(2026, 12, 1, tzinfo=UTC)).serious == 0.2
    assert _active(limits, None).serious == 0.2


def test_a_test_is_absent_before_its_first_date(tmp_path):
    content = copy.deepcopy(GOOD)
    del content["tests"][0]["limits"][0]
    limits = load_limits(_write(tmp_path, content))
    assert not list(limits.active("bias", "amp", Part("X"), datetime(2026, 1, 1, tzinfo=UTC)))


def test_the_last_override_that_applies_wins(tmp_path):
    limits = load_limits(_write(tmp_path, GOOD))
    inside = datetime(2026, 11, 23, 5, tzinfo=UTC)
    assert _active(limits, inside, Part("LSSTCam", 0, "", "C05")).serious == 0.1
    assert _active(limits, inside, Part("LATISS", 0, "", "C06")).serious == 0.3
    test = _active(limits, inside, Part("LATISS", 94, "R22_S11", "C05"))
    assert (test.serious, test.counts, test.note) == (0.9, False, "old; loose cable")
    outside = datetime(2026, 11, 24, tzinfo=UTC)
    assert _active(limits, outside, Part("LATISS", 0, "", "C05")).serious == 0.3
    assert _active(limits, None, Part("LATISS", 0, "", "C05")).serious == 0.3


def test_the_section_follows_the_type(tmp_path):
    limits = load_limits(_write(tmp_path, GOOD))
    assert _active(limits, None).section == "4.3"
    assert _active(limits, None, calib_type="dark").section == "5.3"


def _set(field, value):
    def change(content):
        content["tests"][0][field] = value

    return change


def _set_limits(**entry):
    return _set("limits", [entry])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("name", "NOISY"), ["name: 'NOISY' is no amp test", "known:"]),
        (_set("metric", "NOISES"), ["metric: 'NOISES' is no amp metric"]),
        (_set("reference", "DET_MEAN"), ["reference: 'DET_MEAN' is no amp metric"]),
        (_set("reference", None), ["reference: a relative test needs one"]),
        (_set("metric", "AMP_CORNER"), ["metric: AMP_CORNER is not measured in a dark"]),
        (_set("unit", "adu"), ["unit: NOISE is in 'e-', not 'adu'"]),
        (_set("form", "cubic"), ["form", "absolute", "got 'cubic'"]),
        (_set("side", "left"), ["side", "'lower', 'upper' or 'both'"]),
        (_set("level", "pixel"), ["level", "'amp'"]),
        (_set("calib_types", ["lamp"]), ["calib_types.0", "'bias', 'dark', 'flat'"]),
        (_set("calib_types", []), ["calib_types", "at least 1"]),
        (_set("n_sigma", 3), ["n_sigma and error: expected both or neither"]),
        (_set("n_sigma", -3), ["n_sigma", "greater than or equal to 0"]),
        (_set("section", "four"), ["section"]),
        (_set("limit", []), ["limit: Extra inputs are not permitted"]),
        (_set("limits", []), ["limits", "at least 1"]),
        (_set_limits(serious="5 %"), ["limits.0.serious", "valid number", "'5 %'"]),
        (_set_limits(serious=float("nan")), ["serious", "finite"]),
        (_set_limits(serious=-0.1), ["serious: expected a range"]),
        (_set_limits(serious={"upper": -0.1}), ["serious: expected a number ≥ 0"]),
        (_set_limits(serious={}), ["expected lower, upper or both"]),
        (_set_limits(warning=0.2, serious=0.1), ["serious: expected to lie at or beyond warning"]),
        (_set_limits(**{"from": "2026-11-22"}), ["expected warning, serious or both"]),
        (_set_limits(**{"from": 20261350, "serious": 1}), ["from", "no day_obs"]),
        (_set_limits(**{"from": "soon", "serious": 1}), ["from", "'soon' is no UTC date"]),
        (_set_limits(**{"from": True, "serious": 1}), ["from", "expected a UTC date"]),
        (_set("limits", [{"serious": 1}, {"serious": 2}]), ["only the first entry may lack from"]),
        (
            _set("limits", [{"from": 20261122, "serious": 1}, {"from": 20261101, "serious": 2}]),
            ["limits: expected entries in order of from"],
        ),
        (
            _set("overrides", [{"instrument": "X", "serious": 1}]),
            ["overrides.0.reason", "required"],
        ),
        (_set("overrides", [{"reason": "x", "serious": 1}]), ["overrides.0.instrument"]),
        (_set("overrides", [{"instrument": "X", "reason": "x"}]), ["expected warning, serious or"]),
    ],
)
def test_mistakes_name_file_test_field_and_expectation(tmp_path, change, words):
    message = _broken(tmp_path, change)
    assert re.search(r"mine\.yaml:\d+: test 1 \(", message)
    for word in words:
        assert word in message


def test_every_mistake_is_told_at_once(tmp_path):
    def change(content):
        content["colour"] = "red"
        content["tests"][0]["limits"][0]["serious"] = "much"
        content["tests"].append({"name": "MEAN"})

    lines = _broken(tmp_path, change).splitlines()
    written = (tmp_path / "mine.yaml").read_text().splitlines()
    for line in lines:
        assert "mine.yaml:" in line
    (number,) = {line.split(":")[1] for line in lines if "limits.0.serious" in line}
    assert written[int(number) - 1].endswith("serious: much")
    assert any("colour" in line for line in lines)
    assert any("test 1 (bias dark NOISE): limits.0.serious" in line for line in lines)
    assert any("test 2 (MEAN): side: Field required" in line for line in lines)


@pytest.mark.parametrize("field", ["profile", "version", "description", "tests"])
def test_the_head_is_needed(tmp_path, field):
    assert f"{field}: Field required" in _broken(tmp_path, lambda content: content.pop(field))


def test_a_test_is_given_once(tmp_path):
    message = _broken(tmp_path, lambda c: c["tests"].append(c["tests"][0]))
    assert "bias amp NOISE is given twice" in message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("profile: [", "is not YAML"),
        ("profile: a\nprofile: b\n", "'profile' is given twice"),
        ("just words", "expected profile, version"),
        ("", "expected profile, version"),
        ("tests: !!python/object/apply:os.system ['true']", "is not YAML"),
        ("? [a, b]\n: 1", ""),
    ],
)
def test_what_is_no_limits_file_is_refused(tmp_path, text, word):
    with pytest.raises(LimitsError, match=r"mine\.yaml") as caught:
        load_limits(_write(tmp_path, text))
    assert word in str(caught.value)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(LimitsError, match="cannot be read"):
        load_limits(tmp_path / "absent.yaml")
    with pytest.raises(LimitsError, match="cannot be read"):
        load_limits(tmp_path)
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LimitsError, match="cannot be read"):
        load_limits(tmp_path / "mine.yaml")
    with pytest.raises(LimitsError, match="known: cp_verify, dmtn101"):
        load_limits("dmtn102")


def test_the_installed_place_comes_first(tmp_path, monkeypatch):
    package = tmp_path / "calwatch"
    (package / "verify").mkdir(parents=True)
    (package / "limits").mkdir()
    _write(package / "limits", GOOD)
    monkeypatch.setattr(module, "__file__", str(package / "verify" / "limits.py"))
    assert shipped_profiles() == ("mine",)
    (package / "limits" / "mine.yaml").unlink()
    (package / "limits").rmdir()
    with pytest.raises(LimitsError, match="are in neither"):
        shipped_profiles()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*GOOD, *GOOD["tests"][0], "from", "serious", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=15,
    )
)
def test_any_content_is_accepted_or_refused_in_words(tmp_path_factory, content):
    path = _write(tmp_path_factory.mktemp("limits"), {**GOOD, "tests": content})
    with contextlib.suppress(LimitsError):
        assert load_limits(path).tests


def test_metrics_are_described():
    for metric in METRICS.values():
        assert metric.name.isupper()
        assert metric.name.replace("_", "").isalnum()  # a name that databases and Avro accept
        assert metric.description.endswith(".")


def test_the_flats_of_a_photon_transfer_curve_may_be_dark_or_saturated():
    limits = load_limits("dmtn101")

    def names(reason):
        return {t.spec.name for t in limits.active("flat", "amp", Part("X"), None, reason)}

    assert names("daily_flat") - names("daily_PTC") == {"LEVEL", "SATURATION"}
    assert names("") == names("daily_flat")
    assert names("daily_crosstalk") == {"OVERSCAN_LEVEL"}


def test_a_test_may_say_how_many_exposures_make_an_alarm():
    limits = load_limits("dmtn101")
    asked = limits.alarm_persistence("bias", "SEQUENCER").serious
    assert asked is not None
    assert (str(asked.raise_), str(asked.clear)) == ("1 of 1", "1 of 1")
    assert limits.alarm_persistence("bias", "NOISE").serious is None
    assert limits.alarm_persistence("bias", "NO_SUCH_TEST").warning is None


def test_sets_of_the_stacks_tests_are_believed_the_second_day_or_never():
    limits = load_limits("cp_verify")
    of_a_day = {"ptc", "linearity", "defects", "crosstalk"}
    asked = {t.name: t.alarm for t in limits.tests if set(t.calib_types) & of_a_day}
    silent = {name for name, alarm in asked.items() if alarm.never}
    assert silent == {"DEFECT_STDEV", "DEFECT_PROBABILITY"}
    for name in asked.keys() - silent:
        serious = asked[name].serious
        assert serious is not None, name
        assert (str(serious.raise_), str(serious.clear)) == ("2 of 2", "1 of 1"), name


@pytest.mark.parametrize(
    ("alarm", "words"),
    [
        ("{serious: {raise: 3 of 2, clear: 1 of 1}}", "M at most N"),
        ("{serious: {raise: sometimes, clear: 1 of 1}}", "expected M of N such as 2 of 3"),
        ("{serious: {raise: 1 of 99, clear: 1 of 1}}", "less than or equal to 50"),
        ("{serious: {raise: 1 of 1}}", "clear"),
        ("{grave: {raise: 1 of 1, clear: 1 of 1}}", "grave"),
        ("{never: true, serious: {raise: 1 of 1, clear: 1 of 1}}", "never alone"),
    ],
)
def test_a_wrong_number_of_exposures_is_named(tmp_path, alarm, words):
    shipped = (module.shipped_directory() / "dmtn101.yaml").read_text(encoding="utf-8")
    first = "    limits:\n"
    path = tmp_path / "limits.yaml"
    path.write_text(shipped.replace(first, f"    alarm: {alarm}\n{first}", 1))
    with pytest.raises(LimitsError) as error:
        load_limits(path)
    assert words in str(error.value)
    assert "MEAN" in str(error.value)
