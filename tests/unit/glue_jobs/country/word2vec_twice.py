"""Learn artist vectors twice in one partition and twice in several: run by `test_word2vec.py`."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd

from glue_jobs.country import embeddings, word2vec
from glue_jobs.job import Arguments, job_session

SCENES, ARTISTS, LISTENERS, LENGTH = 4, 20, 400, 12
SETTINGS = ("--method", "word2vec", "--dimensions", "8", "--iterations", "4")


def main() -> None:
    """Print the artists' keys, and their vectors of each time."""
    rng = np.random.default_rng(3)
    lists = [
        [
            f"{scene if rng.random() < 0.8 else rng.integers(SCENES)}-{artist}"
            for artist in rng.choice(ARTISTS, LENGTH, replace=False)
        ]
        for scene in rng.integers(SCENES, size=LISTENERS).tolist()
    ]
    keys = [f"{scene}-{artist}" for scene in range(SCENES) for artist in range(ARTISTS)]
    artists = pd.DataFrame({"artist_key": keys})
    parameters = embeddings.Parameters.of(
        Arguments(["embeddings", *SETTINGS], ("method", "dimensions", "iterations"))
    )
    with job_session("word2vec", rows_per_batch=1000) as spark:
        listeners = spark.createDataFrame(
            [(artists, None, None) for artists in lists],
            "artist_keys array<string>, playcounts array<double>, total_scrobbles double",
        )
        found: dict[str, list[Any]] = {"keys": keys}
        for place, most in (("one", LISTENERS), ("several", LISTENERS // 2)):
            word2vec.LISTENERS_PER_PARTITION = most
            found[place] = [
                embeddings.learn(listeners, artists, parameters).tolist() for _ in range(2)
            ]
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
