"""What word2vec learns of scenes, and how far a seed fixes its vectors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def learned(run_glue: RunGlue) -> dict[str, Any]:
    ended = run_glue("tests/unit/glue_jobs/country/word2vec_twice.py")
    assert ended.returncode == 0, ended.stderr[-3000:]
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def cosines(vectors: Any) -> Any:
    """Return the cosine of every artist with every other."""
    unit = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_artists_of_a_scene_are_nearest(learned: dict[str, Any]) -> None:
    keys = learned["keys"]
    nearest = (cosines(learned["one"][0]) - 2 * np.eye(len(keys))).argmax(axis=1)
    assert np.mean([key[0] == keys[i][0] for key, i in zip(keys, nearest, strict=True)]) > 0.9


def test_one_partition_learns_the_same_bits_again(learned: dict[str, Any]) -> None:
    first, again = learned["one"]
    assert first == again


def test_two_runs_of_several_partitions_agree_within_the_stated_tolerance(
    learned: dict[str, Any],
) -> None:
    first, again = learned["several"]
    assert first != learned["one"][0]
    pairs = np.triu_indices(len(first), 1)
    assert np.corrcoef(cosines(first)[pairs], cosines(again)[pairs])[0, 1] >= 0.9
