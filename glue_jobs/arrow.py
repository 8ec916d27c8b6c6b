"""Arrow batches of plays as arrays, and arrays as Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame, SparkSession


def whole_groups(batches: Iterable[pa.RecordBatch], key: str) -> Iterator[pa.Table]:
    """Yield tables in which every group of rows of one key is complete.

    Parameters
    ----------
    batches
        Batches of one partition, sorted by the key.
    key
        A column of strings without nulls.
    """
    rest: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows == 0:
            continue
        last = batch.column(key)[batch.num_rows - 1]
        start = pc.index(batch.column(key), last).as_py()
        if start > 0:
            yield pa.Table.from_batches([*rest, batch.slice(0, start)])
            rest = []
        elif rest and rest[-1].column(key)[rest[-1].num_rows - 1] != last:
            yield pa.Table.from_batches(rest)
            rest = []
        rest.append(batch.slice(start))
    if rest:
        yield pa.Table.from_batches(rest)


def column(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """Return a column as one array."""
    values = table.column(name)
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    return values


def group_bounds(keys: pa.Array) -> npt.NDArray[np.int64]:
    """Return the (n_groups + 1,) bounds of the runs of equal keys."""
    size = len(keys)
    changes = pc.not_equal(keys.slice(1), keys.slice(0, max(size - 1, 0)))
    starts = np.flatnonzero(changes.to_numpy(zero_copy_only=False)) + 1
    return np.concatenate([[0], starts, [size]]).astype(np.int64) if size else np.zeros(1, np.int64)


def floats(values: pa.Array) -> npt.NDArray[np.float64]:
    """Return numbers with NaN for null."""
    numbers: npt.NDArray[np.float64] = (
        values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    )
    return numbers


def lists(
    values: pa.Array, indptr: npt.NDArray[np.int64], *, absent: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return flat values as lists, one per listener, null where absent."""
    offsets = pa.array(indptr.astype(np.int32))
    if absent is None or not absent.any():
        return pa.ListArray.from_arrays(offsets, values)
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(absent))


def list_bounds(values: pa.ListArray) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the (n + 1,) bounds and the flat values of a column of lists; null is empty."""
    lengths = pc.list_value_length(values).fill_null(0).to_numpy(zero_copy_only=False)
    indptr = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr, values.flatten()


def matrix_rows(matrix: npt.NDArray[Any]) -> pa.Array:
    """Return a (n, width) matrix as a column of n lists of float32."""
    n, width = matrix.shape
    flat = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).ravel())
    return lists(flat, np.arange(n + 1, dtype=np.int64) * width)


def frame_of(spark: SparkSession, table: pa.Table, schema: str) -> DataFrame:
    """Return a table of the driver as a frame, without a detour over rows."""
    shared = spark.sparkContext.broadcast(table.combine_chunks())

    def run(_: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from shared.value.to_batches(max_chunksize=10_000)

    return spark.range(0, 1, 1, 1).mapInArrow(run, schema)


def read_listeners(spark: SparkSession, uri: str, partitions: int) -> DataFrame:
    """Read cleaned listeners in the partitions in which they were written."""
    spark.conf.set("spark.sql.files.minPartitionNum", partitions)
    return spark.read.parquet(uri)
