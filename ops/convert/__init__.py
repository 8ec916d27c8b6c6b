"""Exports of one or many listeners become tables of the listening log.

>>> from pathlib import Path
>>> from ops.convert import convert
>>> convert(Path("exports"), Path("log")).tables["plays"].rows_out  # doctest: +SKIP
48213
"""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.convert import lastfm, lastfm_datasets, listenbrainz, musicbox, spotify, tables
from ops.convert.chunks import TABLES, only_new
from ops.convert.sources import Source, find
from ops.convert.writer import TableWriter, whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from ops.convert.chunks import Chunk, Recognised
    from ops.convert.plays import Play
    from ops.convert.sources import Dropped

__all__ = ["Conversion", "ConvertedFile", "Count", "convert", "exported_plays"]

RESULT = "convert.json"
FORMS = (
    spotify.recognise,
    listenbrainz.recognise,
    musicbox.recognise,
    lastfm_datasets.recognise,
    lastfm.recognise,
    tables.recognise,
)
"""What looks at a file, in this order; the first that recognises it reads it."""
MOST_NAMES = 8  # of files or columns, in a sentence

_UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, pa.ArrowException)
"""What a damaged or locked file raises."""


@dataclass
class Count:
    """Rows on their way into a table: in = out + dropped.

    Parameters
    ----------
    rows_in
        Rows of the source.
    rows_out
        Rows of the table.
    dropped
        Rows that are in the source alone, by reason.
    emptied
        Rows of the table in which a value was left out that is none of its column, by column.
    """

    rows_in: int = 0
    rows_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    emptied: dict[str, int] = field(default_factory=dict)

    def add(self, more: Chunk | Count) -> None:
        """Count more rows."""
        self.rows_in += more.rows_in
        self.rows_out += more.rows_out
        self.dropped = dict(Counter(self.dropped) + Counter(more.dropped))
        self.emptied = dict(Counter(self.emptied) + Counter(more.emptied))


@dataclass(frozen=True, kw_only=True)
class ConvertedFile:
    """A file that was recognised.

    Parameters
    ----------
    name
        Its place in the source.
    form
        What it was recognised as.
    listener
        Whose it is, where its rows do not say.
    encoding
        As what it was read.
    ignored
        Columns of its header that become nothing.
    tables
        Its rows, by table.
    """

    name: str
    form: str
    listener: str | None
    encoding: str
    ignored: tuple[str, ...]
    tables: dict[str, Count]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What became of a source; also written as ``convert.json`` beside the tables.

    Parameters
    ----------
    files
        Those that were recognised.
    not_recognised
        The others: why, by name.
    tables
        The rows of all files, by table.
    """

    files: list[ConvertedFile]
    not_recognised: dict[str, str]
    tables: dict[str, Count]


def convert(
    source: Path, out: Path, *, user: str | None = None, date: date | None = None
) -> Conversion:
    """Make tables of the listening log from exports and data sets.

    Parameters
    ----------
    source
        A file, a folder of them, or a folder with a folder or archive for each listener.
    out
        The folder to write, which must be missing or empty; nothing is left there on failure.
    user
        The listener's id, where the source is one listener's exports; else the name of the folder
        or file is.
    date
        Of logs whose rows and names have none.

    Raises
    ------
    DataError
        There is no such source, nothing in it is recognised or usable, a file is damaged as a
        whole, or the folder is in use.
    """
    found, others = _recognise(source)
    if user is not None:
        _check_one_listener(found, user)
    with whole_folder(out) as folder:
        writers = {
            table: TableWriter(folder / table, table, columns)
            for table, columns in _columns(recognised for _, recognised in found).items()
        }
        files, listed = [], set[str]()
        for file, recognised in found:
            named = replace(file, listener=user or file.listener, day=date)
            files.append(_convert(named, recognised, writers, listed))
        for writer in writers.values():
            writer.close()
        if others.pop(SYNTHETIC, None):  # what is made of invented listeners is as invented
            shutil.copyfile(source / SYNTHETIC, folder / SYNTHETIC)
        result = Conversion(files=files, not_recognised=others, tables=_sums(files))
        _check_rows(result, source)
        text = json.dumps(asdict(result), ensure_ascii=False, indent=2)
        (folder / RESULT).write_text(text + "\n", "utf-8")
    return result


def exported_plays(file: Source) -> Iterator[Play | Dropped] | None:
    """Return the plays of a file that is an export of them; None for any other file.

    Parameters
    ----------
    file
        Of one listener, or of several whose rows name them.
    """
    for form in (spotify.recognise, listenbrainz.recognise, lastfm.recognise):
        recognised = form(file)
        if recognised is not None and recognised.plays is not None:
            return recognised.plays(file)
    return None


def _recognise(source: Path) -> tuple[list[tuple[Source, Recognised]], dict[str, str]]:
    found: list[tuple[Source, Recognised]] = []
    others: dict[str, str] = {}
    for file in find(source):
        if not isinstance(file, Source):
            name, why = file
            others[name] = why
            continue
        try:
            recognised = next((one for form in FORMS if (one := form(file)) is not None), None)
            if recognised is None:
                others[file.name] = _why_not(file)
            else:
                listener = recognised.listener or file.listener
                found.append((replace(file, listener=listener), recognised))
        except _UNREADABLE as error:
            others[file.name] = f"it cannot be read: {_line(error)}"
    if not found:
        some = "; ".join(f"{name}: {why}" for name, why in list(others.items())[:MOST_NAMES])
        raise DataError(
            f"{source}: nothing in it is recognised ({some or 'there are no files'}); the forms "
            "that are read stand in docs/own-data.md"
        )
    return found, others


def _why_not(file: Source) -> str:
    """Return why a file is not recognised, as far as its start tells."""
    if not file.head.strip():
        return "it is empty"
    if file.head.startswith(tables.PARQUET):
        return "its columns belong to no table"
    if not file.first_lines:
        return "it is neither text nor parquet; unpack archives other than zip first"
    first = file.first_lines[0].strip()
    if first.startswith(("[", "{")):
        return "its JSON is no streaming history and no list of listens"
    shown = ", ".join(first.split("\t" if "\t" in first else ",")[:MOST_NAMES])[:100]
    return f"its first row belongs to no form or table: {shown}"


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _check_one_listener(found: Iterable[tuple[Source, Recognised]], user: str) -> None:
    listeners = sorted({file.listener for file, recognised in found if recognised.of_one})
    if len(listeners) > 1:
        raise DataError(
            f"--user {user} names one listener, but these are exports of {len(listeners)}: "
            f"{', '.join(listeners[:MOST_NAMES])}; leave it out, or convert one of them"
        )


def _columns(found: Iterable[Recognised]) -> dict[str, set[str]]:
    columns: dict[str, set[str]] = {}
    for recognised in found:
        for table, names in recognised.columns.items():
            columns.setdefault(table, set()).update(names)
    return {table: columns[table] for table in TABLES if table in columns}


def _convert(
    file: Source, recognised: Recognised, writers: dict[str, TableWriter], listed: set[str]
) -> ConvertedFile:
    counts = {table: Count() for table in recognised.columns}
    try:
        for read in recognised.read(file):
            chunk = only_new(read, listed) if read.table == "tracks" else read
            counts[chunk.table].add(chunk)
            writers[chunk.table].write(chunk)
    except _UNREADABLE as error:
        raise DataError(
            f"{file.name} cannot be read to its end ({_line(error)}); "
            "export or copy it anew, or take it out"
        ) from error
    return ConvertedFile(
        name=file.name,
        form=recognised.form,
        listener=file.listener if recognised.of_one else None,
        encoding="parquet" if file.head.startswith(tables.PARQUET) else file.encoding,
        ignored=tuple(recognised.ignored),
        tables=counts,
    )


def _sums(files: Iterable[ConvertedFile]) -> dict[str, Count]:
    sums: dict[str, Count] = {}
    for file in files:
        for table, count in file.tables.items():
            sums.setdefault(table, Count()).add(count)
    return sums


def _check_rows(result: Conversion, source: Path) -> None:
    if any(count.rows_out for count in result.tables.values()):
        return
    reasons = sum((Counter(count.dropped) for count in result.tables.values()), Counter[str]())
    said = ", ".join(f"{reason}: {rows:,}" for reason, rows in reasons.most_common())
    raise DataError(f"{source}: no row of it can be used ({said or 'there are none'})")
