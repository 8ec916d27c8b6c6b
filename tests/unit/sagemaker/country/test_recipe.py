"""Settings: shipped by level and amount of data, overridden by hyperparameters."""

from __future__ import annotations

import json

import pytest

from country.recipe import DEFAULTS, Recipe, recipe_for
from listening.errors import DataError


def test_little_data_gets_few_rounds_and_much_data_stops_early():
    little = recipe_for("country", listeners=900, effective_classes=3.0)
    much = recipe_for("country", listeners=90_000, effective_classes=10.0)
    assert (little.max_rounds, little.early_stopping_rounds) == (20, 0)
    assert much.max_rounds > 20
    assert much.early_stopping_rounds > 0


def test_a_hyperparameter_overrides_a_default():
    changed = recipe_for(
        "region",
        listeners=10,
        effective_classes=1.0,
        hyperparameters={"num_leaves": "9", "blocks": "vector,affinity", "base": ""},
    )
    assert changed.num_leaves == 9
    assert changed.blocks == ("vector", "affinity")
    assert changed.base == ""


@pytest.mark.parametrize("level", ["region", "country", "flat"])
def test_every_shipped_tier_is_valid(level):
    document = json.loads(DEFAULTS.read_text("utf-8"))[level]
    for tier in [{"from_listeners_per_class": 0}, *document["tiers"]]:
        n = tier["from_listeners_per_class"]
        assert isinstance(recipe_for(level, listeners=n, effective_classes=1.0), Recipe)


def test_a_value_out_of_its_range_is_named():
    with pytest.raises(DataError, match="'prior_power' is out of its range: 3"):
        Recipe(blocks=("vector",), prior_power=3)


def test_lightgbm_is_deterministic():
    found = Recipe(blocks=("vector",)).lightgbm(n_classes=3, seed=4, num_threads=2)
    assert found["deterministic"]
    assert found["seed"] == 4
    assert found["num_class"] == 3
