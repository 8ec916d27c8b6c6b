"""Metrics agree with scikit-learn where it has them, and with hand-made cases where not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from listening import metrics
from listening.country.chain import log_softmax
from listening.errors import DataError
from listening.metrics import Outcomes, Population


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(3)
    n, classes = 700, 14
    true = rng.choice(classes, size=n, p=rng.dirichlet(np.full(classes, 0.8)))
    true[:classes] = np.arange(classes)
    log_p = log_softmax(rng.normal(size=(n, classes)) + 2 * np.eye(classes)[true])
    return log_p, true, np.bincount(true, minlength=classes) * 8


def test_summary_agrees_with_scikit_learn(case):
    log_p, true, counts = case
    outcomes = Outcomes.of(log_p, true)
    got = metrics.summary(outcomes, Population(counts))
    labels = np.arange(log_p.shape[1])
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        true, log_p.argmax(axis=1), average="macro", zero_division=0
    )
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(true, log_p.argmax(axis=1)))
    assert got["macro_precision"] == pytest.approx(precision)
    assert got["macro_recall"] == pytest.approx(recall)
    assert got["macro_f1"] == pytest.approx(f1)
    assert got["log_loss"] == pytest.approx(sk.log_loss(true, np.exp(log_p), labels=labels))
    assert got["top5"] == pytest.approx(sk.top_k_accuracy_score(true, log_p, k=5, labels=labels))
    assert got["top3"] == pytest.approx(sk.top_k_accuracy_score(true, log_p, k=3, labels=labels))
    brier = ((np.exp(log_p) - np.eye(len(labels))[true]) ** 2).sum(axis=1).mean()
    assert got["brier"] == pytest.approx(brier)
    np.testing.assert_array_equal(
        metrics.confusion(outcomes, len(labels)),
        sk.confusion_matrix(true, log_p.argmax(axis=1), labels=labels),
    )


def test_table_by_class_agrees_with_scikit_learn(case):
    log_p, true, _ = case
    predicted = log_p.argmax(axis=1)
    table = metrics.by_class(Outcomes.of(log_p, true), log_p.shape[1])
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        true, predicted, zero_division=0
    )
    np.testing.assert_allclose(table.precision, precision)
    np.testing.assert_allclose(table.recall, recall)
    np.testing.assert_allclose(table.f1, f1)
    np.testing.assert_array_equal(table.listeners, support)
    one = sk.accuracy_score(true == 2, predicted == 2)
    assert table.accuracy[2] == pytest.approx(one)


def test_tail_and_top_are_taken_from_the_training_counts(case):
    log_p, true, counts = case
    got = metrics.summary(Outcomes.of(log_p, true), Population(counts))
    tail = np.argsort(counts, kind="stable")[:10]
    top = np.argsort(counts, kind="stable")[::-1][:10]
    predicted = log_p.argmax(axis=1)
    in_tail, in_top = np.isin(true, tail), np.isin(true, top)
    five = (np.argsort(-log_p, axis=1)[:, :5] == true[:, None]).any(axis=1)
    assert got["tail10_accuracy"] == pytest.approx((predicted == true)[in_tail].mean())
    assert got["tail10_top5"] == pytest.approx(five[in_tail].mean())
    assert got["top10_accuracy"] == pytest.approx((predicted == true)[in_top].mean())


def test_a_weight_counts_a_listener_as_often(case):
    log_p, true, counts = case
    outcomes = Outcomes.of(log_p, true)
    weights = np.random.default_rng(0).integers(0, 4, len(true)).astype(float)
    repeated = outcomes[np.repeat(np.arange(len(true)), weights.astype(int))]
    population = Population(counts, np.arange(len(counts)) // 3)
    assert metrics.summary(outcomes, population, weights=weights) == pytest.approx(
        metrics.summary(repeated, population)
    )


def test_ranks_break_ties_as_the_answer_does():
    outcomes = Outcomes.of(np.log(np.full((3, 4), 0.25)), [0, 2, 3])
    assert outcomes.predicted.tolist() == [0, 0, 0]
    assert outcomes.rank.tolist() == [0, 2, 3]


def test_hierarchical_precision_counts_the_right_region_half():
    log_p = log_softmax(10 * np.eye(4))
    got = metrics.summary(
        Outcomes.of(log_p, [0, 0, 0, 3]), Population(np.ones(4), np.array([0, 0, 1, 1]))
    )
    # right; right region only; neither; right
    assert got["hierarchical_precision"] == got["hierarchical_recall"] == (1 + 0.5 + 0 + 1) / 4


def test_ece_of_a_calibrated_and_of_an_overconfident_model():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.1, 0.9, 60_000)
    hit = rng.random(60_000) < confidence
    assert metrics.reliability(confidence, hit).ece < 0.01
    assert metrics.reliability(confidence + 0.1, hit).ece == pytest.approx(0.1, abs=0.01)
    limit = metrics.calibrated_ece(confidence, draws=100)
    assert metrics.reliability(confidence, hit).ece < limit < 0.01


def test_reliability_bins_have_equal_mass():
    curve = metrics.reliability(np.linspace(0, 1, 31), np.ones(31), bins=15)
    assert set(curve.listeners.tolist()) == {2, 3}
    assert (np.diff(curve.confidence) > 0).all()


def test_entropy_counts_effective_classes():
    assert np.exp(metrics.entropy([5, 5, 0, 5])) == pytest.approx(3)
    assert metrics.entropy([7]) == 0


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="empty"):
        Outcomes.of(np.zeros((0, 3)), [])
