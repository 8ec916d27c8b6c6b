"""Columns of the log's text files as Arrow batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from listening.log.raw_formats import file_format
from listening.log.text import open_text, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS_PER_BATCH = 100_000


def read_batches(
    path: Path, columns: Sequence[str], *, given: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield columns of a text file as batches of strings.

    Parameters
    ----------
    path
        The file; its name says how it is written.
    columns
        Which of its columns.
    given
        What its columns are, where it has no header.

    Raises
    ------
    DataError
        As `read_rows`.
    """
    with open_text(path) as file:
        rows = read_rows(
            file,
            source=str(path),
            tabs=file_format(path.name) == "tsv",
            width=len(given) if given else None,
        )
        names = list(given) if given else [cell.strip() for cell in next(rows, (0, []))[1]]
        places = [names.index(column) for column in columns]
        chunk: list[list[str]] = []
        for _, row in rows:
            chunk.append(row)
            if len(chunk) == ROWS_PER_BATCH:
                yield _batch(chunk, places, columns)
                chunk = []
        if chunk:
            yield _batch(chunk, places, columns)


def _batch(rows: list[list[str]], places: list[int], columns: Sequence[str]) -> pa.RecordBatch:
    fields = list(zip(*rows, strict=True))
    return pa.RecordBatch.from_arrays(
        [pa.array(fields[place], pa.string()) for place in places], names=list(columns)
    )
