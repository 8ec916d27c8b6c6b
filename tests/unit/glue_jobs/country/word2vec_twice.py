"""Learn artist vectors twice in several partitions and say how alike: run by `test_word2vec.py`."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa

from glue_jobs.country import word2vec
from glue_jobs.job import job_session

SCENES, ARTISTS, LISTENERS, LENGTH = 6, 30, 3 * word2vec.LISTENERS_PER_PARTITION, 12


def main() -> None:
    """Print how the cosines of all pairs of artists correlate, and how far the numbers differ."""
    rng = np.random.default_rng(3)
    lists = [
        [
            f"{scene if rng.random() < 0.8 else rng.integers(SCENES)}-{artist}"
            for artist in rng.choice(ARTISTS, LENGTH, replace=False)
        ]
        for scene in rng.integers(SCENES, size=LISTENERS).tolist()
    ]
    keys = pa.array([f"{scene}-{artist}" for scene in range(SCENES) for artist in range(ARTISTS)])
    with job_session("word2vec", rows_per_batch=1000) as spark:
        listeners = spark.createDataFrame(
            [(keys, None, None) for keys in lists],
            "artist_keys array<string>, playcounts array<double>, total_scrobbles double",
        ).repartition(4)
        listeners = listeners.localCheckpoint()
        first, again = (
            word2vec.artist_vectors(listeners, keys, dimensions=8, iterations=5, seed=1)
            for _ in range(2)
        )
    pairs = np.triu_indices(len(first), 1)
    cosines = [
        (unit @ unit.T)[pairs]
        for unit in (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, again))
    ]
    found = {
        "correlation": float(np.corrcoef(*cosines)[0, 1]),
        "largest_difference": float(np.abs(first - again).max()),
    }
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
