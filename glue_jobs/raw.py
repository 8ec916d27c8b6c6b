"""Raw batches as two tables of known columns and types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from glue_jobs.job import SPARK_ERRORS, first_cause
from listening.errors import DataError
from listening.log.raw_formats import (
    PLAYS_COLUMNS,
    PLAYS_OPTIONAL,
    TEXT,
    USERS_COLUMNS,
    USERS_OPTIONAL,
    Kind,
    RawTable,
    check_columns,
    check_type,
    file_format,
    no_rows,
    recognise,
)
from listening.resources import RAW, READY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from glue_jobs.storage import Storage


def latest_batch(storage: Storage) -> str:
    """Return the batch under ``raw/`` that was made ready last.

    Raises
    ------
    DataError
        There is none.
    """
    ready = [
        (marker.modified, batch.name)
        for batch in storage.entries(RAW)
        if batch.is_folder
        for marker in storage.entries(f"{RAW}{batch.name}")
        if marker.name == READY
    ]
    if not ready:
        raise DataError(
            f"{storage.uri(RAW)}: no batch with a {READY} file; upload users and top_artists to "
            f"{RAW}<batch>/ and an empty {READY} after them"
        )
    return max(ready)[1]


def read_raw(storage: Storage, batch: str, *, labelled: bool = True) -> tuple[DataFrame, DataFrame]:
    """Read a batch of raw data.

    Parameters
    ----------
    storage
        Where the batch lies.
    batch
        Its name.
    labelled
        Whether a table of users must have a column of countries.

    Returns
    -------
    plays
        ``user_id``, ``artist_name``, ``mbid`` (strings), ``rank``, ``playcount`` (doubles, null
        where there is no number).
    users
        ``user_id``, ``country`` (strings), ``total_scrobbles`` (double); empty where the batch has
        no table of users.

    Raises
    ------
    DataError
        The batch or a column is missing, a table is empty or a column of the wrong type.
    """
    source = f"{RAW}{batch}/"
    entries = [entry.name for entry in storage.entries(source)]
    if not entries:
        raise DataError(
            f"{storage.uri(source)}: there is no such batch; upload one or name another"
        )
    tables = recognise(entries, source=storage.uri(source))
    plays = _read(storage, source, tables.plays, PLAYS_COLUMNS, PLAYS_OPTIONAL)
    if tables.users is None:
        return plays, plays.select(
            "user_id", F.lit(None).cast("string").alias("country"), _nothing("total_scrobbles")
        ).limit(0)
    optional = USERS_OPTIONAL if labelled else (*USERS_OPTIONAL, "country")
    return plays, _read(storage, source, tables.users, USERS_COLUMNS, optional)


def _read(
    storage: Storage,
    source: str,
    table: RawTable,
    columns: tuple[str, ...],
    optional: tuple[str, ...],
) -> DataFrame:
    where = storage.uri(source + table.name)
    try:
        frame = _open(storage, source, table)
        empty = frame.isEmpty()
    except SPARK_ERRORS as error:
        raise DataError(
            f"{where}: not readable ({first_cause(error)}); write the file anew"
        ) from error
    required = [name for name in columns if name not in optional]
    check_columns(frame.columns, required, source=where)
    if empty:
        raise no_rows(where)
    return frame.select(
        *(_column(frame, name, where) for name in dict.fromkeys((*columns, *optional)))
    )


def _open(storage: Storage, source: str, table: RawTable) -> DataFrame:
    uri = storage.uri(source + table.name)
    form = table.format
    if form is None:
        forms = {file_format(part.name) for part in storage.entries(source + table.name)} - {None}
        if len(forms) != 1:
            raise DataError(f"{uri}: a folder must hold .parquet or .csv files, and only one kind")
        form = forms.pop()
    reader = storage.spark.read
    if form == "parquet":
        return reader.parquet(uri)
    if form == "csv":
        return reader.csv(uri, header=True, escape='"', nullValue="")
    frame = reader.csv(uri, sep="\t", quote="", nullValue="")
    names = table.columns or ()
    if len(frame.columns) != len(names):
        raise DataError(
            f"{uri}: {len(frame.columns)} columns, expected {len(names)}: {', '.join(names)}"
        )
    return frame.toDF(*names)


def _column(frame: DataFrame, name: str, where: str) -> Column:
    if name not in frame.columns:
        return _nothing(name)
    column, kind = F.col(f"`{name}`"), frame.schema[name].dataType
    check_type(name, _kind(kind), found=kind.simpleString(), source=where)
    if name in TEXT:
        return F.trim(column.cast("string")).alias(name) if name == "user_id" else column
    return column.cast("double").alias(name)


def _kind(kind: T.DataType) -> Kind | None:
    if isinstance(kind, T.StringType):
        return "text"
    if isinstance(kind, T.IntegralType):
        return "integer"
    return "number" if isinstance(kind, T.NumericType) else None


def _nothing(name: str) -> Column:
    return F.lit(None).cast("string" if name in TEXT else "double").alias(name)
