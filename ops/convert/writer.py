"""Tables of the log written in parts, in a folder that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from listening.errors import DataError
from ops.convert.chunks import TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from ops.convert.chunks import Chunk

PART_ROWS = 1_000_000
GROUP_ROWS = 131_072


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to write into, which takes its name at the end.

    Parameters
    ----------
    out
        Must be missing or empty.

    Raises
    ------
    DataError
        It is neither.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} is there already and not empty; name another folder")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial)
        raise


class TableWriter:
    """Writes a table's rows in parts of at most `PART_ROWS`.

    Parameters
    ----------
    folder
        Of the parts; is made with the first row.
    table
        One of `TABLES`.
    columns
        Those that any row may fill.
    """

    def __init__(self, folder: Path, table: str, columns: Collection[str]) -> None:
        self._folder = folder
        self._schema = pa.schema(
            [(name, type_) for name, type_ in TABLES[table].items() if name in columns]
        )
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self._parts = 0
        self._part_rows = 0
        self._part: Any = None

    def write(self, chunk: Chunk) -> None:
        """Take a chunk's rows."""
        columns = [
            chunk.columns.get(field.name, pa.nulls(chunk.rows_out, field.type))
            for field in self._schema
        ]
        self._waiting.append(pa.record_batch(columns, schema=self._schema))
        self._waiting_rows += chunk.rows_out
        while self._waiting_rows >= GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """Write what waits, and end the last part."""
        while self._waiting_rows:
            self._write_group()
        if self._part is not None:
            self._part.close()

    def _write_group(self) -> None:
        waiting = pa.Table.from_batches(self._waiting, self._schema)
        rows = min(GROUP_ROWS, PART_ROWS - self._part_rows, waiting.num_rows)
        if self._part is None:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / f"part-{self._parts:05d}.parquet"
            self._part = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._parts += 1
        self._part.write_table(waiting.slice(0, rows), row_group_size=rows)
        self._part_rows += rows
        self._waiting = waiting.slice(rows).to_batches()
        self._waiting_rows -= rows
        if self._part_rows == PART_ROWS:
            self._part.close()
            self._part, self._part_rows = None, 0
