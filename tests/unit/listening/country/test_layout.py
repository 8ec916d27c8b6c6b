from __future__ import annotations

import pytest

from listening.country.layout import Block, FeatureLayout
from listening.country.model_spec import ModelSpec
from listening.errors import ArchiveError, LayoutError

LAYOUT = FeatureLayout(
    (Block("vector", 3), Block("affinity", 2, ("DE", "FR")), Block("log_list_length", 1))
)


def test_names_and_places() -> None:
    assert LAYOUT.width == 6
    assert LAYOUT.names == [
        "vector[0]", "vector[1]", "vector[2]", "affinity[DE]", "affinity[FR]", "log_list_length",
    ]  # fmt: skip
    assert LAYOUT.columns("affinity").tolist() == [3, 4]
    assert LAYOUT.columns("affinity", ["FR"]).tolist() == [4]
    assert LAYOUT.has("vector")
    assert not LAYOUT.has("lift")


def test_round_trip() -> None:
    assert FeatureLayout.from_json(LAYOUT.to_json()) == LAYOUT


@pytest.mark.parametrize("document", [None, [{"name": "a"}], [{"name": "a", "width": "x"}], [1]])
def test_refuses_other_documents(document: object) -> None:
    with pytest.raises(LayoutError):
        FeatureLayout.from_json(document)


def test_errors_name_the_block() -> None:
    with pytest.raises(LayoutError, match="'lift'"):
        LAYOUT.columns("lift")
    with pytest.raises(LayoutError, match="IT"):
        LAYOUT.columns("affinity", ["DE", "IT"])
    with pytest.raises(LayoutError, match="different names"):
        FeatureLayout((Block("a", 1), Block("a", 1)))
    with pytest.raises(LayoutError, match="width 2 and 1 labels"):
        Block("a", 2, ("x",))


def test_model_spec_round_trip_and_refusals() -> None:
    spec = ModelSpec("region", ("a", "b"), (0, 1), (2, 3), 2.0, (0.1, -0.1), "m.txt", 7)
    assert ModelSpec.from_json(spec.to_json()) == spec
    with pytest.raises(ArchiveError, match="bias has 1 entries for 2 classes"):
        ModelSpec("region", ("a", "b"), (0,), bias=(1.0,))
    with pytest.raises(ArchiveError, match="no classes"):
        ModelSpec("region", (), ())
    with pytest.raises(ArchiveError, match="not a model specification"):
        ModelSpec.from_json({"name": "region"})
