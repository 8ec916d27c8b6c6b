"""Intervals cover their figure, and pairs are compared on the same listeners."""

from __future__ import annotations

import numpy as np
import pytest

from listening.country.chain import log_softmax
from listening.errors import DataError
from listening.intervals import Interval, bootstrap
from listening.metrics import Outcomes, Population, summary


def test_bootstrap_intervals_cover_and_pair():
    rng = np.random.default_rng(1)
    true = rng.integers(0, 5, 800)
    noise = rng.normal(size=(800, 5))
    good = Outcomes.of(log_softmax(noise + 2.5 * np.eye(5)[true]), true)
    bad = Outcomes.of(log_softmax(noise + 0.5 * np.eye(5)[true]), true)
    population = Population(np.bincount(true))
    alone, paired = bootstrap(
        {"good": good, "bad": bad, "same": good},
        lambda found, weights: summary(found, population, weights=weights),
        against=[("good", "bad"), ("good", "same")],
        draws=200,
    )
    for intervals in alone.values():
        assert all(i.low <= i.value <= i.high for i in intervals.values())
    assert paired["good", "bad"]["accuracy"].low > 0
    assert paired["good", "bad"]["log_loss"].high < 0
    assert paired["good", "same"]["macro_f1"] == Interval(0.0, 0.0, 0.0)


def test_any_summary_of_anything_will_do():
    answers = {"one": np.arange(100.0), "other": np.arange(100.0) + 1}

    def mean(values, weights):
        return {"mean": float(np.average(values, weights=weights))}

    alone, paired = bootstrap(answers, mean, against=[("other", "one")], draws=50)
    assert alone["one"]["mean"].value == 49.5
    assert alone["one"]["mean"].low < 49.5 < alone["one"]["mean"].high
    difference = paired["other", "one"]["mean"]
    assert (difference.low, difference.high) == pytest.approx((1, 1))


def test_models_must_be_judged_on_the_same_listeners():
    with pytest.raises(DataError, match="the same listeners"):
        bootstrap({"a": np.zeros(3), "b": np.zeros(4)}, lambda _, __: {})
