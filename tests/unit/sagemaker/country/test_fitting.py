"""Fitting one model: what it reads, that it is deterministic, and what it does with little data."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest

import hosts
from country import fitting
from country.features import FeaturesManifest, Listeners, read_listeners
from country.fitting import Task, country_task, fit, flat_task, region_task
from country.recipe import Recipe
from hosts import Machine
from listening.country.chain import log_probabilities
from listening.errors import DataError
from listening.trees import portable

RECIPE = Recipe(
    blocks=("vector", "affinity", "region_affinity", "absent"), max_rounds=12, base="affinity"
)


@pytest.fixture(scope="module")
def manifest(features_run) -> FeaturesManifest:
    """Read the run's manifest."""
    return FeaturesManifest.read(features_run)


@pytest.fixture(scope="module")
def splits(features_run, manifest) -> dict[str, Listeners]:
    """Read train and validation."""
    return {
        name: read_listeners(features_run / "listeners" / f"split={name}", manifest.layout)
        for name in ("train", "validation")
    }


def fitted(manifest, splits, task: Task, recipe: Recipe, **machine):
    own = tuple(task.class_of)
    return fit(
        task,
        splits["train"].of(own),
        splits["validation"].of(own),
        layout=manifest.layout,
        recipe=recipe,
        seed=1,
        machine=Machine(**machine),
    )


def test_a_country_model_sees_its_own_countries_only(manifest):
    task = country_task(manifest.regions["nordics"], manifest.train_counts)
    spec = fitting.untrained_spec(task, manifest.layout, RECIPE)
    names = [manifest.layout.names[column] for column in spec.columns]
    assert [name for name in names if name.startswith("affinity")] == [
        "affinity[FI]",
        "affinity[NO]",
        "affinity[SE]",
    ]
    assert len([name for name in names if name.startswith("vector")]) == 6
    assert [manifest.layout.names[column] for column in spec.base_columns] == [
        "affinity[FI]",
        "affinity[NO]",
        "affinity[SE]",
    ]


def test_threads_do_not_change_the_model(manifest, splits, monkeypatch):
    monkeypatch.setattr(hosts, "VALUES_PER_THREAD", 10)
    task = flat_task(manifest.regions, manifest.train_counts)
    one = fitted(manifest, splits, task, RECIPE, num_threads=1)
    two = fitted(manifest, splits, task, RECIPE, num_threads=2)
    assert one.model == two.model


def test_little_data_is_not_spread_over_threads():
    assert Machine(num_threads=8).threads_for(1000) == 1
    assert Machine(num_threads=8).threads_for(10**9) == 8


def test_the_formula_of_the_specification_is_what_lightgbm_learned(manifest, splits):
    task = flat_task(manifest.regions, manifest.train_counts)
    recipe = replace(RECIPE, prior_power=0.0, label_noise="no", early_stopping_rounds=0)
    found = fitted(manifest, splits, task, recipe)
    spec = fitting.uncalibrated(found.model.spec)
    raw = found.loaded().raw_scores(splits["validation"].features)
    log_p = log_probabilities(spec, splits["validation"].features, raw)
    true = task.labels(splits["validation"].countries)
    loss = -log_p[np.arange(len(true)), true].mean()
    assert loss == pytest.approx(found.training.curve["validation"][-1], abs=1e-6)


def test_trees_that_do_not_help_are_left_out(manifest, splits):
    task = flat_task(manifest.regions, manifest.train_counts)
    rng = np.random.default_rng(0)
    noise = dict(splits)
    shuffled = rng.permutation(splits["train"].countries)
    noise["train"] = Listeners(splits["train"].user_ids, shuffled, splits["train"].features)
    found = fitted(manifest, noise, task, replace(RECIPE, learning_rate=0.5))
    assert found.model.text is None
    assert found.model.spec.columns == ()
    assert found.model.spec.base_columns


def test_class_weights_lift_rare_classes(manifest, splits):
    task = flat_task(manifest.regions, manifest.train_counts)
    recipe = replace(RECIPE, base="", label_noise="no", prior_power=0.0, max_rounds=30)
    plain = fitted(manifest, splits, task, recipe).loaded()
    weighted = fitted(manifest, splits, task, replace(recipe, class_weights="sqrt")).loaded()
    rare = int(task.counts.argmin())
    features = splits["validation"].features
    means = [
        np.exp(model.log_probabilities(features))[:, rare].mean() for model in (plain, weighted)
    ]
    assert means[1] > means[0]


def test_few_validation_listeners_do_not_stop_early(manifest, splits, monkeypatch):
    monkeypatch.setattr(fitting, "ENOUGH_TO_STOP", 10_000)
    monkeypatch.setattr(fitting, "ROUNDS_WITHOUT_STOPPING", 4)
    task = flat_task(manifest.regions, manifest.train_counts)
    assert fitted(manifest, splits, task, RECIPE).training.rounds == 4


def test_portable_text_answers_the_same(manifest, splits):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 4)), rng.integers(0, 3, 300)
    parameters = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y), 5)
    text = portable(booster.model_to_string())
    assert "num_threads" not in text
    again = lightgbm.Booster(model_str=text)
    np.testing.assert_array_equal(again.predict(x), booster.predict(x))


def test_a_region_of_one_country_needs_no_trees(manifest, splits):
    task = country_task(manifest.regions["antarctica"], manifest.train_counts)
    found = fitted(manifest, splits, task, RECIPE)
    assert found.model.text is None
    assert found.training.rounds == 0
    assert task.effective_classes == 1


def test_a_listener_of_a_foreign_country_is_refused(manifest):
    task = region_task(manifest.regions, manifest.train_counts)
    with pytest.raises(DataError, match="listeners of ZZ"):
        task.labels(np.array(["SE", "ZZ"]))
