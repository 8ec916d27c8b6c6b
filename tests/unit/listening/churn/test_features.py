"""Features of a date: as plain Python reckons them, and blind to what comes after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.churn.features import FEATURES, HORIZONS, LOOK_BACK, POPULATION, Snapshots
from tests.unit.listening.churn.plain import Listener, activity, drawn, features

DATES = st.integers(17_000, 17_160)
SEEDS = st.integers(0, 10_000)


def found(listeners: list[Listener], date: int) -> np.ndarray:
    return Snapshots(activity(listeners)).features(np.arange(len(listeners)), date)


@given(seed=SEEDS, date=DATES)
def test_features_are_those_of_plain_python(seed: int, date: int) -> None:
    listeners = drawn(seed)
    expected = np.array([features(one, date) for one in listeners])
    for name, ours, theirs in zip(FEATURES, found(listeners, date).T, expected.T, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6), name


@given(seed=SEEDS, date=DATES)
def test_what_comes_from_the_date_on_changes_nothing(seed: int, date: int) -> None:
    listeners, others = drawn(seed), drawn(seed + 1)
    changed = [
        Listener(
            {day: counts for day, counts in one.days.items() if day < date}
            | {day: counts for day, counts in other.days.items() if day >= date},
            one.came,
        )
        for one, other in zip(listeners, others, strict=True)
    ]
    assert np.array_equal(found(listeners, date), found(changed, date))


@given(seed=SEEDS, date=DATES)
def test_who_is_gone_depends_on_the_days_ahead_alone(seed: int, date: int) -> None:
    listeners = drawn(seed)
    known, everyone = Snapshots(activity(listeners)), np.arange(len(listeners))
    for days in HORIZONS:
        ahead = range(date, date + days)
        expected = [not any(day in one.days for day in ahead) for one in listeners]
        assert known.gone(everyone, date, days).tolist() == expected
    there = [
        i for i, one in enumerate(listeners)
        if any(date - POPULATION <= day < date for day in one.days)
    ]  # fmt: skip
    assert known.population(date).tolist() == there
    last = [max(one.days, default=0) for one in listeners]
    assert known.last_day(everyone).tolist() == last


def test_of_the_silences_as_long_as_now_some_went_on() -> None:
    days, gaps = [17_000], [1, 1, 3, 4, 8, 21]
    for gap in gaps:
        days.append(days[-1] + gap)
    for recency in (1, 3, 4, 7):
        (row,) = found([Listener({day: _counts() for day in days})], days[-1] + recency)
        told = dict(zip(FEATURES, row.tolist(), strict=True))
        as_long = [gap for gap in gaps if gap >= recency]
        assert told["silence_share"] == pytest.approx(len(as_long) / (len(gaps) + 2))
        for more in (3, 7, 14):
            longer = sum(gap >= recency + more for gap in gaps)
            assert told[f"stays_silent_{more}"] == pytest.approx(longer / (len(as_long) + 2))


def test_other_listeners_change_nothing() -> None:
    first, second = drawn(1), drawn(2)
    alone = found(first, 17_080)
    assert np.array_equal(found([*second, *first], 17_080)[len(second) :], alone)


def test_of_nobody_and_of_nothing() -> None:
    nobody = Snapshots(activity([]))
    assert nobody.population(17_000).size == 0
    rows = found([Listener()], 17_000)
    told = dict(zip(FEATURES, rows[0].tolist(), strict=True))
    assert all(told[name] == LOOK_BACK + 1 for name in FEATURES if name.startswith("recency_p"))
    assert told["recency"] == LOOK_BACK + 1
    assert told["age"] == told["plays_30"] == 0
    assert np.isfinite(rows).all()


@given(seed=SEEDS, date=DATES)
def test_what_comes_after_the_days_ahead_changes_no_label(seed: int, date: int) -> None:
    listeners, everyone = drawn(seed), np.arange(4)
    for days in HORIZONS:
        known = Snapshots(activity(listeners)).gone(everyone, date, days)
        for change, expected in (
            ({date + days: _counts()}, known.tolist()),
            ({date - 1: _counts()}, known.tolist()),
            ({date: _counts()}, [False] * 4),
            ({date + days - 1: _counts()}, [False] * 4),
        ):
            changed = [Listener(one.days | change, one.came) for one in listeners]
            assert Snapshots(activity(changed)).gone(everyone, date, days).tolist() == expected


@given(seed=SEEDS, date=DATES, place=st.integers(0, 2))
def test_a_listener_alone_is_as_among_others(seed: int, date: int, place: int) -> None:
    one, others = drawn(seed, listeners=1), drawn(seed + 1, listeners=2)
    among = [*others[:place], *one, *others[place:]]
    assert np.array_equal(found(among, date)[place], found(one, date)[0])


@pytest.mark.parametrize("ago", [1, 30, 31, 90, 91, 5000])
def test_of_a_single_day(ago: int) -> None:
    one = Listener({17_000: _counts()})
    (row,) = found([one], 17_000 + ago)
    told = dict(zip(FEATURES, row.tolist(), strict=True))
    recency = ago if ago <= LOOK_BACK else LOOK_BACK + 1
    assert told["recency"] == told["recency_plays"] == recency
    assert told["recency_searches"] == told["recency_downloads"] == LOOK_BACK + 1
    assert told["mean_gap"] == told["longest_gap"] == LOOK_BACK + 1
    assert told["age"] == min(ago, LOOK_BACK + 1)
    assert told["life_rate"] == pytest.approx(1 / ago)
    assert told["plays_30"] == told["active_30"] == (ago <= POPULATION)
    assert row.tolist() == pytest.approx(features(one, 17_000 + ago), rel=1e-5)


def test_an_account_made_after_the_date_is_not_known_yet() -> None:
    one, later = (Listener({17_000: _counts()}, came) for came in (np.nan, 17_050.0))
    assert np.array_equal(found([one], 17_010), found([later], 17_010))
    (row,) = found([Listener({}, 17_050.0)], 17_010)
    assert row[FEATURES.index("age")] == 0


def test_the_device_is_the_one_used_last_before_the_date() -> None:
    listeners = [Listener({17_000: one, 17_010: one, 17_020: one}) for one in [_counts()] * 2]
    found_ = activity(listeners)
    object.__setattr__(found_, "device", np.array([3, -1, 5, -1, -1, 7]))
    known, both = Snapshots(found_), np.arange(2)
    assert known.device(both, 17_000).tolist() == [-1, -1]
    assert known.device(both, 17_015).tolist() == [3, -1]
    assert known.device(both, 17_021).tolist() == [5, 7]


def _counts() -> dict[str, float]:
    names = ("plays", "searches", "downloads", "seconds", "full", "skips", "artists")
    return {name: float(name == "plays") for name in names}
