"""Kinds of listeners: the nearest one, also of those of whom little is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from listening.sessions.clusters import Clusters
from listening.sessions.state import SUMMARY, State

WIDTH = len(SUMMARY)
NAN = np.nan


def clusters() -> Clusters:
    return Clusters(
        mean=np.arange(WIDTH, dtype=float),
        deviation=np.array([1.0, 2.0, 1.0, 1.0, 1.0, 10.0, 0.0]),
        centroids=np.array([[0.0] * WIDTH, [2.0] * 6 + [0.0], [-2.0] * 6 + [0.0]]),
    )


def test_summaries_are_told_in_deviations() -> None:
    summary = np.arange(WIDTH) + np.array([1.0, 1.0, 0.0, -2.0, 0.0, 5.0, 9.0])
    (found,) = clusters().standardised(summary)
    assert found.tolist() == [1.0, 0.5, 0.0, -2.0, 0.0, 0.5, 0.0]


def test_the_nearest_centroid_is_the_listeners() -> None:
    rows = clusters().mean + clusters().deviation * np.array([[0.9], [1.1], [-1.1], [50.0]])
    assert clusters().nearest(rows).tolist() == [0, 1, 2, 1]
    assert len(clusters()) == 3


def test_what_is_unknown_counts_as_the_mean() -> None:
    nothing = np.full(WIDTH, NAN)
    some = nothing.copy()
    some[1] = 1.0 + 2 * 7.0  # 7 deviations: farther from 0 than the rest is from the second
    assert clusters().nearest([nothing, some]).tolist() == [0, 1]
    assert clusters().nearest([State().summary()]).tolist() == [0]


def test_a_listener_alone_is_of_the_same_kind_as_among_others() -> None:
    rows = np.random.default_rng(4).normal(scale=3, size=(50, WIDTH)) + clusters().mean
    rows[::7, 2] = NAN
    together = clusters().nearest(rows)
    assert set(together.tolist()) == {0, 1, 2}
    assert [int(clusters().nearest(row)[0]) for row in rows] == together.tolist()


def test_clusters_are_read_as_they_were_written() -> None:
    rng = np.random.default_rng(1)
    written = Clusters(rng.normal(size=WIDTH), rng.random(WIDTH), rng.normal(size=(5, WIDTH)))
    document = json.loads(json.dumps(written.to_json(), allow_nan=False))
    read = Clusters.from_json(document)
    for name in ("mean", "deviation", "centroids"):
        np.testing.assert_allclose(getattr(read, name), getattr(written, name), atol=5e-7)
    assert read.to_json() == document
    rows = rng.normal(size=(100, WIDTH))
    assert np.array_equal(read.nearest(rows), written.nearest(rows))


DAMAGE: dict[str, dict[str, Any]] = {
    "a mean too short": {"mean": [0.0] * 3},
    "no mean": {"mean": None},
    "no numbers": {"mean": ["a"] * WIDTH},
    "no centroids": {"centroids": []},
    "centroids too narrow": {"centroids": [[0.0] * 6]},
    "centroids of several widths": {"centroids": [[0.0] * 6, [0.0] * WIDTH]},
    "a flat list of centroids": {"centroids": [0.0] * WIDTH},
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_something_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Clusters.from_json(clusters().to_json() | change)


@pytest.mark.parametrize("name", ["mean", "deviation", "centroids"])
def test_what_lacks_a_part_is_refused(name: str) -> None:
    document = clusters().to_json()
    del document[name]
    with pytest.raises(KeyError, match=name):
        Clusters.from_json(document)


@pytest.mark.parametrize("document", [None, [], 3, "clusters"])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Clusters.from_json(document)


@pytest.mark.parametrize("deviation", [[1.0] * 3, None])
def test_a_deviation_of_another_width_is_refused(deviation: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Clusters.from_json(clusters().to_json() | {"deviation": deviation})
