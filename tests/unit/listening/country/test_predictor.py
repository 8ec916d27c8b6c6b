from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.synthetic_bundle import SyntheticBundle
from listening.country.bundle import Bundle, load
from listening.country.predictor import ChainPredictor, Model
from listening.errors import ArchiveError, LayoutError


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> ChainPredictor:
    folder = tmp_path_factory.mktemp("bundle")
    SyntheticBundle().write(folder)
    bundle = load(folder)
    assert isinstance(bundle, Bundle)
    return ChainPredictor(bundle)


def rows(predictor: ChainPredictor, seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, predictor.width)).astype(np.float32)


def test_scores_are_lightgbms_own_to_the_last_bit(predictor: ChainPredictor) -> None:
    features = rows(predictor, 1, 50)
    for model in (predictor.region, *predictor.country):
        scores = model.raw_scores(features)
        if model.booster is None:
            assert scores is None
            continue
        assert model._small is not None
        own = model.booster.predict(features[:, model.columns], raw_score=True)
        assert np.array_equal(scores, own)
        assert np.array_equal([model.raw_scores(row) for row in features], own)


def test_trees_that_do_not_fit_their_model_are_refused(predictor: ChainPredictor) -> None:
    spec = predictor.bundle.region
    text = predictor.bundle.text(spec)
    with pytest.raises(ArchiveError, match="the trees read"):
        Model(replace(spec, columns=spec.columns[1:]), text)
    with pytest.raises(ArchiveError, match="not a LightGBM model"):
        Model(spec, "not trees")


def test_contributions_add_up_to_the_scores(predictor: ChainPredictor) -> None:
    (row,) = rows(predictor, 2, 1)
    for model in (predictor.region, *predictor.country):
        total = model.contributions(row).sum(axis=1)
        scores = model.raw_scores(row)
        assert total == pytest.approx(0 if scores is None else scores)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_the_likeliest_are_those_of_the_full_sum(
    predictor: ChainPredictor, seed: int, n: int, k: int
) -> None:
    features = rows(predictor, seed, n)
    joint = predictor.log_joint(features)
    assert np.exp(joint).sum(axis=1) == pytest.approx(1)
    found = predictor.top_k(features, k)
    best = np.sort(np.exp(joint), axis=1)[:, ::-1][:, :k]
    assert np.array_equal(found.probabilities, best)
    assert np.array_equal(
        found.probabilities,
        np.take_along_axis(np.exp(joint), found.countries, axis=1),
    )
    for i, row in enumerate(features):
        alone = predictor.top_k_of_one(row, predictor.log_regions(row), k)
        assert np.array_equal(alone.countries[0], found.countries[i])
        assert np.array_equal(alone.probabilities[0], found.probabilities[i])
        assert alone.visited[0] == found.visited[i]


def test_a_wrong_width_is_refused(predictor: ChainPredictor) -> None:
    with pytest.raises(LayoutError, match=f"expects {predictor.width}"):
        predictor.log_regions(np.zeros((1, predictor.width - 1), dtype=np.float32))
