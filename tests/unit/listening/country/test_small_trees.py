from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.country.model_spec import ModelSpec
from listening.country.predictor import Model
from listening.country.small_trees import MOST_LEAVES, SmallTrees

WIDTH = 6
SPEC = ModelSpec(name="region", classes=("a", "b", "c"), columns=(5, 0, 3, 2))


def trained(*, categorical: tuple[int, ...] = (), **parameters: Any) -> lightgbm.Booster:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(1500, len(SPEC.columns))).astype(np.float32)
    features[rng.random(features.shape) < 0.1] = np.nan
    features[:, 1] = np.where(np.isnan(features[:, 1]), 0, features[:, 1].round())
    labels = (np.nan_to_num(features).sum(axis=1) > 0) + (features[:, 1] > 0)
    return lightgbm.train(
        {
            "objective": "multiclass",
            "num_class": 3,
            "min_data_in_leaf": 5,
            "num_threads": 1,
            "verbose": -1,
            **parameters,
        },
        lightgbm.Dataset(features, labels, categorical_feature=list(categorical)),
        num_boost_round=12,
    )


@pytest.fixture(scope="module", params=[2, 5, 8, 9, 31, MOST_LEAVES])
def booster(request: pytest.FixtureRequest) -> lightgbm.Booster:
    return trained(num_leaves=request.param)


NUMBERS = st.one_of(
    st.floats(-3, 3, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])
)


@given(st.lists(st.lists(NUMBERS, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_scores_are_lightgbms_own_to_the_last_bit(
    booster: lightgbm.Booster, rows: list[list[float]]
) -> None:
    trees = SmallTrees.parse(booster.model_to_string(), SPEC)
    assert trees is not None
    features = np.array(rows, dtype=np.float32)
    own = booster.predict(features[:, SPEC.columns], raw_score=True, num_threads=1)
    assert np.array_equal(trees.raw_scores(features), own)
    alone = [trees.raw_scores(row) for row in features]
    assert np.array_equal(alone, own)


def test_thresholds_divide_as_in_double_precision(booster: lightgbm.Booster) -> None:
    trees = SmallTrees.parse(booster.model_to_string(), SPEC)
    assert trees is not None
    limits = np.unique(trees.threshold[np.isfinite(trees.threshold)])
    around = np.concatenate([np.nextafter(limits, np.float32(s)) for s in (-9, 9)] + [limits])
    features = np.repeat(around[:, None], WIDTH, axis=1)
    own = booster.predict(features[:, SPEC.columns], raw_score=True, num_threads=1)
    assert np.array_equal(trees.raw_scores(features), own)


def test_a_model_of_stumps_and_single_leaves_is_read() -> None:
    booster = trained(num_leaves=2, min_data_in_leaf=700)
    trees = SmallTrees.parse(booster.model_to_string(), SPEC)
    assert trees is not None
    features = np.random.default_rng(1).normal(size=(40, WIDTH)).astype(np.float32)
    own = booster.predict(features[:, SPEC.columns], raw_score=True)
    assert np.array_equal(trees.raw_scores(features), own)


@pytest.mark.parametrize(
    "parameters",
    [
        {"num_leaves": MOST_LEAVES + 6, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0},
        {"zero_as_missing": True},
        {"min_data_in_leaf": 1500},  # no tree has a node
        {"linear_tree": True},
        {"categorical": (1,)},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    ],
)
def test_what_lightgbm_has_to_evaluate_itself_is_left_to_it(parameters: dict[str, Any]) -> None:
    booster = trained(**parameters)
    text = booster.model_to_string()
    assert SmallTrees.parse(text, SPEC) is None
    features = np.random.default_rng(1).normal(size=(20, WIDTH)).astype(np.float32)
    scores = Model(SPEC, text).raw_scores(features)
    own = booster.predict(features[:, SPEC.columns], raw_score=True)
    assert np.array_equal(scores, own)


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        (r"left_child=\S+", "left_child=0"),
        (r"left_child=\S+", "left_child=900"),
        (r"right_child=-\d+", "right_child=-40"),
        (r"right_child=\S+", "right_child=-1"),
        (r"split_feature=\S+", "split_feature=9"),
        (r"threshold=\S+", "threshold=x"),
        (r"leaf_value=\S+", "leaf_value="),
        (r"num_leaves=\d+", "num_leaves=4"),
        (r"max_feature_idx=\d+", "max_feature_idx=7"),
        (r"end of trees", "end"),
    ],
)
def test_a_damaged_text_is_not_read(pattern: str, damage: str) -> None:
    text, changed = re.subn(pattern, damage, trained(num_leaves=5).model_to_string(), count=1)
    assert changed
    assert SmallTrees.parse(text, SPEC) is None


def test_a_specification_of_other_classes_is_not_read() -> None:
    text = trained(num_leaves=5).model_to_string()
    assert SmallTrees.parse(text, replace(SPEC, classes=("a", "b"))) is None
