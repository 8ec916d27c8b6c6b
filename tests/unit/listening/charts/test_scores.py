"""Scores and lists: what one account can do, ties, small places, and how lists are judged."""

from __future__ import annotations

import numpy as np
import pytest

from listening.charts.judging import MEASURES, judged
from listening.charts.parts import HALF_LIVES, PARTS, WINDOWS, parts_before
from listening.charts.scores import METHODS, best, enough, score, shrunk, trend
from tests.unit.listening.charts.test_parts import heard

DATE, LISTENERS, TRACKS = 400, 60, 80
SPAMMED = TRACKS


def log(*, plays: int, accounts: int = 1) -> list[tuple[float, ...]]:
    """Return what people hear, and accounts that play one track only, so often each."""
    rng = np.random.default_rng(0)
    rows: list[tuple[float, ...]] = [
        (owner, int(TRACKS * rng.random() ** 2), DATE - int(rng.integers(1, 40)),
         int(rng.integers(1, 6)), 200.0, 0, 0)
        for owner in range(LISTENERS) for _ in range(40)
    ]  # fmt: skip
    spam = [(LISTENERS + i, SPAMMED, DATE - 1, plays, 200.0 * plays, 0, 0) for i in range(accounts)]
    return rows + spam


def rank_of_spam(method: str, window: str, *, plays: int, accounts: int = 1, least: int = 1) -> int:
    """Return the rank from 1 of the track that accounts play, beyond all tracks if it has none."""
    some = heard(log(plays=plays, accounts=accounts))
    pairs, parts = parts_before(some, DATE, window=WINDOWS[window], half_life=HALF_LIVES[window])
    track = some.track[some.firsts[pairs]]
    table = np.zeros((TRACKS + 1, len(PARTS)))
    np.add.at(table, track, parts)
    may = enough(table, method=method, least=least)
    rows = best(table, score(table, method), may, most=TRACKS + 1).tolist()
    return rows.index(SPAMMED) + 1 if SPAMMED in rows else TRACKS + 1


@pytest.mark.parametrize("window", WINDOWS)
def test_one_account_with_ten_thousand_plays_does_not_reach_the_top_ten(window: str) -> None:
    for method in ("decayed", "listeners", "capped"):
        assert rank_of_spam(method, window, plays=10_000) > 10
        assert rank_of_spam(method, window, plays=10_000) == rank_of_spam(method, window, plays=100)
    assert rank_of_spam("decayed", window, plays=100) > 50
    for method in ("plays", "published"):  # what is followed is taken in by it
        assert rank_of_spam(method, window, plays=10_000) == 1


def test_a_least_number_of_listeners_keeps_a_few_accounts_out() -> None:
    assert rank_of_spam("decayed", "week", plays=100, accounts=5, least=6) == TRACKS + 1
    assert rank_of_spam("decayed", "week", plays=100, accounts=5, least=5) <= TRACKS


def table(**columns: list[float]) -> np.ndarray:
    n = len(next(iter(columns.values())))
    return np.column_stack([columns.get(name, [0.0] * n) for name in PARTS]).astype(float)


def test_the_published_score_is_the_recipes() -> None:
    parts = table(plays=[9], listeners=[2], rating=[1.5], downloads=[4], searches=[1])
    assert score(parts, "published")[0] == pytest.approx(0.75 + np.log(10) + np.log(5) + np.log(2))
    weighted = score(parts, "published", weights=(2.0, 0.0, 0.0, 1.0))
    assert weighted[0] == pytest.approx(1.5 + np.log(2))


def test_rising_is_a_trend_beyond_a_few_listeners() -> None:
    parts = table(listeners=[40, 2, 40], past=[10, 0, 40])
    found = trend(parts)
    assert np.argmax(found) == 0
    assert found[2] == 0
    assert found[1] < np.log(2) < found[0]
    assert np.array_equal(score(parts, "rising"), found)


def test_ties_are_broken_by_listeners_then_plays_then_order() -> None:
    parts = table(capped=[3, 3, 3, 3, 5], listeners=[1, 2, 2, 2, 1], plays=[9, 3, 4, 4, 1])
    rows = best(parts, score(parts, "capped"), np.ones(5, dtype=bool), most=9)
    assert rows.tolist() == [4, 2, 3, 1, 0]
    assert best(parts, score(parts, "capped"), np.arange(5) < 2, most=1).tolist() == [1]


def test_a_small_place_is_pulled_to_the_larger_one() -> None:
    parent = table(decayed=[100, 50], plays=[400, 100])
    none = shrunk(np.zeros_like(parent), 0.0, parent, 200.0)
    assert not none.any()
    small = shrunk(table(decayed=[0, 1], plays=[0, 1]), 1.0, parent, 200.0)
    assert small[0, PARTS.index("decayed")] > small[1, PARTS.index("decayed")]
    large = shrunk(table(decayed=[0, 5_000], plays=[0, 1]), 1e4, parent, 2e4)
    assert large[1, PARTS.index("decayed")] > large[0, PARTS.index("decayed")]


def test_lists_are_judged_by_each_listener() -> None:
    # Listener 0 meets ranks 0 and 3, the latter new; 1 meets 20; 2 nothing of the list, all old.
    found = judged(
        np.array([0, 0, 0, 1, 2]),
        np.array([0, 3, -1, 20, -1]),
        np.array([False, True, True, True, False]),
        3,
    )
    told = [dict(zip(MEASURES, row, strict=True)) for row in found.tolist()]
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert told[0]["hit10"] == told[0]["hit10_new"] == 1
    assert told[0]["ndcg10"] == pytest.approx((1 + 1 / np.log2(5)) / ideal)
    assert told[0]["ndcg10_new"] == pytest.approx((1 / np.log2(5)) / (1 + 1 / np.log2(3)))
    assert (told[1]["hit10"], told[1]["hit50"]) == (0, 1)
    assert told[2]["hit50"] == 0
    assert np.isnan(told[2]["hit10_new"])


def test_every_method_scores_every_track() -> None:
    parts = table(plays=[3, 0], listeners=[2, 0], decayed=[1.5, 0.2], past=[1, 4])
    for method in METHODS:
        assert np.isfinite(score(parts, method)).all()
