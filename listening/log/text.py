"""Rows of the log's text files, read strictly: what is not clear is refused with its line.

Spark guesses where a quote is not closed, where bytes are not UTF-8 or a row has a field too many.
So nobody else may: the check, `data convert`, `data forget` and the endpoint read text by this.
"""

from __future__ import annotations

import csv
import gzip
from typing import IO, TYPE_CHECKING, Any

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_CHARACTERS = 1 << 20  # of a field
BYTE_ORDER_MARK = "\ufeff"


def open_text(path: Path) -> IO[bytes]:
    """Return a text file's content as bytes, unpacked where its name ends with ``.gz``."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def read_rows(
    file: IO[bytes], *, source: str, tabs: bool, width: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a text file, each with the line on which it begins.

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
        yield start, row


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


def dialect(*, tabs: bool) -> dict[str, Any]:
    """Return how `csv` reads a file: commas and quotes as RFC 4180 says, or tabs alone."""
    if tabs:
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "strict": True}
    return {"strict": True}
