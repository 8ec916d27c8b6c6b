"""Ratios with intervals over listeners, and sessions that are found again by whose and when."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sessions_judging import compared, matched, share


def test_a_ratio_is_one_of_sums_and_its_interval_draws_listeners():
    rng = np.random.default_rng(0)
    listener = np.repeat(np.arange(40), rng.integers(1, 60, 40))
    theirs = rng.gamma(2, size=len(listener))
    ours = theirs * np.where(listener % 2, 0.8, 1.0)
    found = compared(ours, theirs, listener)
    assert found.ratio.value == pytest.approx(ours.sum() / theirs.sum())
    assert (found.ours, found.theirs) == pytest.approx((ours.mean(), theirs.mean()))
    assert (found.rows, found.listeners) == (len(listener), 40)
    assert 0.8 < found.ratio.low < found.ratio.value < found.ratio.high < 1.0
    shuffled = rng.permutation(len(listener))
    again = compared(ours[shuffled], theirs[shuffled], listener[shuffled])
    assert again.ratio.low == pytest.approx(found.ratio.low)


def test_where_every_listener_has_the_same_ratio_there_is_nothing_to_doubt():
    theirs = np.array([1.0, 2, 3, 4, 50])
    found = compared(0.9 * theirs, theirs, np.array(["a", "a", "b", "b", "c"]))
    assert (found.ratio.low, found.ratio.high) == pytest.approx((0.9, 0.9))
    with pytest.raises(ValueError, match="no sessions"):
        compared(theirs[:0], theirs[:0], theirs[:0])


def test_a_share_counts_sessions_not_listeners():
    found = share(np.array([True, True, True, False]), np.array([7, 7, 7, 9]))
    assert found.ratio.value == 0.75
    assert (found.ratio.low, found.ratio.high) == (0, 1)


def test_sessions_are_matched_by_listener_and_start():
    known = (np.array(["a", "a", "b"]), np.array([10.0, 20.123, 10.0]))
    asked = (np.array(["b", "a", "a", "c"]), np.array([10.0, 20.1230000001, 20.2, 10.0]))
    assert matched(asked, known).tolist() == [2, 1, -1, -1]
