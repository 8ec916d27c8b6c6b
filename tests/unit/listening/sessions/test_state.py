"""What is known of a listener: nothing that comes after, at a cost that does not grow."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.sessions import state as state_module
from listening.sessions.habits import DAY, HOUR, PRIOR_WEIGHT, Habits
from listening.sessions.moments import MOMENT_FEATURES, WITHIN, within
from listening.sessions.state import (
    BINS,
    FEATURES,
    FORGETS,
    GAPS,
    LONGEST,
    NOBODY,
    QUANTILES,
    SHORTEST,
    SUMMARY,
    Profile,
    Session,
    State,
)

MONDAY = 4 * DAY  # 1970-01-05
LENGTHS = st.floats(0.0, LONGEST)
SILENCES = st.one_of(st.floats(1.0, 10 * DAY), st.sampled_from(GAPS))
BIN = (math.log1p(LONGEST) - math.log1p(SHORTEST)) / BINS


@st.composite
def histories(draw: st.DrawFn, *, least: int = 1, most: int = 12) -> list[Session]:
    at, sessions = draw(st.floats(1e9, 1.5e9)), []
    for _ in range(draw(st.integers(least, most))):
        plays = draw(st.integers(1, 40))
        session = Session(at, at + draw(LENGTHS), plays, draw(st.integers(0, plays)))
        sessions.append(session)
        at = session.end + draw(SILENCES)
    return sessions


def regular(n: int, *, length: float = 1_800.0, every: float = DAY, start: float = MONDAY):
    return [Session(start + i * every, start + i * every + length, 9, 3) for i in range(n)]


def random_history(n: int, seed: int = 1) -> list[Session]:
    rng = np.random.default_rng(seed)
    sessions, at = [], 1.2e9
    for length, silence in zip(
        np.exp(rng.normal(7.5, 1.3, n)).clip(2.0, 1.9 * DAY), rng.uniform(HOUR, DAY, n), strict=True
    ):
        sessions.append(Session(at, at + float(length), int(rng.integers(1, 30)), 0))
        at += float(length + silence)
    return sessions


def after(sessions: list[Session], profile: Profile = NOBODY) -> State:
    state = State(profile)
    for session in sessions:
        state.fold(session)
    return state


def moment(state: State, now: float) -> dict[str, float]:
    return dict(zip(FEATURES, state.features(now), strict=True))


def moments_of(sessions: list[Session]) -> list[list[float]]:
    state, found = State(), []
    for session in sessions:
        found.append(state.features(session.start) + state.summary())
        state.fold(session)
    return found


@given(histories(), histories(most=4), st.data())
def test_a_moment_knows_nothing_of_what_comes_after(
    sessions: list[Session], others: list[Session], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(sessions) - 1))
    shift = sessions[place].start - others[0].start
    later = [
        other._replace(start=other.start + shift, end=other.end + shift, skips=0)
        for other in others
    ]
    later[0] = later[0]._replace(start=sessions[place].start)
    changed = moments_of([*sessions[:place], *later])
    told = moments_of(sessions)
    np.testing.assert_array_equal(told[: place + 1], changed[: place + 1])


@given(histories(), st.floats(0.0, 100 * DAY))
def test_asking_changes_nothing(sessions: list[Session], wait: float) -> None:
    state = after(sessions)
    now = sessions[-1].end + wait
    first = state.features(now) + state.summary()
    np.testing.assert_array_equal(first, state.features(now) + state.summary())
    np.testing.assert_array_equal(first, after(sessions).features(now) + after(sessions).summary())


def size(part: State | Habits) -> Counter[str]:
    """Return how many numbers each slot holds."""
    counts: Counter[str] = Counter()
    for name in type(part).__slots__:
        value = getattr(part, name)
        if isinstance(value, Habits):
            counts.update(size(value))
        else:
            counts[name] = len(value) if isinstance(value, list | tuple) else 1
    return counts


def test_a_state_is_as_large_after_ten_thousand_sessions_as_before_any() -> None:
    state = State()
    empty = size(state)
    assert not hasattr(state, "__dict__")
    assert not hasattr(state.habits, "__dict__")
    for session in random_history(10_000):
        state.fold(session)
    assert size(state) == empty
    assert empty["histogram"] == BINS
    assert all(map(math.isfinite, state.features(state.end + 60.0)[:-3]))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 500])
def test_every_feature_has_its_place(n: int) -> None:
    state = after(random_history(n))
    assert len(state.features(1.6e9)) == len(FEATURES) == len(set(FEATURES))
    assert len(state.summary()) == len(SUMMARY)
    assert moment(state, 1.6e9)["sessions"] == n


def test_of_somebody_new_only_the_time_is_known() -> None:
    known = {k: v for k, v in moment(State(), MONDAY + 6.5 * HOUR).items() if not math.isnan(v)}
    assert known == {"sessions": 0.0, "hour": 6.5, "weekday": 4.0}
    assert all(map(math.isnan, State().summary()))


def test_what_few_sessions_do_not_tell_is_unknown() -> None:
    account = {"gender", "age", "days_registered"}

    def unknown(n: int) -> set[str]:
        found = moment(after(regular(n)), MONDAY + 30 * DAY)
        return {name for name, value in found.items() if math.isnan(value)} - account

    assert unknown(1) == {"last_2", "last_3", "usual_gap"}
    assert unknown(2) == {"last_3"}
    assert unknown(3) == set()


def test_an_account_says_gender_age_and_time() -> None:
    profile = Profile(gender=1.0, age=33.0, registered=MONDAY)
    names = ("gender", "age", "days_registered")
    for n in (0, 2):
        found = moment(after(regular(n), profile), MONDAY + 3 * DAY)
        assert [found[name] for name in names] == [1.0, 33.0, 3.0]
    no_age = moment(State(Profile(gender=0.0)), MONDAY)
    assert no_age["gender"] == 0.0
    assert math.isnan(no_age["age"])
    assert math.isnan(no_age["days_registered"])
    about = dict(zip(SUMMARY, State(profile).summary(), strict=True))
    assert (about["age"], about["gender"]) == (33.0, 1.0)
    assert math.isnan(about["median"])


def test_lengths_are_those_of_the_sessions() -> None:
    seconds = [600.0, 1_800.0, 1_801.0, 7_200.0]
    sessions = [
        Session(MONDAY + i * DAY, MONDAY + i * DAY + s, 5, 1) for i, s in enumerate(seconds)
    ]
    found = moment(after(sessions), MONDAY + 4 * DAY)
    logs = np.log1p(seconds)
    assert [found[f"last_{i}"] for i in (1, 2, 3)] == pytest.approx(logs[:0:-1])
    assert found["mean"] == pytest.approx(logs.mean())
    assert found["deviation"] == pytest.approx(logs.std())
    assert found["mean_of_seconds"] == pytest.approx(math.log1p(np.mean(seconds)))
    assert found["over_half_an_hour"] == pytest.approx((2 + PRIOR_WEIGHT / 2) / (4 + PRIOR_WEIGHT))
    # The first sessions of a decayed mean weigh alike, until each weighs less than its memory.
    assert found["decayed_0.02"] == pytest.approx(logs.mean())
    half = logs[0]
    for log in logs[1:]:
        half += 0.5 * (log - half)
    assert found["decayed_0.5"] == pytest.approx(half)


def test_plays_are_those_of_the_sessions() -> None:
    sessions = [
        Session(MONDAY, MONDAY + 900, 3, 3),
        Session(MONDAY + DAY, MONDAY + DAY + 800, 8, 2),
    ]
    found = moment(after(sessions), MONDAY + 2 * DAY)
    assert found["last_plays"] == pytest.approx(math.log1p(8))
    assert found["plays"] == pytest.approx((math.log1p(3) + math.log1p(8)) / 2)
    assert (found["last_skipped"], found["skipped"]) == pytest.approx((0.25, 0.625))
    assert (found["last_seconds_a_play"], found["seconds_a_play"]) == pytest.approx((100.0, 200.0))
    assert found["days_of_log"] == pytest.approx(2.0)


def test_gaps_are_from_the_end_before() -> None:
    sessions = regular(3)
    found = moment(after(sessions), sessions[-1].end + 3 * HOUR)
    assert found["gap"] == pytest.approx(math.log1p(3 * HOUR))
    assert found["usual_gap"] == pytest.approx(math.log1p(DAY - 1_800))


def test_lengths_after_gaps_of_a_class_are_told_apart() -> None:
    # Short sessions after short silences, long ones after a night.
    sessions, at = [], MONDAY
    for i in range(40):
        length = 7_200.0 if i % 2 else 300.0
        sessions.append(Session(at, at + length, 5, 0))
        at += length + (HOUR if i % 2 else 15 * HOUR)
    state = after(sessions)
    soon, late = (moment(state, state.end + gap) for gap in (HOUR, 15 * HOUR))
    assert soon["mean_after_such_gaps"] < soon["mean"] - 1 < soon["mean"] + 1
    assert late["mean_after_such_gaps"] > late["mean"] + 1
    never = moment(state, state.end + 10 * DAY)
    assert never["mean_after_such_gaps"] == pytest.approx(never["mean"])


def test_the_load_fades_and_counts_what_was_heard() -> None:
    state = after([Session(0.0, HOUR, 9, 0), Session(DAY, DAY + HOUR, 9, 0)])
    fade = math.exp(-1.0)  # a day from end to end, and a further one
    found = moment(state, 2 * DAY + HOUR)
    assert found["count_24h"] == pytest.approx(fade + fade**2)
    assert found["load_24h"] == pytest.approx(HOUR * (fade + fade**2))
    assert found["load_6h"] < found["load_24h"] < found["load_168h"] < 2 * HOUR


@given(st.lists(st.floats(SHORTEST, LONGEST * 0.999), min_size=1, max_size=60))
def test_quantiles_lie_within_a_bin_of_exact_ones(lengths: list[float]) -> None:
    state = State()
    for i, length in enumerate(lengths):
        state.fold(Session(i * 10 * DAY, i * 10 * DAY + length, 1, 0))
    found = moment(state, len(lengths) * 10 * DAY)
    logs = [math.log1p(i * 10 * DAY + s - i * 10 * DAY) for i, s in enumerate(lengths)]
    exact = np.quantile(logs, QUANTILES, method="inverted_cdf")
    own = [found[f"quantile_{quantile}"] for quantile in QUANTILES]
    assert np.abs(own - exact).max() <= BIN + 1e-6
    assert all(a <= b for a, b in pairwise(own))


def test_recent_quantiles_follow_what_changed() -> None:
    short, long = regular(200, length=300.0), regular(60, length=7_200.0, start=MONDAY + 300 * DAY)
    found = moment(after([*short, *long]), MONDAY + 400 * DAY)
    assert found["quantile_0.5"] == pytest.approx(math.log1p(300), abs=BIN)
    assert found["recent_0.5"] == pytest.approx(math.log1p(7_200), abs=BIN)


@pytest.mark.parametrize("most", [2.0, 1e3, 1e280])
def test_weights_that_are_divided_change_nothing(
    most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = random_history(5_000)
    ours, summary = after(sessions).features(2e9), after(sessions).summary()
    assert FORGETS**-5_000 > state_module.MOST_WEIGHT  # they are divided at least once
    monkeypatch.setattr(state_module, "MOST_WEIGHT", most)
    np.testing.assert_allclose(after(sessions).features(2e9), ours, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(after(sessions).summary(), summary, rtol=1e-12)


def test_hours_wrap_at_midnight() -> None:
    late = regular(20, start=MONDAY + 23 * HOUR, length=900.0)
    early = moment(after(late), MONDAY + 40 * DAY + 1 * HOUR)
    assert early["hour"] == 1.0
    assert early["hour_from_usual"] == pytest.approx(2.0)
    assert early["hours_alike"] == pytest.approx(1.0)
    # Two hours on the other side of midnight tell as much as two hours on this one.
    before = moment(after(late), MONDAY + 40 * DAY + 21 * HOUR)
    assert before["hour_from_usual"] == pytest.approx(-2.0)
    assert early["share_at_this_hour"] == pytest.approx(before["share_at_this_hour"])
    assert early["share_at_this_hour"] > 0
    assert moment(after(late), MONDAY + 40 * DAY + 12 * HOUR)["share_at_this_hour"] == 0.0


def test_usual_hours_on_both_sides_of_midnight_meet_there() -> None:
    sessions = [
        Session(MONDAY + i * DAY + hour * HOUR, MONDAY + i * DAY + hour * HOUR + 60, 1, 0)
        for i in range(0, 200, 2)
        for hour in (23, 25)
    ]
    found = moment(after(sessions), MONDAY + 300 * DAY)
    assert found["hour_from_usual"] == pytest.approx(0.0, abs=0.05)
    assert 0.9 < found["hours_alike"] < 1.0


@pytest.mark.parametrize(("day", "weekday"), [(0, 4.0), (1, 5.0), (6, 3.0), (7, 4.0)])
def test_weekdays_repeat_every_seven_days(day: int, weekday: float) -> None:
    assert moment(State(), MONDAY + day * DAY)["weekday"] == weekday
    assert moment(after(regular(1)), MONDAY + (day + 14) * DAY)["weekday"] == weekday


def test_means_of_an_hour_and_a_weekday_are_drawn_to_the_listeners_own() -> None:
    evenings = [
        Session(start, start + length, 5, 0)
        for week in range(20)
        for start, length in (
            (MONDAY + 7 * week * DAY + 8 * HOUR, 600.0),
            (MONDAY + (7 * week + 3) * DAY + 20 * HOUR, 7_200.0),
        )
    ]
    state = after(evenings)
    monday = moment(state, MONDAY + 140 * DAY + 8 * HOUR)
    short, mean = math.log1p(600.0), monday["mean"]
    drawn = (20 * short + PRIOR_WEIGHT * mean) / (20 + PRIOR_WEIGHT)
    assert monday["mean_at_this_hour"] == pytest.approx(drawn)
    assert monday["mean_on_this_weekday"] == pytest.approx(drawn)
    assert short < monday["recent_at_this_hour"] < mean
    sunday_noon = moment(state, MONDAY + 146 * DAY + 13 * HOUR)
    assert sunday_noon["mean_on_this_weekday"] == pytest.approx(mean)


def test_shares_of_hours_heard_and_ended() -> None:
    # From 20:30 to 22:15 each day.
    state = after(regular(50, start=MONDAY + 20.5 * HOUR, length=1.75 * HOUR))
    found = moment(state, MONDAY + 60 * DAY + 20 * HOUR)
    heard = [found[f"heard_{hour:+d}h"] for hour in range(-1, 5)]
    assert heard == pytest.approx([0.0, 0.5, 1.0, 0.25, 0.0, 0.0])
    assert [found[f"ended_{h:+d}h"] for h in range(4)] == pytest.approx([0.0, 0.0, 1.0, 0.0])
    half = moment(state, MONDAY + 60 * DAY + 20.5 * HOUR)
    assert half["heard_+0h"] == pytest.approx(0.75)
    assert half["ended_+1h"] == pytest.approx(0.5)


@given(histories())
def test_shares_are_shares(sessions: list[Session]) -> None:
    found = moment(after(sessions), sessions[-1].end + HOUR)
    shares = ("share_at_this_hour", "hours_alike", "last_skipped", "skipped", "over_half_an_hour")
    for name, value in found.items():
        if name in shares or name.startswith(("heard_", "ended_")):
            assert -1e-9 <= value <= 1 + 1e-9, name


@pytest.mark.parametrize("length", [DAY, 1.5 * DAY, 5 * DAY])
def test_a_session_over_a_day_counts_at_most_a_day(length: float) -> None:
    habits = Habits()
    habits.fold(MONDAY, MONDAY + length, math.log1p(length), 1.0)
    assert habits.heard == [1.0] * 24
    habits = Habits()
    habits.fold(MONDAY + HOUR / 2, MONDAY + HOUR / 2 + length, math.log1p(length), 1.0)
    assert max(habits.heard) <= 1.0
    assert 23 < sum(habits.heard) <= 24


@given(st.floats(0, DAY), st.floats(0, 0.99 * DAY))
def test_what_is_heard_in_a_day_adds_up(time: float, length: float) -> None:
    habits = Habits()
    start = MONDAY + time
    habits.fold(start, start + length, math.log1p(length), 2.0)
    heard = 2 * (start + length - start) / HOUR
    to_the_hour_again = length > 23 * HOUR  # its last piece would be in the hour that it began in
    assert sum(habits.heard) <= heard + 1e-9
    assert to_the_hour_again or sum(habits.heard) == pytest.approx(heard, abs=1e-9)


def test_a_summary_tells_kinds_of_listeners_apart() -> None:
    found = dict(zip(SUMMARY, after(regular(9, length=3_600.0)).summary(), strict=True))
    assert found["sessions"] == pytest.approx(math.log(9))
    assert (found["mean"], found["longest"]) == pytest.approx([math.log1p(3_600)] * 2)
    assert found["median"] == pytest.approx(math.log1p(3_600), abs=BIN)
    assert found["plays"] == pytest.approx(math.log1p(9))
    assert math.isnan(found["age"])


@settings(max_examples=30)
@given(st.floats(0, 1e5), st.integers(1, 200), st.integers(0, 200))
def test_what_is_known_within_a_session(elapsed: float, plays: int, skips: int) -> None:
    (told,) = within([elapsed], [plays], [min(skips, plays)])
    expected = [
        math.log1p(elapsed),
        math.log(plays),
        math.log1p(elapsed / plays),
        min(skips, plays) / plays,
    ]
    assert told.dtype == np.float32
    assert told == pytest.approx(expected, rel=1e-6)
    assert len(told) == len(WITHIN)
    assert MOMENT_FEATURES == FEATURES + WITHIN
