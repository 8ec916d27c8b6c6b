"""Artist vectors: Spark's own word2vec over listeners' lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.feature import Word2Vec

from glue_jobs.arrow import lists
from glue_jobs.packing import to_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

LONGEST_WINDOW = 50


def artist_vectors(
    listeners: DataFrame,
    keys: pa.Array,
    *,
    dimensions: int,
    iterations: int,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Return word2vec vectors of artists, (n_artists, dimensions).

    A listener's list is one sentence, with a window that spans it. An artist of more plays occurs
    more often, about 1 + log10(plays) times: the list is said again with those that are left, so
    that no name stands beside itself only to fill the window.

    Parameters
    ----------
    listeners
        Cleaned listeners.
    keys
        Artist keys that get a vector.
    dimensions
        How many.
    iterations
        Passes over the sentences.
    seed
        Of the start.
    """
    vocabulary = listeners.sparkSession.sparkContext.broadcast(keys)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in batches:
            batch = to_batch(rows, vocabulary.value)
            repeats = np.nan_to_num(np.round(1 + np.log10(np.maximum(batch.playcounts, 1))), nan=1)
            repeats = np.where(batch.artist_ids >= 0, repeats, 0).astype(np.int64)
            place = np.repeat(np.arange(len(repeats)), repeats)
            turn = np.arange(len(place)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            order = np.lexsort((place, turn, batch.owner[place]))
            words = vocabulary.value.take(pa.array(batch.artist_ids[place[order]]))
            indptr = np.concatenate(
                [[0], np.cumsum(np.bincount(batch.owner, weights=repeats, minlength=len(batch)))]
            )
            yield pa.RecordBatch.from_arrays([lists(words, indptr.astype(np.int64))], ["words"])

    sentences = listeners.mapInArrow(run, "words array<string>")
    model = Word2Vec(
        vectorSize=dimensions,
        windowSize=LONGEST_WINDOW,
        maxIter=iterations,
        minCount=1,
        numPartitions=listeners.rdd.getNumPartitions(),  # it averages their vectors
        maxSentenceLength=10_000,
        seed=seed,
        inputCol="words",
        outputCol="vector",
    ).fit(sentences)
    place_of = {key: place for place, key in enumerate(keys.to_pylist())}
    vectors = np.zeros((len(place_of), dimensions), dtype=np.float32)
    for row in model.getVectors().toLocalIterator():
        vectors[place_of[row["word"]]] = row["vector"].toArray()
    return vectors
