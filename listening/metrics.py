"""How good answers are: one definition of every metric, for report, gate, benchmarks and tests.

A model's answers are first reduced to what it said about each listener (`Outcomes`); every metric
is then a weighted sum over listeners, so that a bootstrap only redraws weights.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from listening.errors import DataError

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

TAIL = 10
"""How many of the countries with the fewest (most) training listeners are the tail (the top)."""
BINS = 15
"""Bins of equal mass for calibration."""

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})
"""Metrics of which less is more."""


@dataclass(frozen=True)
class Outcomes:
    """What a model said about each listener; arrays of shape ``(n_listeners,)``.

    Parameters
    ----------
    true
        The listener's class.
    predicted
        The likeliest class; the first among equals.
    rank
        Place of the true class among the answers, 0 for the likeliest.
    log_loss
        Minus the logarithm of the true class's probability, in nats.
    brier
        Squared distance between the probabilities and the truth, 0 to 2.
    confidence
        Probability of the likeliest class.
    """

    true: IndexArray
    predicted: IndexArray
    rank: IndexArray
    log_loss: FloatArray
    brier: FloatArray
    confidence: FloatArray

    @classmethod
    def of(cls, log_probabilities: npt.ArrayLike, true: npt.ArrayLike) -> Outcomes:
        """Judge log-probabilities ``(n_listeners, n_classes)`` by true classes ``(n_listeners,)``.

        Raises
        ------
        DataError
            There is no listener, or a true class is outside the model's classes.
        """
        log_p = np.asarray(log_probabilities, dtype=np.float64)
        y = np.asarray(true, dtype=np.intp)
        if not len(y):
            raise DataError("no listener to judge a model by: the split is empty")
        if y.min() < 0 or y.max() >= log_p.shape[1]:
            raise DataError("a listener's class is not among the model's classes")
        p = np.exp(log_p)
        own = np.take_along_axis(log_p, y[:, None], axis=1)
        before = np.arange(log_p.shape[1]) < y[:, None]
        p_own = np.exp(own[:, 0])
        return cls(
            true=y,
            predicted=log_p.argmax(axis=1),
            rank=((log_p > own) | ((log_p == own) & before)).sum(axis=1),
            log_loss=-own[:, 0],
            brier=(p * p).sum(axis=1) - 2 * p_own + 1,
            confidence=p.max(axis=1),
        )

    def __len__(self) -> int:
        """Return the number of listeners."""
        return len(self.true)

    def __getitem__(self, rows: Any) -> Outcomes:
        """Return the outcomes of some listeners."""
        return Outcomes(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def hit(self) -> npt.NDArray[np.bool_]:
        """Whether the likeliest class is the true one."""
        right: npt.NDArray[np.bool_] = self.predicted == self.true
        return right


@dataclass(frozen=True)
class Population:
    """What is known of the classes before anyone is judged.

    Parameters
    ----------
    train_counts
        Training listeners of each class, ``(n_classes,)``.
    parents
        The region of each class, ``(n_classes,)``, for hierarchical precision and recall; None
        where classes have none.
    """

    train_counts: npt.NDArray[Any]
    parents: npt.NDArray[Any] | None = None

    @cached_property
    def tail(self) -> IndexArray:
        """The `TAIL` classes with the fewest training listeners."""
        return np.argsort(self.train_counts, kind="stable")[:TAIL]

    @cached_property
    def top(self) -> IndexArray:
        """The `TAIL` classes with the most training listeners."""
        return np.argsort(self.train_counts, kind="stable")[::-1][:TAIL]


@dataclass(frozen=True)
class ClassTable:
    """Per class, ``(n_classes,)`` each; a ratio without a denominator is 0, as in scikit-learn.

    Parameters
    ----------
    listeners
        How many are of the class.
    predicted
        How many were said to be.
    accuracy
        Share of all listeners on the right side of class against rest.
    precision, recall, f1
        As usual.
    top3, top5
        Share of the class's listeners that have it among their three, five likeliest.
    """

    listeners: FloatArray
    predicted: FloatArray
    accuracy: FloatArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    top3: FloatArray
    top5: FloatArray


def by_class(
    outcomes: Outcomes, n_classes: int, *, weights: npt.NDArray[Any] | None = None
) -> ClassTable:
    """Return the metrics of each class, each listener counted by its weight (1 if None)."""
    w = np.ones(len(outcomes)) if weights is None else weights

    def per_class(classes: IndexArray, of: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.bincount(classes, weights=of, minlength=n_classes)

    listeners = per_class(outcomes.true, w)
    predicted = per_class(outcomes.predicted, w)
    right = per_class(outcomes.true, w * outcomes.hit)
    return ClassTable(
        listeners=listeners,
        predicted=predicted,
        accuracy=_ratio(w.sum() - listeners - predicted + 2 * right, np.full(n_classes, w.sum())),
        precision=_ratio(right, predicted),
        recall=_ratio(right, listeners),
        f1=_ratio(2 * right, listeners + predicted),
        top3=_ratio(per_class(outcomes.true, w * (outcomes.rank < 3)), listeners),
        top5=_ratio(per_class(outcomes.true, w * (outcomes.rank < 5)), listeners),
    )


def _ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> FloatArray:
    ratio = np.zeros(len(denominator))
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio


def summary(
    outcomes: Outcomes, population: Population, *, weights: npt.NDArray[Any] | None = None
) -> dict[str, float]:
    """Return the metrics that models are compared by.

    Macro averages run over the classes that have listeners among the outcomes. Figures of the tail
    and the top are shares of the listeners of these classes together. Hierarchical precision and
    recall are those of Kiritchenko et al. (2005): overlap of the answer's and the truth's
    ancestors, themselves included.

    Parameters
    ----------
    outcomes
        A model's answers.
    population
        The classes.
    weights
        How often each listener counts; once if None.
    """
    w = np.ones(len(outcomes)) if weights is None else weights
    table = by_class(outcomes, len(population.train_counts), weights=w)
    present = table.listeners > 0

    def share(of: npt.NDArray[Any], classes: IndexArray | None = None) -> float:
        among = w if classes is None else w * np.isin(outcomes.true, classes)
        total = float(among.sum())
        return float((among * of).sum() / total) if total else 0.0

    result = {
        "accuracy": share(outcomes.hit),
        "top3": share(outcomes.rank < 3),
        "top5": share(outcomes.rank < 5),
        "macro_precision": float(table.precision[present].mean()),
        "macro_recall": float(table.recall[present].mean()),
        "macro_f1": float(table.f1[present].mean()),
        "macro_top5": float(table.top5[present].mean()),
        "top10_accuracy": share(outcomes.hit, population.top),
        "tail10_accuracy": share(outcomes.hit, population.tail),
        "tail10_top5": share(outcomes.rank < 5, population.tail),
        "log_loss": share(outcomes.log_loss),
        "brier": share(outcomes.brier),
    }
    if population.parents is not None:
        parent = population.parents
        same = parent[outcomes.predicted] == parent[outcomes.true]
        # Truth and answer have two ancestors each, so precision and recall share a denominator.
        overlap = share((outcomes.hit.astype(float) + same) / 2)
        result |= {"hierarchical_precision": overlap, "hierarchical_recall": overlap}
    return result


@dataclass(frozen=True)
class Reliability:
    """Bins of equal mass by confidence, ``(n_bins,)`` each."""

    confidence: FloatArray
    accuracy: FloatArray
    listeners: IndexArray

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of accuracy from confidence."""
        return float(
            (self.listeners * np.abs(self.confidence - self.accuracy)).sum() / self.listeners.sum()
        )


def reliability(
    confidence: npt.NDArray[Any], hit: npt.NDArray[Any], *, bins: int = BINS
) -> Reliability:
    """Return how often answers of a confidence were right, in bins of equal mass."""
    order = np.argsort(confidence, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    return Reliability(
        confidence=np.array([confidence[group].mean() for group in groups]),
        accuracy=np.array([hit[group].mean() for group in groups]),
        listeners=np.array([len(group) for group in groups], dtype=np.intp),
    )


def calibrated_ece(
    confidence: npt.NDArray[Any],
    *,
    bins: int = BINS,
    quantile: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> float:
    """Return the quantile of the ECE that a perfectly calibrated model of these answers would have.

    Even such a model has an ECE above 0 on finitely many listeners: its hits are drawn from its
    own confidences.
    """
    rng = np.random.default_rng(seed)
    errors = [
        reliability(confidence, rng.random(len(confidence)) < confidence, bins=bins).ece
        for _ in range(draws)
    ]
    return float(np.quantile(errors, quantile))


def confusion(outcomes: Outcomes, n_classes: int) -> IndexArray:
    """Return counts ``(n_classes, n_classes)``: rows are true classes, columns the answers."""
    flat = np.bincount(
        outcomes.true * n_classes + outcomes.predicted, minlength=n_classes * n_classes
    )
    return flat.reshape(n_classes, n_classes)


def entropy(counts: npt.ArrayLike) -> float:
    """Return the entropy of a distribution given by counts, in nats; its exponent is the effective
    number of classes.
    """  # noqa: D205
    n = np.asarray(counts, dtype=np.float64)
    p = n[n > 0] / n.sum()
    return max(0.0, float(-(p * np.log(p)).sum()))
