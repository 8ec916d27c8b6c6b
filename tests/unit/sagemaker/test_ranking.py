"""Measures of a ranking: scikit-learn's, and with listeners' weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from ranking import Ranking


@given(seed=st.integers(0, 1_000), levels=st.sampled_from([2, 5, 1_000]))
def test_measures_are_those_of_scikit_learn(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    score = rng.integers(0, levels, n).astype(float)
    positive = rng.random(n) < 0.4
    positive[:2] = True, False
    owner = rng.integers(0, 5, n)
    weights = rng.integers(1, 4, 5).astype(float)
    ranking = Ranking(score, positive, owner)
    for of_owner in (None, weights):
        of_row = None if of_owner is None else of_owner[owner]
        auc = roc_auc_score(positive, score, sample_weight=of_row)
        precision = average_precision_score(positive, score, sample_weight=of_row)
        assert ranking.auc(of_owner) == pytest.approx(auc)
        assert ranking.average_precision(of_owner) == pytest.approx(precision)


def test_gain_and_curve() -> None:
    score, positive = np.arange(10.0)[::-1], np.arange(10) < 3
    ranking = Ranking(score, positive, np.zeros(10, dtype=np.int64))
    assert ranking.gain(0.1) == pytest.approx(1 / 3)
    assert ranking.gain(0.3) == ranking.gain(1.0) == 1.0
    across, up = ranking.curve()
    assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)
    alike = Ranking(np.zeros(10), positive, np.zeros(10, dtype=np.int64))
    assert alike.gain(0.1) == pytest.approx(0.1)


def test_of_one_kind_there_is_nothing_to_tell_apart() -> None:
    owner = np.zeros(3, dtype=np.int64)
    assert np.isnan(Ranking(np.arange(3.0), np.ones(3, dtype=bool), owner).auc())
    assert np.isnan(Ranking(np.arange(3.0), np.zeros(3, dtype=bool), owner).average_precision())
