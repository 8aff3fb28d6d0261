"""M of the last N raise, M of the last N clear, and nothing else does either."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from scenes import NOON

from calwatch.alarms.model import Sample, Severity
from calwatch.alarms.window import Persistences, Window
from calwatch.verify.limits_schema import Persistence

N, W, S = Severity.NONE, Severity.WARNING, Severity.SERIOUS


def persistence(raise_: str, clear: str) -> Persistence:
    return Persistence.model_validate({"raise": raise_, "clear": clear})


RULES = Persistences(persistence("2 of 3", "2 of 2"), persistence("3 of 5", "3 of 3"))


def sample(number: int, severity: Severity) -> Sample:
    return Sample(NOON + timedelta(minutes=number), number, severity, float(number))


def near(number: int) -> Sample:
    """Return a good value that stands near its limit."""
    return Sample(NOON + timedelta(minutes=number), number, N, float(number), near=True)


def fed(severities, rules: Persistences = RULES) -> list[Severity]:
    """Return the severity after each exposure."""
    window, found = Window(), []
    for number, severity in enumerate(severities):
        window = window.take(sample(number, severity), rules)
        found.append(window.severity)
    return found


def test_two_of_three_raise_and_two_good_ones_clear() -> None:
    assert fed([S, N, S]) == [N, N, S]
    assert fed([S, N, N, S]) == [N, N, N, N]
    assert fed([S, S, N, S, N, N]) == [N, S, S, S, S, N]


def test_what_raised_an_alarm_counts_no_more_once_it_is_cleared() -> None:
    assert fed([S, S, N, N, S]) == [N, S, S, N, N]
    assert fed([S, S, N, N, S, S]) == [N, S, S, N, N, S]


def test_a_warning_takes_longer_and_a_serious_one_eases_to_it() -> None:
    assert fed([W, W, W]) == [N, N, W]
    assert fed([S, S, W, W]) == [N, S, S, W]
    assert fed([W, S, W, W]) == [N, N, W, W]
    assert fed([W, W, W, S, S]) == [N, N, W, W, S]


def fed_samples(samples) -> list[Severity]:
    window, found = Window(), []
    for one in samples:
        window = window.take(one, RULES)
        found.append(window.severity)
    return found


def test_a_value_near_its_limit_raises_nothing_and_clears_nothing() -> None:
    assert fed_samples([sample(1, W), near(2), sample(3, W), near(4), near(5)]) == [N] * 5
    warned = [sample(n, W) for n in range(1, 4)]
    close = [near(n) for n in range(4, 12)]
    assert fed_samples([*warned, *close])[-1] is W
    assert fed_samples([*warned, *close, *(sample(n, N) for n in range(12, 15))])[-1] is N


def test_a_serious_value_that_falls_to_its_limit_eases_to_a_warning() -> None:
    raised = [sample(1, S), sample(2, S)]
    assert fed_samples([*raised, near(3), near(4)]) == [N, S, S, W]
    assert fed_samples([*raised, near(3), sample(4, N)])[-1] is N


def test_a_value_that_walks_over_its_limit_is_one_problem() -> None:
    walk = [sample(1, W), sample(2, W), sample(3, W)]
    walk += [near(n) if n % 5 else sample(n, W) for n in range(4, 60)]
    found = fed_samples(walk)
    assert sum(after > before for before, after in pairwise(found)) == 1


def test_one_exposure_is_enough_where_others_say_the_same() -> None:
    assert Window().take(sample(1, S), RULES, at_once=True).severity is S
    assert Window().take(sample(1, N), RULES, at_once=True).severity is N


def test_what_many_say_at_once_counts_though_its_successor_came_first() -> None:
    after_one = Window().take(sample(2, N), RULES).take(sample(1, S), RULES, at_once=True)
    assert after_one.severity is S
    assert after_one.take(sample(3, N), RULES).severity is N
    after_two = Window((sample(2, N), sample(3, N))).take(sample(1, S), RULES, at_once=True)
    assert after_two.severity is N


def test_an_exposure_that_is_judged_again_counts_once() -> None:
    window = Window().take(sample(1, S), RULES)
    again = window.take(sample(1, S), RULES)
    assert again == window
    assert again.take(sample(2, S), RULES).severity is S
    assert window.take(sample(1, N), RULES).idle


def test_a_late_exposure_takes_its_own_place() -> None:
    window = Window()
    for number, severity in ((1, S), (5, N), (6, N), (2, S)):
        window = window.take(sample(number, severity), RULES)
    assert [s.exposure_id for s in window.samples] == [1, 2, 5, 6]
    assert window.severity is N  # the newest exposure is good: there is nothing to raise now


def test_what_is_older_than_all_that_counts_is_left_out() -> None:
    window = Window()
    for number in range(10, 15):
        window = window.take(sample(number, S), RULES)
    assert window.take(sample(1, N), RULES) == window


@given(st.lists(st.sampled_from([N, W, S, None]), max_size=30))
def test_near_is_never_better_than_good_nor_worse_than_a_warning(severities) -> None:
    def all_with(of_near) -> list[Severity]:
        given_ = [of_near(n) if s is None else sample(n, s) for n, s in enumerate(severities)]
        return fed_samples(given_)

    found = all_with(near)
    best, worst = all_with(lambda n: sample(n, N)), all_with(lambda n: sample(n, W))
    assert all(b <= f <= w for b, f, w in zip(best, found, worst, strict=True))


@given(st.lists(st.sampled_from([N, W, S]), max_size=30))
def test_only_a_bad_one_raises_and_only_a_good_one_clears(severities) -> None:
    before = N
    for given_, after in zip(severities, fed(severities), strict=True):
        if after > before:
            assert given_ >= after
        if after < before:
            assert given_ < before
        before = after


@given(st.lists(st.sampled_from([N, W, S]), min_size=3, max_size=30))
def test_the_last_three_bad_ones_always_stand_as_an_alarm(severities) -> None:
    found = fed([*severities, S, S, S])
    assert found[-1] is S
    assert fed([*severities, N, N, N, N])[-1] is N


@given(st.lists(st.sampled_from([N, W, S]), min_size=1, max_size=12), st.integers(1, 6), st.data())
def test_any_rule_raises_at_its_mth_bad_one(severities, n, data) -> None:
    m = data.draw(st.integers(1, n))
    rule = persistence(f"{m} of {n}", "1 of 1")
    rules = Persistences(rule, rule)
    found = fed([N] * 10 + [S] * m, rules)
    assert found[-1] is S
    assert all(severity is N for severity in found[:-1])
