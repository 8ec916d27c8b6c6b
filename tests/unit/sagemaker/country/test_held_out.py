"""Calibration sees no answer to a listener that the answering part has learned from."""

from __future__ import annotations

import numpy as np
import pytest

from country import held_out
from country.features import Listeners
from country.held_out import HeldOut
from listening.country.model_spec import ModelSpec
from listening.country.predictor import Model

CLASSES = ("DK", "SE")
BASED = ModelSpec(name="flat", classes=CLASSES, columns=(), base_columns=(0, 1))
TREES_ONLY = ModelSpec(name="flat", classes=CLASSES, columns=(0,))
ALONE = ModelSpec(name="country-oceania", classes=("AU",), columns=())


def listeners(n: int, first: float) -> Listeners:
    """Return listeners whose one feature counts up."""
    features = np.arange(first, first + n, dtype=np.float32)[:, None]
    return Listeners(
        np.array([f"u{i}" for i in range(n)]), np.resize(np.array(CLASSES), n), features
    )


class Scored(Model):
    """A model whose trees answer with the feature itself."""

    def raw_scores(self, features: np.ndarray) -> np.ndarray:
        return np.repeat(features, 2, axis=1).astype(np.float64)


def test_trees_are_not_asked_about_listeners_they_learned_from():
    found = HeldOut.of(listeners(3, 10), listeners(2, 100), [BASED, ALONE])
    assert found.training == 3
    assert found.features[:, 0].tolist() == [10, 11, 12, 100, 101]
    assert found.countries.tolist() == ["DK", "SE", "DK", "DK", "SE"]
    scores = found.raw_scores(Scored(BASED, None))
    assert scores is not None
    assert scores[:, 0].tolist() == [0, 0, 0, 100, 101]
    assert found.raw_scores(Model(BASED, None)) is None


@pytest.mark.parametrize("specs", [[TREES_ONLY], [BASED, TREES_ONLY]])
def test_without_affinities_validation_alone_can_tell(specs):
    found = HeldOut.of(listeners(3, 10), listeners(2, 100), specs)
    assert found.training == 0
    assert found.features[:, 0].tolist() == [100, 101]


def test_many_training_listeners_are_thinned_evenly(monkeypatch):
    monkeypatch.setattr(held_out, "TRAINING_LISTENERS", 4)
    found = HeldOut.of(listeners(10, 0), listeners(1, 100), [BASED])
    assert found.features[:, 0].tolist() == [0, 3, 6, 9, 100]
