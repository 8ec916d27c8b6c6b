"""Families fitted: honest odds, no bots, a risk that rises with silence; and which is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from churn.data import FeaturesManifest, Snapshots, joined, read_snapshots
from churn.evaluation import choose
from churn.fitting import (
    Growing,
    Recipe,
    best_rounds,
    fit_logistic,
    fit_recency,
    fit_trees,
    straight_line,
)
from churn.single import Given, log_loss
from hosts import Machine
from job import Job
from listening.churn.features import FEATURES
from listening.churn.models import probability
from listening.errors import DataError
from tests.unit.sagemaker.churn.conftest import BOT, HORIZONS

if TYPE_CHECKING:
    from pathlib import Path

    from listening.churn.models import Calibrated


@pytest.fixture(scope="module")
def given(snapshots_run: Path) -> Given:
    channels = {"features": snapshots_run / "manifest"} | {
        split: snapshots_run / "snapshots" / f"split={split}"
        for split in ("train", "validation", "rest", "test")
    }
    folder = snapshots_run / "unused"
    return Given.of(
        Job(hyperparameters={}, channels=channels, model_folder=folder, output_folder=folder)
    )


@pytest.fixture(scope="module")
def test(snapshots_run: Path, given: Given) -> Snapshots:
    return read_snapshots(snapshots_run / "snapshots" / "split=test", given.manifest)


def how(given: Given) -> Growing:
    recipe = Recipe(min_data_in_leaf=30, learning_rate=0.1, max_rounds=80)
    return Growing(columns=given.manifest.columns, recipe=recipe, seed=1, machine=Machine())


@pytest.fixture(scope="module")
def families(given: Given) -> dict[str, Calibrated]:
    rows, place, days = given.everything, 1, HORIZONS[1]
    rounds, _ = best_rounds(given.train, place, how(given))
    return {
        "recency": fit_recency(rows, place, days),
        "logistic": fit_logistic(rows, place, days, penalty=300.0),
        "trees": fit_trees(rows, place, days, how(given), rounds),
    }


@pytest.mark.parametrize("family", ["recency", "logistic", "trees"])
def test_a_family_says_as_many_are_gone_as_are(
    families: dict[str, Calibrated], test: Snapshots, family: str
) -> None:
    risk, gone = probability(families[family].log_odds(test.rows)), test.gone[:, 1]
    assert risk.mean() == pytest.approx(gone.mean(), abs=0.06)
    base = log_loss(gone, np.full(len(gone), gone.mean())).mean()
    assert log_loss(gone, risk).mean() < 0.9 * base


def test_the_risk_by_trees_rises_with_silence(
    families: dict[str, Calibrated], test: Snapshots
) -> None:
    rows = np.repeat(test.rows[:40], 30, axis=0)
    for name in ("recency", "recency_plays"):
        rows[:, FEATURES.index(name)] = np.tile(np.arange(1, 31), 40)
    odds = families["trees"].log_odds(np.ascontiguousarray(rows)).reshape(40, 30)
    assert (np.diff(odds, axis=1) >= -1e-9).all()
    assert (odds[:, -1] > odds[:, 0]).any()


def test_bots_are_flagged_and_not_learned_from(given: Given, snapshots_run: Path) -> None:
    manifest = FeaturesManifest.read(snapshots_run / "manifest")
    splits = [
        read_snapshots(snapshots_run / "snapshots" / f"split={split}", manifest)
        for split in ("train", "validation", "rest", "test")
    ]
    of_bot = [split.user_ids[split.listener] == BOT for split in splits]
    assert sum(map(np.sum, of_bot)) > 0
    for split, rows in zip(splits, of_bot, strict=True):
        assert (split.is_bot >= rows * (split.feature("plays_30") > 5_000)).all()
        assert not split.is_bot[~rows].any()
    assert not given.everything.is_bot.any()


def test_splits_are_joined_by_listener(given: Given) -> None:
    rows = joined([given.train, given.rest])
    assert len(rows) == len(given.train) + len(given.rest)
    names = np.concatenate([part.user_ids[part.listener] for part in (given.train, given.rest)])
    assert np.array_equal(rows.user_ids[rows.listener], names)


def test_the_last_weeks_set_the_odds_right(given: Given) -> None:
    rows = given.everything
    shifted = rows.gone.copy()
    last = rows.date > rows.date.max() - 28
    shifted[last] |= np.random.default_rng(0).random(shifted[last].shape) < 0.4
    later = Snapshots(**{**vars(rows), "gone": shifted})
    model = fit_recency(later, 1, HORIZONS[1])
    risk = probability(model.log_odds(rows.rows))
    assert risk.mean() > probability(model.model.log_odds(rows.rows)).mean()
    slope, shift = straight_line(
        np.array([-1.0, -1.0, 1.0, 1.0] * 9), np.array([0, 1, 1, 1] * 9) > 0
    )
    assert slope > 0
    assert (slope, shift) != (1.0, 0.0)
    assert straight_line(np.array([-1.0, 1.0] * 9), np.array([True, False] * 9)) == (1.0, 0.0)


def test_where_nobody_is_gone_there_is_nothing_to_learn(given: Given) -> None:
    rows = given.train
    nobody = Snapshots(**{**vars(rows), "gone": np.zeros_like(rows.gone)})
    with pytest.raises(DataError, match="0 are gone for 14 days: there is nothing to learn"):
        fit_logistic(nobody, 1, HORIZONS[1], penalty=300.0)


def test_the_simpler_family_is_chosen_where_chance_decides() -> None:
    rng = np.random.default_rng(0)
    listener = np.repeat(np.arange(300), 4)
    true = rng.beta(1, 2, len(listener))
    gone = rng.random(len(listener)) < true
    flat = np.full(len(gone), gone.mean())
    noisy = probability(np.log(true / (1 - true)) + 0.01)
    chosen, tried = choose({"recency": flat, "logistic": noisy, "trees": true}, gone, listener)
    assert chosen == "logistic"
    assert [one["family"] for one in tried] == ["recency", "logistic", "trees"]
    assert tried[0]["beyond_best"]["low"] > 0
    chosen, _ = choose({"recency": flat, "logistic": flat, "trees": flat}, gone, listener)
    assert chosen == "recency"
    chosen, _ = choose({"recency": flat, "logistic": flat, "trees": true}, gone, listener)
    assert chosen == "trees"
