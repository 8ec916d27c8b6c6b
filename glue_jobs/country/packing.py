"""Listeners packed for repeated passes: a few rows of bytes that are arrays at once.

A pass over packed listeners costs no parsing. Each partition's contribution to a sum goes in chunks
that Spark adds up, in the order of the partitions, so that a sum has the same bits whichever
machine did which part.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel, TaskContext
from scipy import sparse

from glue_jobs.arrow import column, floats, list_bounds
from listening.country.listeners import ListenerBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyspark.sql import DataFrame

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]

PACKED = "indptr binary, ids binary, weights binary, labels binary, folds binary"
PLAYS_PER_PASS = 8_000_000  # of a partition: one that is alone needs no Spark job for each pass
CONTRIBUTION = "chunk int, part int, data binary"
CHUNK = 2_000_000  # numbers of a partition's contribution that travel together


def to_batch(rows: pa.RecordBatch | pa.Table, vocabulary: pa.Array) -> ListenerBatch:
    """Return rows of cleaned listeners in terms of a vocabulary of artist keys."""
    indptr, keys = list_bounds(column(rows, "artist_keys"))
    ids = pc.index_in(keys, value_set=vocabulary).fill_null(-1).to_numpy(zero_copy_only=False)
    playcounts = np.full(len(keys), np.nan, dtype=np.float32)
    lists = column(rows, "playcounts")
    has_counts = np.repeat(lists.is_valid().to_numpy(zero_copy_only=False), np.diff(indptr))
    playcounts[has_counts] = floats(lists.flatten())
    totals = floats(column(rows, "total_scrobbles")).astype(np.float32)
    return ListenerBatch(indptr, ids.astype(np.int32), playcounts, totals)


@dataclass(frozen=True)
class PackedListeners:
    """Listeners of one packed row.

    Parameters
    ----------
    plays
        (n, n_artists) sparse listening weights of the artists in the vocabulary.
    labels
        (n,) int16 place of the listener's country; -1 for none.
    folds
        (n,) int16 fold.
    """

    plays: sparse.csr_matrix
    labels: npt.NDArray[np.int16]
    folds: npt.NDArray[np.int16]


Contribution = Callable[[Iterator[PackedListeners], Any], Floats]
"""From listeners and whatever all of them share to an array of one shape everywhere."""


class Listeners(Protocol):
    """Listeners that can be passed over again and again."""

    @property
    def artists(self) -> int:
        """How many artists the vocabulary has."""

    def sum(self, contribution: Contribution, shape: tuple[int, ...], shared: Any) -> Floats:
        """Pass over the listeners and return the sum of what they contribute."""


@dataclass(frozen=True)
class LocalListeners:
    """Listeners in the memory of one process."""

    rows: list[PackedListeners]
    artists: int

    def sum(self, contribution: Contribution, shape: tuple[int, ...], shared: Any) -> Floats:
        """Pass over the listeners and return what they contribute."""
        return np.asarray(contribution(iter(self.rows), shared), dtype=np.float32).reshape(shape)


@dataclass(frozen=True)
class SparkListeners:
    """Listeners kept near the executors.

    Parameters
    ----------
    frame
        The frame of schema `PACKED`.
    partitions
        How many partitions it has.
    artists
        How many artists the vocabulary has.
    """

    frame: DataFrame
    partitions: int
    artists: int

    def sum(self, contribution: Contribution, shape: tuple[int, ...], shared: Any) -> Floats:
        """Pass over the listeners and return the sum of what each partition contributes."""
        artists = self.artists
        sent = self.frame.sparkSession.sparkContext.broadcast(shared)

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            array = contribution(_unpack(batches, artists), sent.value)
            flat = np.ascontiguousarray(array, dtype=np.float32).ravel()
            part = TaskContext.get().partitionId()  # type: ignore[union-attr]
            for chunk, start in enumerate(range(0, len(flat), CHUNK)):
                data = pa.array([flat[start : start + CHUNK].tobytes()], pa.binary())
                numbers = [pa.array([number], pa.int32()) for number in (chunk, part)]
                yield pa.RecordBatch.from_arrays([*numbers, data], names=["chunk", "part", "data"])

        chunks = -(-int(np.prod(shape)) // CHUNK)
        added = (
            self.frame.mapInArrow(run, CONTRIBUTION)
            .repartition(min(chunks, 2 * self.partitions), "chunk")
            .groupBy("chunk")
            .applyInPandas(_add, CONTRIBUTION)
        )
        rows = sorted(added.select("chunk", "data").collect(), key=lambda row: int(row["chunk"]))
        sent.unpersist()
        flat = np.concatenate([np.frombuffer(row["data"], dtype=np.float32) for row in rows])
        return flat.reshape(shape)

    def apply(self, function: Callable[[Listeners], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """Return the arrays that a function makes of the listeners in many passes.

        Where all of them are in one partition, an executor runs the whole function beside them:
        that spares a Spark job for each pass.
        """
        if self.partitions > 1:
            return dict(function(self))
        artists = self.artists

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            result = io.BytesIO()
            listeners = LocalListeners(list(_unpack(batches, artists)), artists)
            np.savez(result, **function(listeners))  # type: ignore[arg-type]
            yield pa.RecordBatch.from_arrays([pa.array([result.getvalue()])], names=["data"])

        row = self.frame.mapInArrow(run, "data binary").collect()[0]
        with np.load(io.BytesIO(row["data"]), allow_pickle=False) as arrays:
            return dict(arrays)

    def forget(self) -> None:
        """Free what the executors keep."""
        self.frame.unpersist()


def pack(listeners: DataFrame, keys: pa.Array, *, partitions: int) -> SparkListeners:
    """Pack cleaned listeners.

    Parameters
    ----------
    listeners
        Cleaned listeners; with columns ``label`` and ``fold`` where they have any.
    keys
        Artist keys; artists that are not among them are left out.
    partitions
        How many to make of them; the result of a sum depends on it in the last digits.
    """
    vocabulary = listeners.sparkSession.sparkContext.broadcast(keys)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for rows in batches:
            if rows.num_rows == 0:
                continue
            batch = to_batch(rows, vocabulary.value)
            known = batch.artist_ids >= 0
            indptr = np.concatenate([[0], np.cumsum(batch.known)]).astype(np.int64)
            small = [
                column(rows, name).to_numpy(zero_copy_only=False).astype(np.int16)
                if name in rows.schema.names
                else np.full(len(batch), -1, dtype=np.int16)
                for name in ("label", "fold")
            ]
            arrays = (indptr, batch.artist_ids[known], batch.weights[known], *small)
            yield pa.RecordBatch.from_arrays(
                [pa.array([array.tobytes()], pa.binary()) for array in arrays],
                names=["indptr", "ids", "weights", "labels", "folds"],
            )

    frame = listeners.coalesce(partitions).mapInArrow(run, PACKED)
    return SparkListeners(frame.persist(StorageLevel.MEMORY_AND_DISK), partitions, len(keys))


def _unpack(batches: Iterable[pa.RecordBatch], width: int) -> Iterator[PackedListeners]:
    for rows in batches:
        for row in range(rows.num_rows):
            cells = [rows.column(i)[row].as_buffer() for i in range(rows.num_columns)]
            kinds = (np.int64, np.int32, np.float32, np.int16, np.int16)
            indptr, ids, weights, labels, folds = (
                np.frombuffer(cell, dtype=kind) for cell, kind in zip(cells, kinds, strict=True)
            )
            plays = sparse.csr_matrix((weights, ids, indptr), (len(indptr) - 1, width), copy=False)
            yield PackedListeners(plays, labels, folds)


def _add(parts: pd.DataFrame) -> pd.DataFrame:
    total: npt.NDArray[Any] | None = None
    for data in parts.sort_values("part")["data"]:
        numbers = np.frombuffer(data, dtype=np.float32)
        total = numbers.copy() if total is None else np.add(total, numbers, out=total)
    return pd.DataFrame(
        {
            "chunk": parts["chunk"].iloc[:1],
            "part": [0],
            "data": [total.tobytes() if total is not None else b""],
        }
    )
