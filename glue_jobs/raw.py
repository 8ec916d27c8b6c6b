"""Raw batches as tables of known columns and types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from glue_jobs.job import SPARK_ERRORS, first_cause
from listening.errors import DataError
from listening.log.parts import Field, Part, read_part
from listening.log.plain import BLANKS, DIGIT_FIRST, EPOCH, EPOCH_UNITS, NUMBER, TIME
from listening.log.raw_formats import (
    RawTable,
    check_entry,
    file_format,
    lacking,
    named_tables,
    no_rows,
    recognise,
)
from listening.log.tables import TABLES, Kind, LogTable
from listening.log.values import LARGEST_INTEGER
from listening.resources import RAW, READY, ready_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glue_jobs.job import Arguments
    from glue_jobs.storage import Storage

SPARK_TYPES: dict[Kind, str] = {
    "id": "string",
    "text": "string",
    "integer": "double",
    "number": "double",
    "time": "timestamp",
}
_STRICT: dict[str, str | int] = {
    "mode": "FAILFAST",
    "columnPruning": False,  # else a row of another width passes
    "maxCharsPerColumn": -1,
}
COMMAS = {**_STRICT, "escape": '"', "multiLine": True}
TABS = {**_STRICT, "sep": "\t", "quote": ""}
"""How Spark reads text: as `listening.log.text` does, or not at all."""


def chosen_batch(
    storage: Storage, arguments: Arguments, *, system: str, needs: Sequence[str]
) -> str:
    """Return the batch that argument ``batch`` names: by default `latest_batch`."""
    batch = arguments.get("batch", "latest")
    return latest_batch(storage, system=system, needs=needs) if batch == "latest" else batch


def latest_batch(storage: Storage, *, system: str, needs: Sequence[str]) -> str:
    """Return the batch that was made ready last, for all systems or for this one.

    Parameters
    ----------
    storage
        The data bucket.
    system
        Whose job asks.
    needs
        Tables that must be in it: a batch for other systems is passed over.

    Raises
    ------
    DataError
        There is none.
    """
    ready = []
    for batch in storage.entries(RAW):
        entries = storage.entries(f"{RAW}{batch.name}") if batch.is_folder else []
        if not lacking(named_tables(entry.name for entry in entries), needs):
            marks = (entry for entry in entries if entry.name in (READY, ready_for(system)))
            ready += [(mark.modified, batch.name) for mark in marks]
    if not ready:
        tables = " and ".join(needs)
        raise DataError(
            f"{storage.uri(RAW)}: no batch with {tables} and a {READY} file; upload {tables} to "
            f"{RAW}<batch>/ and an empty {READY} after them"
        )
    return max(ready)[1]


@dataclass(frozen=True)
class RawBatch:
    """A batch of raw data.

    Parameters
    ----------
    storage
        Where it lies.
    prefix
        Its folder's.
    tables
        What is in it, by the table's name.
    """

    storage: Storage
    prefix: str
    tables: dict[str, RawTable]

    @classmethod
    def find(cls, storage: Storage, batch: str, *, needs: Sequence[str]) -> RawBatch:
        """Find the tables of a batch.

        Parameters
        ----------
        storage
            Where it lies.
        batch
            Its name.
        needs
            Tables that must be in it, or one that they are derived from.

        Raises
        ------
        DataError
            The batch or a table is missing.
        """
        prefix = f"{RAW}{batch}/"
        entries = [entry.name for entry in storage.entries(prefix)]
        if not entries:
            raise DataError(
                f"{storage.uri(prefix)}: there is no such batch; upload one or name another"
            )
        tables = recognise(entries, source=storage.uri(prefix))
        if missing := lacking(tables, needs):
            raise DataError(f"{storage.uri(prefix)}: no table {' and '.join(missing)} in it")
        return cls(storage, prefix, tables)

    def __contains__(self, table: str) -> bool:
        return table in self.tables

    def read(self, name: str, *, required: Sequence[str] = ()) -> DataFrame:
        """Read a table of the batch.

        Parameters
        ----------
        name
            The table's.
        required
            Columns that it must have beside those that the table needs.

        Returns
        -------
        DataFrame
            All columns of the table, null where it does not have them or they hold something else;
            no rows where the batch does not have the table.

        Raises
        ------
        DataError
            It is empty, or a part of it cannot be read; names part, column and remedy.
        """
        table = TABLES[name]
        if name not in self.tables:
            nothing = self.storage.spark.range(0)
            return nothing.select(*(_absent(table, column) for column in table.names))
        groups: dict[tuple[object, ...], list[Part]] = {}
        used: dict[str, dict[str, Field]] = {}
        for part in self._parts(self.tables[name]):
            used[part.source] = part.used(table, required=required)
            fields = part.fields if part.format != "parquet" else used[part.source]
            groups.setdefault((part.format, *fields.items()), []).append(part)
        where = self.storage.uri(self.prefix + self.tables[name].name)
        try:
            frames = [self._group(table, parts, used[parts[0].source]) for parts in groups.values()]
            frame = reduce(DataFrame.unionByName, frames)
            empty = frame.isEmpty()
        except SPARK_ERRORS as error:
            raise DataError(
                f"{where}: not readable ({first_cause(error)}); `listening data check` tells the "
                "file and line"
            ) from error
        if empty:
            raise no_rows(where)
        return frame

    def _parts(self, raw: RawTable) -> list[Part]:
        """Return what each file of a table says of itself; a folder within it is refused."""
        key = self.prefix + raw.name
        if raw.format is not None:
            files = [(key, raw.format)]
        else:
            entries = [e for e in self.storage.entries(key) if not e.name.startswith(("_", "."))]
            for entry in entries:
                check_entry(self.storage.uri(f"{key}/{entry.name}"), is_folder=entry.is_folder)
            files = [(f"{key}/{e.name}", form) for e in entries if (form := file_format(e.name))]
        if not files:
            raise DataError(f"{self.storage.uri(key)}: the folder is empty; it should hold parts")
        parts = []
        for place, form in files:
            with self.storage.reader(place) as file:
                part = read_part(
                    file, source=self.storage.uri(place), format_=form, columns=raw.columns
                )
            parts.append(part)
        return parts

    def _group(self, table: LogTable, parts: list[Part], used: dict[str, Field]) -> DataFrame:
        """Read the parts of one schema, by their own columns."""
        first, reader = parts[0], self.storage.spark.read
        paths = [part.source for part in parts]
        if first.format == "parquet":
            schema = ", ".join(f"`{name}` {field.spark}" for name, field in used.items())
            frame = reader.schema(schema).parquet(*paths)
        else:
            schema = ", ".join(f"`{name}` string" for name in first.fields)
            options = COMMAS if first.format == "csv" else TABS
            header = self.tables[table.name].columns is None
            frame = reader.schema(schema).options(**options, header=header).csv(paths)
        return frame.select(
            *(
                read_column(name, table[name].kind, used[name]).alias(name)
                if name in used
                else _absent(table, name)
                for name in table.names
            )
        )


def _absent(table: LogTable, name: str) -> Column:
    return F.lit(None).cast(SPARK_TYPES[table[name].kind]).alias(name)


def read_column(name: str, kind: Kind, field: Field) -> Column:
    """Return a column as what its kind says, as `listening.log.values.read` does.

    Parameters
    ----------
    name, kind
        Of the table's column.
    field
        As what it was written.
    """
    column = F.col(f"`{name}`")
    if kind == "text":
        return column
    if field.written == "text":
        column = F.regexp_replace(column, BLANKS, "")
    if kind == "id":
        return _id(column, field)
    if kind == "time":
        return _time_of_text(column) if field.written == "text" else _time(column, field)
    return _finite(_number_of_text(column) if field.written == "text" else column.cast("double"))


def _id(column: Column, field: Field) -> Column:
    if field.written == "text":
        return F.when(column != "", column)
    if field.written == "integer":
        return column.cast("string")
    number = column.cast("double")
    whole = (number == F.floor(number)) & (F.abs(number) < LARGEST_INTEGER)
    return F.when(whole, number.cast("bigint").cast("string"))


def _number_of_text(column: Column) -> Column:
    valid = column.rlike(NUMBER) & column.rlike(DIGIT_FIRST)
    return F.when(valid, F.regexp_replace(column, ",", "").cast("double"))


def _finite(column: Column) -> Column:
    return F.when(~F.isnan(column) & (F.abs(column) < float("inf")), column)


def _time(column: Column, field: Field) -> Column:
    if field.written == "time":
        return column.cast("timestamp")
    if field.written == "nanoseconds":
        return F.timestamp_micros(F.floor(column / 1000).cast("bigint"))
    return _instant(_epoch(column.cast("double")))


def _epoch(count: Column) -> Column:
    """Return microseconds of a count since 1970, by the unit that its size tells."""
    scaled = F.when(F.isnan(count), F.lit(None))
    for limit, unit in EPOCH_UNITS:
        scaled = scaled.when(F.abs(count) < limit, count * unit)
    return scaled


def _instant(micros: Column) -> Column:
    valid = F.abs(micros) < LARGEST_INTEGER
    return F.when(valid, F.timestamp_micros(F.floor(micros).cast("bigint")))


def _time_of_text(column: Column) -> Column:
    pattern = TIME.replace("(?P<", "(?<")  # Java's way to name a group
    date, minute, second, fraction, zone = (
        F.regexp_extract(column, pattern, group) for group in range(1, 6)
    )

    def part(found: Column, absent: str) -> Column:
        return F.when(found == "", absent).otherwise(found)

    written = F.concat(
        date, F.lit(" "), part(minute, "00:00"), F.lit(":"), part(second, "00"),
        F.lit("."), part(fraction, "0"),
    )  # fmt: skip
    hours, minutes = (F.substring(zone, start, 2).cast("bigint") for start in (2, -2))
    sign = F.when(zone.startswith("-"), -1).when(zone.startswith("+"), 1).otherwise(0)
    offset = F.coalesce(sign * (hours * 60 + minutes), F.lit(0)) * 60_000_000
    told = F.when(date != "", written.cast("timestamp"))
    counted = F.when(column.rlike(EPOCH), _instant(_epoch(column.cast("double"))))
    return F.coalesce(F.timestamp_micros(F.unix_micros(told) - offset), counted)
