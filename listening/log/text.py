"""Rows of the log's text files, read strictly: what is not clear is refused with its line.

Spark guesses where a quote is not closed, where bytes are not UTF-8 or a row has a field too many.
So nobody else may: the check, `data forget` and the endpoint read text by this. `data convert`
drops and counts a damaged row instead.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from typing import IO, TYPE_CHECKING, Any

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_CHARACTERS = 1 << 20  # of a field
BLOCK = 1 << 20  # bytes
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
    begin = file.tell()
    is_plain = _is_plain(file)
    file.seek(begin)
    # Line by line, which takes longer, only where a line has to be named.
    lines = io.TextIOWrapper(file, "utf-8-sig", newline="") if is_plain else _Lines(file, source)
    rows = csv.reader(lines, **dialect(tabs=tabs))
    while True:
        start = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(_refusal(source, start, rows.line_num, error)) from error
        if row is None:
            break
        if not row:
            continue
        width = width or len(row)
        if len(row) != width:
            raise DataError(
                f"{source}, line {start}: {len(row)} fields, expected {width}; "
                + ("mend the line" if tabs else "put a field that holds commas in quotes")
            )
        yield start, row
    if isinstance(lines, io.TextIOWrapper):
        lines.detach()  # the file is its owner's to close


def _is_plain(file: IO[bytes]) -> bool:
    """Tell whether a file is UTF-8 to its end, without null characters and lone line ends."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = b""
    try:
        while block := file.read(BLOCK):
            decoder.decode(block)
            whole = before + block
            before = b"\r" if whole.endswith(b"\r") else b""
            seen = whole.removesuffix(before) if before else whole
            if b"\0" in block or seen.count(b"\r") != seen.count(b"\r\n"):
                return False
        decoder.decode(b"", final=True)
    except (UnicodeDecodeError, OSError, EOFError):
        return False
    return not before


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
