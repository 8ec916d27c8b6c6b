"""Rows of the log's text files, read strictly: what is not clear is refused with its line.

Spark guesses where a quote is not closed, where bytes are not UTF-8 or a row has a field too many.
So nobody else may: the check, `data convert` and `data forget` read text files by this.
"""

from __future__ import annotations

import csv
import gzip
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from listening.errors import DataError
from listening.log.parts import BYTE_ORDER_MARK, dialect
from listening.log.raw_formats import file_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS_PER_BATCH = 100_000
MOST_CHARACTERS = 1 << 20  # of a field


def open_text(path: Path) -> IO[bytes]:
    """Return a text file's content as bytes, unpacked where its name ends with ``.gz``."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def read_rows(
    file: IO[bytes], *, source: str, tabs: bool, width: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a text file, each with the line on which it ends.

    Parameters
    ----------
    file
        Open for reading, at its start.
    source
        Its path, for errors.
    tabs
        Whether tabs divide it and quotes mean nothing; else commas, and quotes as RFC 4180 says.
    width
        How many fields a row has; None for as many as the first.

    Raises
    ------
    DataError
        A line is not UTF-8, a quote is not closed or followed by text, a row has another number of
        fields, or a line ends with a carriage return alone; names the line and what to do.
    """
    csv.field_size_limit(MOST_CHARACTERS)
    lines = _Lines(file, source)
    rows = csv.reader(lines, **dialect(tabs=tabs))
    while True:
        start = lines.number + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(_refusal(source, start, lines.number, error)) from error
        if row is None:
            return
        if not row:
            continue
        width = width or len(row)
        if len(row) != width:
            raise DataError(
                f"{source}, line {start}: {len(row)} fields, expected {width}; "
                + ("mend the line" if tabs else "put a field that holds commas in quotes")
            )
        yield lines.number, row


class _Lines:
    """The lines of a text file, counted, for `csv.reader`."""

    def __init__(self, file: IO[bytes], source: str) -> None:
        self.number = 0
        self._file = file
        self._source = source

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._file.readline()
        except (OSError, EOFError) as error:
            raise DataError(
                f"{self._source}, after line {self.number}: {error}; write the file anew"
            ) from error
        if not line:
            raise StopIteration
        self.number += 1
        if line.rstrip(b"\r\n").count(b"\r") or b"\0" in line:
            what = "a null character" if b"\0" in line else "a carriage return within the line"
            raise DataError(
                f"{self._source}, line {self.number}: {what}; write lines that end with a "
                "line feed, and text without such characters"
            )
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self._source}, line {self.number}: not UTF-8 text ({error.reason}); write the "
                "file as UTF-8"
            ) from error
        return text.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else text


def _refusal(source: str, start: int, end: int, error: csv.Error) -> str:
    if "end of data" in str(error):
        what = "a quote that is never closed"
    elif "expected after" in str(error):
        what = "text after a closing quote" + (f" (on line {end})" if end != start else "")
    else:
        what = str(error)
    return (
        f"{source}, line {start}: {what}; put a field that holds quotes in quotes, each of them "
        'written twice ("")'
    )


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
