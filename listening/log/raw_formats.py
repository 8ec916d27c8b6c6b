"""The forms in which raw listening data comes, recognised by the names of its files; their columns.

- the project's own: ``top_artists`` and ``users`` as ``.parquet``, ``.csv``, ``.csv.gz`` or a
  folder of such parts;
- the Kaggle one: ``user_top_artists`` alone, listeners without countries;
- Last.fm-360K: two TSV files without header, by play count instead of rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FileFormat = Literal["parquet", "csv", "tsv"]
Kind = Literal["text", "integer", "number"]
"""Of a column's values; an integer is a number too."""

SYNTHETIC = "SYNTHETIC"
"""Name of the file that marks a folder or batch of raw data as invented."""

PLAYS_COLUMNS = ("user_id", "artist_name")
PLAYS_OPTIONAL = ("rank", "playcount", "mbid")
USERS_COLUMNS = ("user_id", "country")
USERS_OPTIONAL = ("total_scrobbles",)
TEXT = ("user_id", "artist_name", "country", "mbid")
"""Columns that must be text; a listener's id may be an integer as well.

The others are numbers, or text in which numbers stand.
"""
MOST_NAMES = 8  # of a folder, in an error

_SUFFIXES: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "tsv",
    ".tsv.gz": "tsv",
}
_PLAYS = {
    "top_artists": None,
    "user_top_artists": None,
    "usersha1-artmbid-artname-plays": ("user_id", "mbid", "artist_name", "playcount"),
}
_USERS = {
    "users": None,
    "usersha1-profile": ("user_id", "gender", "age", "country", "signup"),
}


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


@dataclass(frozen=True)
class RawTables:
    """The tables of a batch of raw data; without users, nobody's country is known."""

    plays: RawTable
    users: RawTable | None


def file_format(name: str) -> FileFormat | None:
    """Return how a file is written, by its suffix; None for a suffix that is not read."""
    return next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)


def recognise(names: Iterable[str], *, source: str) -> RawTables:
    """Find the tables of raw data among the names of a folder's files and folders.

    Parameters
    ----------
    names
        File and folder names, without path.
    source
        The folder, for the error.

    Raises
    ------
    DataError
        There is no table of plays, or one of two tables would have to be guessed.
    """
    present = sorted(names)
    plays = _find(present, _PLAYS, source)
    if plays is None:
        raise DataError(
            f"{source}: no table of plays among {_listed(present)}; put "
            "top_artists.parquet, .csv or .csv.gz (user_id, rank, artist_name, playcount) there"
        )
    return RawTables(plays, _find(present, _USERS, source))


def check_columns(there: Sequence[str], required: Sequence[str], *, source: str) -> None:
    """Check that a table has the columns that it needs.

    Raises
    ------
    DataError
        One is missing.
    """
    missing = [column for column in required if column not in there]
    if missing:
        raise DataError(
            f"{source}: column '{missing[0]}' is missing; the table has {', '.join(there)}"
        )


def check_type(column: str, kind: Kind | None, *, found: str, source: str) -> None:
    """Check that a column's values are of a kind that can be read.

    Parameters
    ----------
    column
        Its name.
    kind
        What its type holds; None for anything else, such as lists.
    found
        The type's name, for the error.
    source
        The table, for the error.

    Raises
    ------
    DataError
        They are not.
    """
    if kind == "text" or (kind == "integer" and column == "user_id"):
        return
    if column in TEXT or kind is None:
        expected = "text" if column in TEXT else "a number"
        raise DataError(
            f"{source}: column '{column}' is {found}, expected {expected}; write it as such"
        )


def no_rows(source: str) -> DataError:
    """Return the error about a table without rows."""
    return DataError(f"{source}: the table is empty; it needs a row per listener, or per play")


def _listed(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - MOST_NAMES
    some = ", ".join(names[:MOST_NAMES]) or "no files at all"
    return f"{some} and {more:,} more" if more > 0 else some


def _find(
    names: list[str], known: Mapping[str, tuple[str, ...] | None], source: str
) -> RawTable | None:
    found = []
    for name in names:
        stem = name.split(".", 1)[0]
        form = file_format(name)
        if stem in known and (form is not None or name == stem):
            found.append(RawTable(name, form, known[stem]))
    if len(found) > 1:
        raise DataError(
            f"{source}: {' and '.join(table.name for table in found)} hold the same table; "
            "leave one of them"
        )
    return found[0] if found else None
