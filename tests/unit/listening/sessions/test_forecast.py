"""Quantiles to seconds and to probabilities: in order, within bounds, and one the other's turn."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.sessions.forecast import (
    LEVELS,
    MEDIAN,
    PRIOR,
    PRIOR_MEDIAN_S,
    gains,
    longer_than,
    remaining_seconds,
    root,
    seconds,
)

TIMES = st.floats(0.0, 2 * 86_400.0).map(lambda time: round(time, 3))
QUANTILES = st.lists(TIMES, min_size=9, max_size=9).map(sorted)
APART = st.lists(TIMES, min_size=9, max_size=9, unique=True).map(sorted)


@given(QUANTILES, st.lists(TIMES, min_size=2, max_size=20).map(sorted))
def test_a_longer_time_is_never_more_probable(quantiles: list[float], limits: list[float]) -> None:
    found = [longer_than(quantiles, limit) for limit in limits]
    assert all(0.0 <= p <= 1.0 for p in found)
    assert all(later <= sooner + 1e-12 for sooner, later in pairwise(found))


@given(APART)
def test_it_is_what_each_quantile_says(quantiles: list[float]) -> None:
    for level, quantile in zip(LEVELS, quantiles, strict=True):
        assert longer_than(quantiles, quantile) == pytest.approx(1 - level, abs=1e-9)


@given(APART, st.floats(0.0, 1.0))
def test_between_quantiles_it_is_even_in_the_root(quantiles: list[float], share: float) -> None:
    low, high = map(math.sqrt, quantiles[3:5])
    limit = min((low + share * (high - low)) ** 2, quantiles[4])
    assert longer_than(quantiles, limit) == pytest.approx(0.6 - 0.1 * share, abs=1e-4)


def test_every_time_is_longer_than_none() -> None:
    assert longer_than(PRIOR, 0.0) == 1.0
    assert longer_than(PRIOR, PRIOR[0] / 4) == pytest.approx(0.95)


def test_beyond_the_last_quantile_it_falls_as_before_it() -> None:
    last, middle = PRIOR[-1], PRIOR[MEDIAN]
    one, two = (longer_than(PRIOR, last + n * (last - middle)) for n in (1, 2))
    # From the median to the last quantile it falls from 0.5 to 0.1, to a fifth.
    assert (one, two) == pytest.approx((0.02, 0.004))
    assert longer_than(PRIOR, 1e9) == pytest.approx(0.0, abs=1e-12)


def test_quantiles_that_are_all_one_leave_no_tail() -> None:
    assert longer_than([600.0] * 9, 599.0) > 0.9
    assert longer_than([600.0] * 9, 600.0) == longer_than([600.0] * 9, 601.0) == 0.0


def test_quantiles_may_be_neighbouring_numbers() -> None:
    limit = 1_800.0
    quantiles = [limit] * 4 + [math.nextafter(limit, math.inf)] * 5
    assert 0.1 <= longer_than(quantiles, limit) <= 0.6


def test_before_any_training_lengths_are_log_normal() -> None:
    assert PRIOR[MEDIAN] == PRIOR_MEDIAN_S
    assert list(PRIOR) == sorted(PRIOR)
    logs = np.log(PRIOR)
    np.testing.assert_allclose(logs - logs[MEDIAN], (logs[MEDIAN] - logs)[::-1], atol=1e-12)


ROOTS = st.lists(st.lists(st.floats(-2.0, 8.0), min_size=9, max_size=9), min_size=1, max_size=5)


@given(ROOTS)
def test_seconds_never_cross_and_are_never_negative(roots: list[list[float]]) -> None:
    found = seconds(np.array(roots))
    assert found.shape == (len(roots), 9)
    assert (found >= 0).all()
    assert (np.diff(found, axis=1) >= 0).all()
    for row, own in zip(found, roots, strict=True):
        assert row == pytest.approx(sorted(max(each, 0.0) ** 2 * 3_600 for each in own))


@given(QUANTILES)
def test_roots_are_turned_into_the_seconds_that_they_are_of(times: list[float]) -> None:
    assert seconds(root(times)) == pytest.approx(times, abs=1e-9)
    assert root([3_600.0, 14_400.0]).tolist() == [1.0, 2.0]


@given(ROOTS, TIMES)
def test_what_remains_never_crosses_and_is_never_negative(
    gain: list[list[float]], elapsed: float
) -> None:
    found = remaining_seconds(np.array(gain), np.full(len(gain), elapsed))
    assert found.shape == (len(gain), 9)
    assert (found >= 0).all()
    assert (np.diff(found, axis=1) >= 0).all()


@given(QUANTILES, TIMES)
def test_gains_are_turned_into_what_remains(remaining: list[float], elapsed: float) -> None:
    gain = gains(np.array(remaining), np.full(9, elapsed))
    (found,) = remaining_seconds(gain[None], np.array([elapsed]))
    assert found == pytest.approx(remaining, rel=1e-6, abs=1e-6)
    assert gains(np.array([10_800.0]), np.array([3_600.0])).tolist() == [1.0]
