"""The files of a table: which columns each has, as what they were written, and what none can read.

The check looks at files of this machine, a Glue job at files of a bucket; both by the functions
here, so that what passes the check is what the job reads.
"""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from listening.errors import DataError
from listening.log.text import BYTE_ORDER_MARK, dialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listening.log.raw_formats import FileFormat
    from listening.log.tables import Kind, LogTable

Written = Literal["text", "integer", "number", "time", "nanoseconds", "nothing"]
"""As what a column's values were written; nanoseconds are a time that Spark takes for integers."""

_NUMBERS: tuple[Written, ...] = ("text", "integer", "number")
READS: dict[Kind, tuple[Written, ...]] = {
    "id": _NUMBERS,
    "text": ("text",),
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "time": (*_NUMBERS, "time", "nanoseconds"),
}
"""What a kind of column can be read from."""
EXPECTED: dict[Kind, str] = {
    "id": "text",
    "text": "text",
    "integer": "a number",
    "number": "a number",
    "time": "a time",
}
CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4")
ENCODINGS = {
    *("PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"),
    *("DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"),
}
"""What Glue's Spark reads without further libraries."""
UNKNOWN_TYPES = ("FLOAT16", "VARIANT", "GEOMETRY", "GEOGRAPHY")
MOST_DIGITS = 38  # of Spark's decimals
HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class Field:
    """A column of a file.

    Parameters
    ----------
    written
        As what; None for what no kind can be read from.
    type
        The type's name, for an error.
    spark
        Spark's type for it, where it has one.
    """

    written: Written | None
    type: str
    spark: str | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of a table.

    Parameters
    ----------
    source
        Its path or URI.
    format
        How it is written.
    fields
        Its columns in their order.
    unreadable
        By column, why Spark could not read what the file holds of it.
    """

    source: str
    format: FileFormat
    fields: Mapping[str, Field]
    unreadable: Mapping[str, str]

    def used(self, table: LogTable, *, required: Sequence[str] = ()) -> dict[str, Field]:
        """Return the fields of the table's columns that hold something here.

        Parameters
        ----------
        table
            What the file is a part of.
        required
            Columns that it must have beside those that the table needs.

        Raises
        ------
        DataError
            A column is missing, or cannot be read; names it and says what to do.
        """
        for group in (*((name,) for name in (*table.needed, *required)), *table.one_of):
            if not any(name in self.fields for name in group):
                names = " or ".join(f"'{name}'" for name in group)
                there = ", ".join(self.fields) or "none"
                raise DataError(f"{self.source}: column {names} is missing; the table has {there}")
        used = {}
        for name in table.names:
            field = self.fields.get(name)
            if field is None or field.written == "nothing":
                continue
            kind = table[name].kind
            if field.written not in READS[kind]:
                raise DataError(
                    f"{self.source}: column '{name}' is {field.type}, expected {EXPECTED[kind]}; "
                    "write it as such"
                )
            if name in self.unreadable:
                raise DataError(f"{self.source}: column '{name}' {self.unreadable[name]}")
            used[name] = field
        return used


def read_part(
    file: IO[bytes], *, source: str, format_: FileFormat, columns: Sequence[str] | None = None
) -> Part:
    """Return what a file of a table says of itself.

    Parameters
    ----------
    file
        Open for reading, at its start.
    source
        Its path or URI, for errors.
    format_
        How it is written.
    columns
        What its columns are, where it has no header.

    Raises
    ------
    DataError
        It is not what its name says.
    """
    if format_ == "parquet":
        return _parquet(file, source)
    text: IO[bytes] = gzip.GzipFile(fileobj=file) if source.endswith(".gz") else file  # type: ignore[assignment]
    names = _header(text, source, tabs=format_ == "tsv", given=columns)
    fields = dict.fromkeys(names, Field("text", "text", "string"))
    return Part(source=source, format=format_, fields=fields, unreadable={})


def _header(
    file: IO[bytes], source: str, *, tabs: bool, given: Sequence[str] | None
) -> tuple[str, ...]:
    try:
        line = file.readline(HEADER_BYTES).decode("utf-8").removeprefix(BYTE_ORDER_MARK)
        cells = next(csv.reader([line], **dialect(tabs=tabs)), [])
    except UnicodeDecodeError as error:
        raise DataError(f"{source}, line 1: not UTF-8 text; write the file as UTF-8") from error
    except (OSError, EOFError, csv.Error) as error:
        raise DataError(f"{source}, line 1: {error}; write the file anew") from error
    if given is not None:
        if cells and len(cells) != len(given):
            raise DataError(
                f"{source}: {len(cells)} columns, expected {len(given)}: {', '.join(given)}"
            )
        return tuple(given)
    names = tuple(cell.strip() for cell in cells)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{source}: two columns are called '{twice[0]}'; leave one of them")
    return names


def _parquet(file: IO[bytes], source: str) -> Part:
    try:
        content = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise DataError(
            f"{source}: not readable as parquet ({why}); write the file anew"
        ) from error
    fields: dict[str, Field] = {}
    unreadable: dict[str, str] = {}
    for place in range(content.metadata.num_columns):
        column = content.schema.column(place)
        name = column.path.partition(".")[0]
        kind = content.schema_arrow.field(name).type
        if column.logical_type.type in UNKNOWN_TYPES:
            raise DataError(
                f"{source}: column '{name}' is {kind}, a type with which Glue cannot read the file "
                "at all; leave the column out or write it as another"
            )
        if name != column.path or column.max_repetition_level or pa.types.is_duration(kind):
            fields[name] = Field(None, str(kind))
            continue
        chunks = [
            content.metadata.row_group(group).column(place)
            for group in range(content.metadata.num_row_groups)
        ]
        if chunks and all(map(_is_null, chunks)):
            fields[name] = Field("nothing", "null")
            continue
        fields[name] = _field(column, str(kind))
        if reason := next(filter(None, map(_unreadable, chunks)), None):
            unreadable[name] = reason
    return Part(source=source, format="parquet", fields=fields, unreadable=unreadable)


def _is_null(chunk: Any) -> bool:
    return bool(chunk.is_stats_set and chunk.statistics.null_count == chunk.num_values)


def _unreadable(chunk: Any) -> str | None:
    if chunk.compression not in CODECS:
        return f"is compressed by {chunk.compression.lower()}, which Glue cannot read; use zstd"
    if odd := set(chunk.encodings) - ENCODINGS:
        return f"is encoded as {min(odd)}, which Glue cannot read; write it without"
    return None


def _field(column: Any, type_: str) -> Field:  # noqa: C901, PLR0911 - a case for each type
    """Return as what a column of parquet was written, and the type that Spark takes it for."""
    logical = _parameters(column.logical_type)
    match column.physical_type, column.logical_type.type:
        case _, "UNKNOWN":
            return Field("nothing", "null")
        case "BYTE_ARRAY", "STRING" | "ENUM":
            return Field("text", type_, "string")
        case "INT32" | "INT64", "NONE" | "INT":
            bits = logical.get("bitWidth", 32 if column.physical_type == "INT32" else 64)
            return Field("integer", type_, _INTEGERS[bits, logical.get("isSigned", True)])
        case "FLOAT", _:
            return Field("number", type_, "float")
        case "DOUBLE", _:
            return Field("number", type_, "double")
        case _, "DECIMAL" if column.precision <= MOST_DIGITS:
            digits = f"decimal({column.precision},{column.scale})"
            return Field("integer" if column.scale == 0 else "number", type_, digits)
        case "INT32", "DATE":
            return Field("time", type_, "date")
        case "INT64", "TIMESTAMP" if logical["timeUnit"] == "nanoseconds":
            return Field("nanoseconds", type_, "bigint")
        case "INT64", "TIMESTAMP":
            utc = logical["isAdjustedToUTC"]
            return Field("time", type_, "timestamp" if utc else "timestamp_ntz")
        case "INT96", _:
            return Field("time", type_, "timestamp")
        case _:
            return Field(None, type_)


_INTEGERS = {
    (8, True): "tinyint",
    (16, True): "smallint",
    (32, True): "int",
    (64, True): "bigint",
    (8, False): "smallint",
    (16, False): "int",
    (32, False): "bigint",
    (64, False): "decimal(20,0)",
}
"""Spark's integers by parquet's bits and sign."""


def _parameters(logical: Any) -> dict[str, Any]:
    """Return the parameters of a logical type."""
    parameters: dict[str, Any] = json.loads(logical.to_json())
    return parameters
