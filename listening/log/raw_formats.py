"""The forms in which raw listening data comes, recognised by the names of its files.

- the project's own: each table of `listening.log.tables` as ``.parquet``, ``.csv``, ``.csv.gz``,
  ``.tsv`` or ``.tsv.gz``, or a folder of such parts;
- the Kaggle one: ``user_top_artists`` alone, listeners without countries;
- Last.fm-360K: two TSV files without header, by play count instead of rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from listening.errors import DataError, named
from listening.log.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FileFormat = Literal["parquet", "csv", "tsv"]

SYNTHETIC = "SYNTHETIC"
"""Name of the file that marks a folder or batch of raw data as invented."""

_SUFFIXES: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "tsv",
    ".tsv.gz": "tsv",
}
_FORMS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    **{name: (name, None) for name in TABLES},
    "user_top_artists": ("top_artists", None),
    "usersha1-artmbid-artname-plays": (
        "top_artists",
        ("user_id", "mbid", "artist_name", "playcount"),
    ),
    "usersha1-profile": ("users", ("user_id", "gender", "age", "country", "signup")),
}
"""By the name of a file or folder without its suffix: the table, and the columns of one without
header."""


@dataclass(frozen=True)
class RawTable:
    """A table of raw data.

    Parameters
    ----------
    name
        The file's or folder's name within the batch.
    format
        How it is written; None for a folder, whose parts decide.
    columns
        What the columns are, where the file has no header.
    """

    name: str
    format: FileFormat | None
    columns: tuple[str, ...] | None = None


def file_format(name: str) -> FileFormat | None:
    """Return how a file is written, by its suffix; None for a suffix that is not read."""
    return next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)


def recognise(names: Iterable[str], *, source: str) -> dict[str, RawTable]:
    """Find the tables of raw data among the names of a folder's files and folders.

    Parameters
    ----------
    names
        File and folder names, without path.
    source
        The folder, for the error.

    Returns
    -------
    dict
        By the name of the table.

    Raises
    ------
    DataError
        There is no table, or one of two would have to be guessed.
    """
    present = sorted(names)
    found: dict[str, RawTable] = {}
    for name in present:
        stem = name.split(".", 1)[0]
        form = file_format(name)
        if stem not in _FORMS or (form is None and name != stem):
            continue
        table, columns = _FORMS[stem]
        if table in found:
            raise DataError(
                f"{source}: {found[table].name} and {name} hold the same table; leave one of them"
            )
        found[table] = RawTable(name, form, columns)
    if not found:
        raise DataError(
            f"{source}: no table of the listening log among {named(present)}; put "
            "top_artists or plays there, as .parquet, .csv or .csv.gz, or make tables of an "
            "export by `listening data convert`"
        )
    return found


def check_entry(source: str, *, is_folder: bool) -> None:
    """Check that what lies in a table's folder can be one of its parts.

    Raises
    ------
    DataError
        It is a folder, or a file of which nobody knows how it is written.
    """
    if is_folder:
        raise DataError(f"{source}: a folder within a table's folder; put all parts into one")
    if file_format(source) is None:
        raise DataError(
            f"{source}: not a part of a table; a table's folder holds {', '.join(_SUFFIXES)} alone"
        )


def lacking(tables: Iterable[str], needs: Sequence[str]) -> list[str]:
    """Return the needed tables that are not there, and cannot be derived from what is."""
    there = set(tables)
    return [name for name in needs if not there & {name, TABLES[name].derived_from}]


def named_tables(names: Iterable[str]) -> set[str]:
    """Return the tables that names of files and folders stand for, readable or not."""
    stems = {name.split(".", 1)[0] for name in names}
    return {table for stem, (table, _) in _FORMS.items() if stem in stems}


def places_of(table: str) -> tuple[str, ...]:
    """Return the names, without suffix, of what holds a table or what it is derived from."""
    tables = {table, TABLES[table].derived_from}
    return tuple(stem for stem, (name, _) in _FORMS.items() if name in tables)


def no_rows(source: str) -> DataError:
    """Return the error about a table without rows."""
    return DataError(f"{source}: the table is empty; it needs a row per listener, or per play")
