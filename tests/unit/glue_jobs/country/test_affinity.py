from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from glue_jobs.country import affinity
from glue_jobs.country.affinity import Regression, fit
from glue_jobs.country.packing import LocalListeners, PackedListeners
from glue_jobs.country.salience import salience
from glue_jobs.country.svd import artist_vectors, idf

REGIONS = np.array([0, 0, 1, 1])
ARTISTS = 60


def listeners(n: int = 1500, seed: int = 5) -> PackedListeners:
    """Return listeners who play artists of their country, of their region and of nobody's."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, size=n, p=[0.5, 0.2, 0.2, 0.1])
    chance = np.full((4, ARTISTS), 0.05)
    for country in range(4):
        chance[country, country * 10 : country * 10 + 10] = 0.25
        chance[country, 40 + 5 * REGIONS[country] : 45 + 5 * REGIONS[country]] = 0.3
    plays = sparse.csr_matrix((rng.random((n, ARTISTS)) < chance[labels]).astype(np.float32))
    return PackedListeners(plays, labels.astype(np.int16), rng.integers(0, 3, n).astype(np.int16))


def regression(**changes: object) -> Regression:
    return Regression(
        **{
            "regions": REGIONS,
            "folds": 3,
            "strength": 0.12,
            "iterations": 200,
            "tolerance": 1e-6,
            "min_listeners": 3,
            **changes,
        }
    )


def vectors_of(rows: PackedListeners) -> np.ndarray:
    frequency = np.asarray((rows.plays > 0).sum(axis=0)).ravel()
    weights = idf(frequency, rows.plays.shape[0])
    local = LocalListeners([rows], ARTISTS)
    return artist_vectors(local, weights, dimensions=8, iterations=5, seed=1)


def log_probabilities(rows: PackedListeners, fitted: affinity.Affinities, place: int) -> np.ndarray:
    energy = rows.plays.multiply(rows.plays) @ np.square(fitted.salience[place])
    scale = np.where(energy > 0, energy, 1)[:, None] ** -affinity.NORM_POWER
    matrix = fitted.weights[place] * fitted.salience[place][:, None]
    logits = (rows.plays @ matrix) * scale + fitted.bias[place]
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_accuracy_is_that_of_scikit_learn() -> None:
    train, test = listeners(), listeners(seed=6)
    fitted = fit(LocalListeners([train], ARTISTS), vectors_of(train), regression())
    mine = (log_probabilities(test, fitted, 3).argmax(axis=1) == test.labels).mean()
    peer = LogisticRegression(max_iter=500).fit(train.plays, train.labels)
    assert mine >= peer.score(test.plays, test.labels) - 0.005


def test_a_region_per_country_gives_the_very_fit_of_scikit_learn() -> None:
    rows = listeners()
    fitted = fit(
        LocalListeners([rows], ARTISTS),
        np.zeros((ARTISTS, 1), dtype=np.float32),
        regression(regions=np.arange(4), iterations=500, tolerance=1e-8),
    )
    energy = rows.plays.multiply(rows.plays) @ np.square(fitted.salience[3])
    x = sparse.diags(energy**-affinity.NORM_POWER) @ rows.plays @ sparse.diags(fitted.salience[3])
    strength = 0.12 * (1 + 1 / affinity.SHARED_PENALTY)  # two parts share what one would bear
    peer = LogisticRegression(C=strength, max_iter=2000, tol=1e-6).fit(x, rows.labels)
    mine = log_probabilities(rows, fitted, 3)
    assert np.abs(mine - peer.predict_log_proba(x)).max() < 0.05


def test_a_fold_never_sees_the_labels_it_leaves_out() -> None:
    rows = listeners()
    turned = PackedListeners(
        rows.plays,
        np.where(rows.folds == 1, (rows.labels + 1) % 4, rows.labels).astype(np.int16),
        rows.folds,
    )
    vectors = vectors_of(rows)
    before, after = (
        fit(LocalListeners([each], ARTISTS), vectors, regression(iterations=20))
        for each in (rows, turned)
    )
    for name in ("salience", "weights", "bias"):
        assert np.array_equal(getattr(before, name)[1], getattr(after, name)[1])
        assert not np.array_equal(getattr(before, name)[3], getattr(after, name)[3])


def test_salience_is_high_for_artists_of_one_country_and_zero_for_rare_ones() -> None:
    heard = np.array([[90, 10], [50, 50], [0, 100], [1, 1]], dtype=float)
    weights = salience(heard, np.array([500.0, 500.0]), least=3)
    assert weights[2] > weights[0] > weights[1]
    assert weights[3] == 0


def test_singular_vectors_are_those_of_scipy() -> None:
    rows = listeners()
    frequency = np.asarray((rows.plays > 0).sum(axis=0)).ravel()
    matrix = rows.plays.toarray() * idf(frequency, rows.plays.shape[0])
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    exact = np.linalg.svd(matrix)[2][:3].T
    found = vectors_of(rows)[:, :3]
    assert (
        np.abs(np.abs((exact * found).sum(axis=0)) - 1).max() < 1e-2
    )  # the third is close to the fourth
    assert found.T @ found == pytest.approx(np.eye(3), abs=1e-4)


def test_listeners_in_parts_give_the_sum_of_listeners_in_one() -> None:
    rows = listeners()
    halves = [
        PackedListeners(rows.plays[part], rows.labels[part], rows.folds[part])
        for part in (slice(0, 700), slice(700, None))
    ]
    vectors = vectors_of(rows)
    one, two = (
        fit(LocalListeners(parts, ARTISTS), vectors, regression(iterations=15))
        for parts in ([rows], halves)
    )
    assert one.weights == pytest.approx(two.weights, abs=1e-3)
