"""Bodies of requests, of which nothing is trusted, and of answers.

A request is JSON (one listener, or a list of them as ``listeners``), JSON Lines, a table (CSV,
parquet) or an array; what its fields mean is its system's affair. Every refusal is a
`RequestError` that says where: ``line 4: …``, ``row 0: …``.
"""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from inference.fields import shown
from listening.errors import DataError, RequestError
from listening.log.plain import parse_number
from listening.log.text import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    Rows = Iterator[tuple[str, dict[str, Any]]]
    """Rows of a table, each with the place to name in an error."""

# How much a caller may ask for at once; more is answered with 413.
MAX_LISTENERS = 100_000
MAX_ROWS = 2_000_000  # of a parquet table
MAX_PARQUET = 512 * 1024**2  # bytes once decompressed


def check_number_of_listeners(n: int) -> None:
    """Refuse too many listeners in one request."""
    if n > MAX_LISTENERS:
        raise RequestError(
            f"listeners: {n} in one request, at most {MAX_LISTENERS}; send several requests",
            status=413,
        )


def read_json(body: bytes, example: str, where: str = "") -> dict[str, Any]:
    """Return an object.

    Parameters
    ----------
    body
        As received.
    example
        What may be sent, for an error.
    where
        Where the object is, for an error.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"{where}not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError(f"{where}must be an object such as {example}, got {shown(document)}")
    return document


def read_json_lines(body: bytes, example: str) -> Rows:
    """Yield the objects of JSON Lines; parameters as in `read_json`."""
    lines = body.split(b"\n")
    check_number_of_listeners(len(lines) - 1)
    for i, line in enumerate(lines, start=1):
        if line.strip():
            where = f"line {i}: "
            yield where, read_json(line, example, where)


def listed(document: dict[str, Any]) -> list[Any]:
    """Return what an object lists as ``listeners``; whether each is an object is not looked at."""
    listeners = document["listeners"]
    if not isinstance(listeners, list):
        raise RequestError(f"listeners: must be a list, got {shown(listeners)}")
    check_number_of_listeners(len(listeners))
    return listeners


def read_csv(body: bytes, *, numbers: Iterable[str]) -> tuple[Sequence[str], Rows]:
    """Return the columns of a table with a header, and its rows; an empty cell is None.

    Parameters
    ----------
    body
        As received.
    numbers
        Columns whose cells are numbers; a cell that is none stays text.
    """
    lines = _strict(read_rows(io.BytesIO(body), source="body", tabs=False))
    columns = [cell.strip() for cell in next(lines, (0, []))[1]]
    for column in columns:
        if columns.count(column) > 1:
            raise RequestError(f"columns: {shown(column)} is there twice; leave one of them")

    def rows() -> Rows:
        for line, row in lines:
            values: dict[str, Any] = {n: c or None for n, c in zip(columns, row, strict=True)}
            for column in numbers:
                if text := values.get(column):
                    number = parse_number(text)
                    values[column] = text if number is None else number
            yield f"line {line}: ", values

    return columns, rows()


def _strict(lines: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    try:
        yield from lines
    except DataError as error:
        raise RequestError(str(error).replace("body, line", "line", 1)) from error


def read_parquet(
    body: bytes, *, texts: Sequence[str], numbers: Sequence[str]
) -> tuple[Sequence[str], Rows]:
    """Return the columns of a table, and its rows.

    Parameters
    ----------
    body
        As received.
    texts, numbers
        The columns to read; those that are not there are left out.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - half a second that only parquet needs

    try:
        metadata = pq.read_metadata(io.BytesIO(body))
        groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        columns = metadata.schema.to_arrow_schema().names
    except Exception as error:  # of a damaged file, Arrow's and Python's own both occur
        raise _unreadable(error) from error
    if metadata.num_rows > MAX_ROWS:
        raise RequestError(f"body: {metadata.num_rows} rows, at most {MAX_ROWS}", status=413)
    if sum(groups) > MAX_PARQUET:
        raise RequestError(
            f"body: {sum(groups)} bytes once decompressed, at most {MAX_PARQUET}", status=413
        )
    wanted = [name for name in (*texts, *numbers) if name in columns]

    def rows() -> Rows:
        try:
            # Dictionaries stay what they are: a small file can repeat a long text a million times.
            dictionaries = [name for name in texts if name in columns]
            file = pq.ParquetFile(io.BytesIO(body), metadata=metadata, read_dictionary=dictionaries)
            start = 0
            for batch in file.iter_batches(batch_size=10_000, columns=wanted, use_threads=False):
                batch.validate(full=True)
                values = [_column_values(batch.column(name)) for name in wanted]
                for i, row in enumerate(zip(*values, strict=True), start=start):
                    yield f"row {i}: ", dict(zip(wanted, row, strict=True))
                start += batch.num_rows
        except Exception as error:  # as above
            raise _unreadable(error) from error

    return columns, rows()


def _unreadable(error: Exception) -> RequestError:
    return RequestError(f"body: not a readable parquet file ({shown(str(error))})")


def _column_values(column: Any) -> list[Any]:
    """Return a column as Python values, the values of a dictionary once each."""
    if not hasattr(column, "dictionary"):
        values: list[Any] = column.to_pylist()
        return values
    entries = [*column.dictionary.to_pylist(), None]
    return [entries[-1 if place is None else place] for place in column.indices.to_pylist()]


def read_npy(body: bytes) -> npt.NDArray[np.float32]:
    """Return an array of ``(width,)`` or ``(n_listeners, width)``."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(stream)
    except Exception as error:  # numpy evaluates the header, and Python's tokenizer may fail too
        raise RequestError(f"body: not an .npy array ({shown(str(error))})") from error
    if dtype.kind not in "fiu":
        raise RequestError(f"body: features must be numbers, got an array of {dtype}")
    if len(shape) not in (1, 2) or not all(type(n) is int and n >= 0 for n in shape):
        raise RequestError(f"body: shape must be (width,) or (listeners, width), got {shape}")
    if math.prod(shape) * dtype.itemsize != len(body) - stream.tell():
        raise RequestError(f"body: does not hold the {shape} of {dtype} that its header says")
    check_number_of_listeners(shape[0] if len(shape) == 2 else 1)
    values = np.frombuffer(body, dtype=dtype, offset=stream.tell())
    with np.errstate(over="ignore", invalid="ignore"):
        array = values.reshape(shape, order="F" if fortran_order else "C").astype(np.float32)
    return np.ascontiguousarray(array)


def write_json(answers: Sequence[dict[str, Any]], *, single: bool) -> bytes:
    """Return answers as JSON: the one answer, or a list of them as ``answers``."""
    return orjson.dumps(answers[0] if single else {"answers": answers})


def write_json_lines(answers: Iterable[dict[str, Any]]) -> bytes:
    """Return answers as JSON Lines."""
    return b"".join(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in answers)


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table with a header as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
