"""The chain: probabilities sum to 1, early stopping loses nothing, batches change nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listening.country.chain import Chain, log_probabilities, log_softmax, softmax
from listening.country.model_spec import ModelSpec
from listening.errors import ArchiveError, LayoutError


@st.composite
def chains(draw):
    """Draw a chain, log P(region) and log P(country | region) of some listeners."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=7))
    n = draw(st.integers(1, 9))
    sharpness = draw(st.sampled_from([0.0, 0.5, 2.0, 30.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chain = Chain(
        tuple(f"r{i}" for i in range(len(sizes))),
        tuple(tuple(f"{chr(65 + i)}{chr(65 + j)}" for j in range(m)) for i, m in enumerate(sizes)),
    )
    log_regions = log_softmax(sharpness * rng.normal(size=(n, len(sizes))))
    countries = [log_softmax(sharpness * rng.normal(size=(n, m))) for m in sizes]
    noise = draw(st.sampled_from([0.0, 0.04, 0.9]))
    if noise:
        prior = rng.dirichlet(np.ones(sum(sizes)))
        chain = replace(chain, noise=noise, prior=tuple(prior.tolist()))
        shares = np.add.reduceat(prior, chain.starts)
        log_regions = np.log((1 - noise) * np.exp(log_regions) + noise * shares)
    return chain, log_regions, countries


@given(chains())
@settings(deadline=None)
def test_joint_probabilities_sum_to_one(case):
    chain, log_regions, countries = case
    joint = np.exp(chain.joint(log_regions, lambda region, rows: countries[region][rows]))
    assert joint.shape == (len(log_regions), len(chain.countries))
    np.testing.assert_allclose(joint.sum(axis=1), 1.0, atol=1e-12)


@given(chains(), st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_early_stopping_equals_the_full_sum(case, k):
    chain, log_regions, countries = case

    def score(region, rows):
        return countries[region][rows]

    top = chain.top_k(log_regions, score, k)
    full = chain.joint(log_regions, score)
    want = np.ascontiguousarray(np.sort(full, axis=1)[:, ::-1][:, :k])
    np.testing.assert_array_equal(top.probabilities, np.exp(want))
    chosen = np.take_along_axis(full, top.countries, axis=1)
    np.testing.assert_array_equal(chosen, want)
    assert all(len(set(row)) == len(row) for row in top.countries.tolist())
    assert (top.visited >= 1).all()
    assert (top.visited <= len(chain.regions)).all()


@given(chains(), st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_a_batch_answers_what_its_rows_answer_alone(case, k):
    chain, log_regions, countries = case
    batch = chain.top_k(log_regions, lambda region, rows: countries[region][rows], k)
    for i in range(len(log_regions)):
        alone, visited = chain.top_k_of_one(log_regions[i], lambda r, i=i: countries[r][i], k)
        assert [place for _, place in alone] == batch.countries[i].tolist()
        np.testing.assert_array_equal(np.exp([p for p, _ in alone]), batch.probabilities[i])
        assert visited == batch.visited[i]


def test_regions_that_cannot_matter_are_not_visited():
    chain = Chain(("a", "b", "c"), (("AA", "AB"), ("BA",), ("CA", "CB")))
    asked = []

    def score(region, rows):
        asked.append(region)
        return np.log(np.full((len(rows), len(chain.members[region])), 1 / 2))

    top = chain.top_k(np.log([[0.1, 0.05, 0.85]]), score, 2)
    assert asked == [2]
    assert [chain.countries[i] for i in top.countries[0]] == ["CA", "CB"]
    np.testing.assert_allclose(top.probabilities, [[0.425, 0.425]])


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8), st.integers(1, 30))
@settings(deadline=None)
def test_log_probabilities_of_a_row_do_not_depend_on_its_batch(seed, n, classes, extra):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, classes + extra)).astype(np.float32)
    raw = rng.normal(size=(n, classes))
    spec = ModelSpec(
        name="region",
        classes=tuple(f"c{i}" for i in range(classes)),
        columns=tuple(range(classes + extra)),
        base_columns=tuple(int(i) for i in rng.permutation(classes + extra)[:classes]),
        scale=0.9,
        bias=tuple(rng.normal(size=classes)),
    )
    batch = log_probabilities(spec, features, raw)
    np.testing.assert_allclose(np.exp(batch).sum(axis=1), 1.0, atol=1e-12)
    assert (batch <= 0).all()
    for i in range(n):
        np.testing.assert_array_equal(log_probabilities(spec, features[i], raw[i]), batch[i])
        np.testing.assert_array_equal(
            log_probabilities(spec, features[i : i + 1], raw[i : i + 1])[0], batch[i]
        )


def test_the_formula():
    spec = ModelSpec(
        name="flat",
        classes=("DE", "FR"),
        columns=(0,),
        base_columns=(2, 1),
        scale=0.5,
        bias=(0.0, 1.0),
    )
    got = log_probabilities(spec, np.array([[9.0, 3.0, 5.0]]), np.array([[1.0, -1.0]]))
    want = softmax([[0.5 * (1 + 5), 0.5 * (-1 + 3) + 1]])
    np.testing.assert_allclose(np.exp(got), want)


def test_a_model_of_one_class_is_certain():
    spec = ModelSpec(name="country-ant", classes=("AQ",), columns=())
    assert log_probabilities(spec, np.zeros((3, 4))).tolist() == [[0.0], [0.0], [0.0]]


def test_scores_that_do_not_fit_are_refused():
    spec = ModelSpec(name="region", classes=("a", "b"), columns=(0,), base_columns=(0, 7))
    with pytest.raises(LayoutError, match="shape"):
        log_probabilities(spec, np.zeros((2, 8)), np.zeros((2, 3)))
    with pytest.raises(LayoutError, match="feature 7"):
        log_probabilities(spec, np.zeros((2, 4)), np.zeros((2, 2)))


def test_a_chain_needs_every_country_once():
    with pytest.raises(ArchiveError, match="twice"):
        Chain(("a", "b"), (("DE",), ("DE",)))
    with pytest.raises(ArchiveError, match="no country model for region b"):
        Chain.of(
            ModelSpec(name="region", classes=("a", "b"), columns=()),
            {"a": ModelSpec(name="country-a", classes=("DE",), columns=())},
            {"DE": 1.0},
        )


def test_noise_mixes_the_prior_into_every_level():
    region = ModelSpec(
        name="region", classes=("a", "b"), columns=(), base_columns=(0, 1), noise=0.1,
        prior=(0.25, 0.75),
    )  # fmt: skip
    country = {
        "a": ModelSpec(name="country-a", classes=("DE",), columns=()),
        "b": ModelSpec(name="country-b", classes=("FI", "SE"), columns=(), base_columns=(2, 3)),
    }
    chain = Chain.of(region, country, {"DE": 0.25, "FI": 0.25, "SE": 0.5})
    features = np.log(np.array([[0.8, 0.2, 0.3, 0.7]]))
    log_regions = log_probabilities(region, features)
    np.testing.assert_allclose(np.exp(log_regions), [[0.9 * 0.8 + 0.025, 0.9 * 0.2 + 0.075]])
    specs = list(country.values())
    joint = np.exp(chain.joint(log_regions, lambda r, _: log_probabilities(specs[r], features)))
    want = [0.9 * 0.8 + 0.025, 0.9 * 0.2 * 0.3 + 0.025, 0.9 * 0.2 * 0.7 + 0.05]
    np.testing.assert_allclose(joint, [want])


def test_noise_needs_a_prior():
    with pytest.raises(ArchiveError, match="noise"):
        ModelSpec(name="region", classes=("a", "b"), columns=(), noise=0.1)
    with pytest.raises(ArchiveError, match="share of every country"):
        Chain(("a",), (("DE",),), noise=0.1)
