"""Quantile trees: calibrated on validation, deterministic, the same in whatever unit."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

import hosts
from hosts import Machine
from hyperparameters import overridden
from listening.errors import DataError
from listening.sessions.bundle import QuantileModel
from listening.sessions.forecast import LEVELS, MEDIAN, root, seconds
from sessions.fitting import Data, Recipe, fit, pinball

WIDTH = 4
RECIPE = Recipe(max_rounds=40, early_stopping_rounds=10, min_data_in_leaf=20, learning_rate=0.15)


def drawn(n: int, seed: int, *, longer: float = 0.0) -> Data:
    """Return rows whose first feature tells the root of the hours, and the second its spread."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, WIDTH)).astype(np.float32)
    roots = 1.5 + 0.4 * np.tanh(features[:, 0]) + 0.3 * rng.random(n) * (1 + (features[:, 1] > 0))
    features[rng.random(features.shape) < 0.05] = np.nan
    return Data(features, (roots + longer).astype(np.float64))


TRAIN, VALIDATION = drawn(3_000, 1), drawn(1_000, 2)


def fitted(train=TRAIN, validation=VALIDATION, *, recipe=RECIPE, seed=1, threads=1, **how):
    machine = Machine(num_threads=threads)
    return fit(train, validation, recipe=recipe, seed=seed, machine=machine, **how)


def forecast(found, rows: Data) -> np.ndarray:
    model = QuantileModel(found.trees, name="start", width=WIDTH)
    return seconds(model.roots(np.ascontiguousarray(rows.features)))


def below(rows: Data, roots: np.ndarray) -> np.ndarray:
    return (rows.roots[:, None] <= roots + 1e-9).mean(axis=0)


@pytest.fixture(scope="module")
def plain():
    return fitted()


def test_each_quantile_has_its_share_of_the_validation_rows(plain):
    np.testing.assert_allclose(below(VALIDATION, plain.validation), LEVELS, atol=0.005)


@pytest.mark.parametrize("longer", [-0.5, 0.5])
def test_shares_hold_where_validation_is_unlike_training(longer):
    later = drawn(1_000, 2, longer=longer)
    found = fitted(validation=later)
    np.testing.assert_allclose(below(later, found.validation), LEVELS, atol=0.005)
    assert np.sign(found.trees.offsets[MEDIAN]) == np.sign(longer)


def test_new_rows_have_about_their_share(plain):
    rows = drawn(3_000, 3)
    np.testing.assert_allclose(below(rows, root(forecast(plain, rows))), LEVELS, atol=0.06)


def test_trees_learn_what_there_is_to_learn(plain):
    rows = drawn(2_000, 3)
    length = rows.roots**2 * 3_600
    everyone = np.tile(np.quantile(TRAIN.roots**2 * 3_600, LEVELS), (len(rows), 1))
    found = forecast(plain, rows)
    assert pinball(length, found).mean() < 0.6 * pinball(length, everyone).mean()
    wide = found[:, -1] - found[:, 0]
    assert wide[rows.features[:, 1] > 0].mean() > 1.3 * wide[rows.features[:, 1] < 0].mean()
    assert np.argmax(plain.importance) == 0
    assert len(plain.importance) == WIDTH


def test_the_same_rows_and_seed_give_the_same_text(plain):
    assert fitted().trees == plain.trees
    assert fitted(seed=2).trees.texts != plain.trees.texts


def test_the_number_of_threads_changes_nothing(monkeypatch):
    monkeypatch.setattr(hosts, "VALUES_PER_THREAD", 1_000)
    assert Machine(num_threads=2).threads_for(TRAIN.features.size) == 2
    few = replace(RECIPE, max_rounds=2)  # threads wait for each other in a busy loop
    assert fitted(recipe=few, threads=2).trees == fitted(recipe=few).trees


def test_what_is_told_of_training_fits_the_trees(plain):
    assert len(plain.rounds) == len(plain.trees.texts) == len(LEVELS)
    assert plain.validation.shape == (len(VALIDATION), len(LEVELS))
    assert all(1 <= rounds <= RECIPE.max_rounds for rounds in plain.rounds)
    for text, rounds in zip(plain.trees.texts, plain.rounds, strict=True):
        assert text.count("\nTree=") == rounds
        assert "num_threads" not in text
    assert set(plain.curve) == {"train", "validation"}
    assert np.argmin(plain.curve["validation"]) + 1 == plain.rounds[MEDIAN]


def test_standard_deviations_give_seconds_all_the_same(plain):
    found = fitted(standardise=True)
    assert found.trees.centre == pytest.approx(TRAIN.roots.mean())
    assert found.trees.scale == pytest.approx(TRAIN.roots.std())
    np.testing.assert_allclose(below(VALIDATION, found.validation), LEVELS, atol=0.005)
    rows = drawn(2_000, 3)
    ours, others = forecast(plain, rows), forecast(found, rows)
    np.testing.assert_allclose(np.median(others, axis=0), np.median(ours, axis=0), rtol=0.02)
    length = rows.roots**2 * 3_600
    loss = pinball(length, ours).mean()
    assert pinball(length, others).mean() == pytest.approx(loss, rel=0.02)


def test_lengths_that_are_all_one_are_forecast():
    flat = [replace(rows, roots=np.full(len(rows), 0.5)) for rows in (TRAIN, VALIDATION)]
    for standardise in (False, True):
        found = fitted(*flat, standardise=standardise)
        np.testing.assert_allclose(forecast(found, flat[0]), 900.0, rtol=1e-5)


def test_rows_of_two_sources_are_joined():
    both = TRAIN.and_also(VALIDATION)
    assert len(both) == len(TRAIN) + len(VALIDATION)
    np.testing.assert_array_equal(both.features[len(TRAIN) :], VALIDATION.features)
    np.testing.assert_array_equal(both.roots[: len(TRAIN)], TRAIN.roots)


def test_the_loss_is_what_each_level_weighs():
    length, quantiles = np.array([100.0, 100.0]), np.array([[80.0, 130.0], [100.0, 100.0]])
    assert pinball(length, quantiles, (0.1, 0.9)).tolist() == pytest.approx([2.5, 0.0])
    assert pinball(length, seconds(np.zeros((2, 9)))).tolist() == pytest.approx([50.0, 50.0])


OUT_OF_RANGE = {
    "learning_rate": (0.0, 1.5, float("nan")),
    "num_leaves": (1,),
    "min_data_in_leaf": (0,),
    "lambda_l2": (-1.0, float("nan")),
    "max_bin": (1, 256),
    "feature_fraction": (0.0, 1.01),
    "bagging_fraction": (0.0, 1.01),
    "bagging_freq": (-1,),
    "max_rounds": (0,),
    "early_stopping_rounds": (0,),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
def test_a_value_out_of_its_range_is_named(name, value):
    with pytest.raises(DataError, match=f"hyperparameter '{name}' is out of its range: {value}"):
        Recipe(**{name: value})
    with pytest.raises(DataError, match=f"hyperparameter '{name}' is out of its range: {value}"):
        overridden(Recipe(), {name: str(value)})


def test_every_setting_has_a_range():
    assert OUT_OF_RANGE.keys() == {field.name for field in fields(Recipe)}


def test_hyperparameters_are_texts_of_their_settings():
    found = overridden(Recipe(), {"num_leaves": "7", "lambda_l2": "0.5", "task": "start"})
    assert found == replace(Recipe(), num_leaves=7, lambda_l2=0.5)
    with pytest.raises(DataError, match="'num_leaves' must be of type int, got '7.5'"):
        overridden(Recipe(), {"num_leaves": "7.5"})


def test_lightgbm_is_deterministic():
    found = Recipe(num_leaves=9).lightgbm(level=0.3, seed=4, num_threads=2)
    assert (found["objective"], found["alpha"], found["seed"]) == ("quantile", 0.3, 4)
    assert found["deterministic"]
    assert found["num_leaves"] == 9
    assert not found.keys() & {"max_rounds", "early_stopping_rounds"}
