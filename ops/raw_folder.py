"""A folder of raw data on this machine: checked before anything starts, uploaded as a batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.dataset as ds

from listening.errors import DataError
from listening.log.raw_formats import (
    PLAYS_COLUMNS,
    PLAYS_OPTIONAL,
    SYNTHETIC,
    USERS_COLUMNS,
    USERS_OPTIONAL,
    check_columns,
    check_type,
    file_format,
    no_rows,
    recognise,
)
from listening.resources import RAW, READY
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from listening.log.raw_formats import Kind, RawTable
    from ops.connection import Connection


@dataclass(frozen=True, kw_only=True)
class RawFolder:
    """Raw data that passed its check.

    Parameters
    ----------
    folder
        Where it lies.
    files
        What belongs to it.
    listeners
        Rows of the table of users; None where there is no such table.
    plays
        Rows of the table of plays.
    synthetic
        Whether the listeners are invented.
    """

    folder: Path
    files: tuple[Path, ...]
    listeners: int | None
    plays: int
    synthetic: bool


def check_folder(folder: Path, *, labelled: bool = True) -> RawFolder:
    """Check that a folder holds raw data which the jobs can use.

    Parameters
    ----------
    folder
        Holds the tables of plays and users in one of the forms of `raw_formats`.
    labelled
        Whether countries are needed: for training they are, for scoring not.

    Raises
    ------
    DataError
        A table or column is missing, empty or of the wrong type; names the file and the remedy.
    """
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; give the folder that holds users and top_artists")
    tables = recognise([path.name for path in folder.iterdir()], source=str(folder))
    files = _files(folder / tables.plays.name)
    plays = _check_plays(folder, tables.plays)
    listeners = None
    if tables.users is not None:
        files += _files(folder / tables.users.name)
        listeners = _check_users(folder, tables.users, labelled=labelled)
    elif labelled:
        raise DataError(
            f"{folder}: no table of users; put users.parquet, .csv or .csv.gz "
            "(user_id, country) there, since training needs countries"
        )
    synthetic = folder / SYNTHETIC
    if synthetic.exists():
        files += [synthetic]
    return RawFolder(
        folder=folder,
        files=tuple(files),
        listeners=listeners,
        plays=plays,
        synthetic=synthetic.exists(),
    )


def upload_batch(connection: Connection, raw: RawFolder, *, ready: bool = True) -> str:
    """Copy raw data under ``raw/<batch>/`` and return the batch.

    Parameters
    ----------
    connection
        Where to.
    raw
        What.
    ready
        Whether to add the object ``_READY`` at the end, which starts the feature workflow.
    """
    batch = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{_content_hash(raw)}"
    bucket = connection.names.data_bucket
    prefix = f"{RAW}{batch}/"
    with explained(f"uploading {raw.folder} to s3://{bucket}/{prefix}"):
        for path in raw.files:
            key = prefix + path.relative_to(raw.folder).as_posix()
            connection.s3.upload_file(str(path), bucket, key)
        if ready:
            connection.s3.put_object(Bucket=bucket, Key=prefix + READY, Body=b"")
    return batch


def _content_hash(raw: RawFolder) -> str:
    digest = hashlib.sha256()
    for path in raw.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]


def _files(place: Path) -> list[Path]:
    """Return a table's file, or the parts of its folder that Spark too would read."""
    if place.is_file():
        return [place]
    parts = sorted(
        path for path in place.rglob("*") if path.is_file() and not path.name.startswith(("_", "."))
    )
    if not parts:
        raise DataError(f"{place}: the folder is empty; it should hold the parts of the table")
    return parts


def _check_plays(folder: Path, table: RawTable) -> int:
    rows = 0
    read = (*PLAYS_COLUMNS, "rank")
    for batch in _batches(folder, table, PLAYS_COLUMNS, optional=PLAYS_OPTIONAL, read=read):
        rows += batch.num_rows
        if "rank" in batch.schema.names:
            _check_rank(folder / table.name, batch.column("rank"))
    if rows == 0:
        raise no_rows(str(folder / table.name))
    return rows


def _check_rank(path: Path, rank: pa.Array) -> None:
    try:
        least = pc.min(rank.cast(pa.float64())).as_py()
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: column 'rank' must hold whole numbers from 1 ({error})"
        ) from error
    if least is not None and least < 0:
        raise DataError(f"{path}: column 'rank' holds {least:g}; ranks count from 1")


def _check_users(folder: Path, table: RawTable, *, labelled: bool) -> int:
    rows = labels = 0
    wanted = USERS_COLUMNS if labelled else USERS_COLUMNS[:1]
    for batch in _batches(folder, table, wanted, optional=USERS_OPTIONAL, read=wanted):
        rows += batch.num_rows
        if labelled:
            countries = pc.utf8_trim_whitespace(batch.column("country").cast(pa.string()))
            labels += pc.sum(pc.greater(pc.utf8_length(countries), 0)).as_py() or 0
    path = folder / table.name
    if rows == 0:
        raise no_rows(str(path))
    if labelled and labels == 0:
        raise DataError(
            f"{path}: column 'country' is empty in all {rows:,} rows; training needs it"
        )
    return rows


def _batches(
    folder: Path,
    table: RawTable,
    required: tuple[str, ...],
    *,
    optional: tuple[str, ...],
    read: tuple[str, ...],
) -> Iterator[Any]:
    """Yield the record batches of columns to read, text files' columns as strings.

    The types of the others that the jobs use are looked at too.
    """
    path = folder / table.name
    try:
        dataset = ds.dataset(_files(path), format=_format(path, table, required + optional))
        there = dataset.schema
        check_columns(there.names, required, source=str(path))
        for column in required + optional:
            if column in there.names:
                _check_type(column, there.field(column).type, path)
        yield from dataset.to_batches(columns=[column for column in read if column in there.names])
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _check_type(column: str, type_: pa.DataType, path: Path) -> None:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    kind: Kind | None = None
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        kind = "text"
    elif pa.types.is_integer(type_):
        kind = "integer"
    elif pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        kind = "number"
    if not pa.types.is_null(type_):  # nothing is in it, which is found out by itself
        check_type(column, kind, found=str(type_), source=str(path))


def _format(path: Path, table: RawTable, columns: tuple[str, ...]) -> Any:
    form = table.format or file_format(_files(path)[0].name)
    if form == "parquet":
        return "parquet"
    tabs = form == "tsv"
    return ds.CsvFileFormat(
        read_options=pacsv.ReadOptions(column_names=table.columns),
        parse_options=pacsv.ParseOptions(
            delimiter="\t" if tabs else ",", quote_char=False if tabs else '"'
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True
        ),
    )
