"""A folder of raw data on this machine: checked before anything starts, uploaded as a batch."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from listening.countries import country_code, is_no_country
from listening.errors import DataError
from listening.log import rows
from listening.log.parts import Field, read_part
from listening.log.plays import ROW_REASONS, settle
from listening.log.raw_formats import (
    SYNTHETIC,
    check_entry,
    file_format,
    lacking,
    no_rows,
    recognise,
)
from listening.log.tables import TABLES
from listening.log.values import read
from listening.names import artist_key
from listening.resources import RAW, READY
from listening.systems import SYSTEMS
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from listening.log.raw_formats import RawTable
    from listening.log.tables import LogTable
    from listening.systems import System
    from ops.connection import Connection

ROWS_PER_BATCH = 200_000
EXAMPLES = 5  # of what is told in a sentence
MOST_VALUES = 10_000  # that are told apart
OTHERS = "…"
COMMAS = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+"


@dataclass(kw_only=True)
class Counts:
    """What a table holds.

    Parameters
    ----------
    rows
        How many, those included that are dropped.
    dropped
        Rows that no job uses, by reason.
    listeners
        Their ids.
    unread
        By column, how often which value is none of the column's kind.
    commas
        By column, values whose commas are taken for thousands'.
    fractions
        By column, which values are fractions where whole numbers are meant.
    negative
        By column, values below 0.
    labels
        Country labels that name no country we know, and how often.
    labelled
        By column, rows that say something; a country's label may also say that there is none.
    """

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    listeners: set[str] = field(default_factory=set)
    unread: dict[str, Counter[str]] = field(default_factory=dict)
    commas: Counter[str] = field(default_factory=Counter)
    negative: Counter[str] = field(default_factory=Counter)
    fractions: dict[str, Counter[str]] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)

    def warnings(self, table: str) -> Iterator[str]:
        """Yield a sentence for everything that is read, but may not be what was meant."""
        for reason, count in self.dropped.items():
            why = reason.replace("_", " ")
            yield f"{table}: {count:,} of {self.rows:,} rows will be dropped: {why}"
        for column, values in self.unread.items():
            yield f"{table}: column '{column}' holds no {_kind(table, column)} in {_some(values)}"
        for column, count in self.commas.items():
            yield f"{table}: column '{column}' has {count:,} values with commas, read as thousands"
        for column, count in self.negative.items():
            yield f"{table}: column '{column}' has {count:,} values below 0"
        for column, values in self.fractions.items():
            yield (
                f"{table}: column '{column}' should hold whole numbers; {_some(values)} are "
                "fractions: thousands are written without points"
            )
        if self.labels:
            yield f"{table}: column 'country' names no known country in {_some(self.labels)}"


@dataclass(frozen=True, kw_only=True)
class RawFolder:
    """Raw data that passed its check.

    Parameters
    ----------
    folder
        Where it lies.
    files
        What belongs to it.
    tables
        What each table holds.
    synthetic
        Whether the listeners are invented.
    """

    folder: Path
    files: tuple[Path, ...]
    tables: dict[str, Counts]
    synthetic: bool

    @property
    def listeners(self) -> int:
        """How many listeners the table of users has; without one, those of the other tables."""
        if "users" in self.tables:
            return len(self.tables["users"].listeners)
        return len(set().union(*(counts.listeners for counts in self.tables.values())))

    @property
    def summary(self) -> str:
        """What there is, in words."""
        rows_ = ", ".join(f"{c.rows:,} rows of {name}" for name, c in self.tables.items())
        return f"{self.listeners:,} listeners, {rows_}" + (", SYNTHETIC" if self.synthetic else "")

    def usable_by(self, *, labelled: bool) -> list[str]:
        """Return the names of the systems that can learn from it, or score it without labels."""
        return [s.name for s in SYSTEMS.values() if not self.lacks(s, labelled=labelled)]

    def lacks(self, system: System, *, labelled: bool = True) -> str:
        """Return what a system lacks here, to learn or to score; nothing if it has all."""
        missing = lacking(self.tables, _needs(system, labelled=labelled))
        labels = [
            f"labels in column '{column}' of {table}"
            for table, columns in system.labels.items()
            if labelled and table in self.tables
            for column in columns
            if not self.tables[table].labelled[column]
        ]
        return " and ".join([*missing, *labels])

    @property
    def warnings(self) -> list[str]:
        """What may not be as it was meant, a sentence each."""
        return [line for name, counts in self.tables.items() for line in counts.warnings(name)]


def check_folder(folder: Path, *, system: System | None = None, labelled: bool = True) -> RawFolder:
    """Check that a folder holds raw data which the jobs can use.

    Parameters
    ----------
    folder
        Holds tables of the log in one of the forms of `raw_formats`.
    system
        Which system is to use it; None for any.
    labelled
        Whether it is to be learned from: to score, no labels are needed.

    Raises
    ------
    DataError
        A table or column is missing, empty or cannot be read; names file, line or column, and the
        remedy.
    """
    if not folder.exists():
        raise DataError(f"{folder}: there is no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; give the folder that holds users and top_artists")
    found = recognise([path.name for path in folder.iterdir()], source=str(folder))
    if system is not None:
        _check_needs(folder, found, system, labelled=labelled)
    files: list[Path] = []
    tables: dict[str, Counts] = {}
    for name, raw in found.items():
        required = system.labels.get(name, ()) if system is not None and labelled else ()
        paths = _files(folder / raw.name)
        files += paths
        tables[name] = _count(folder / raw.name, paths, raw, TABLES[name], required)
    _check_listeners(folder, tables)
    synthetic = folder / SYNTHETIC
    return RawFolder(
        folder=folder,
        files=(*files, *([synthetic] if synthetic.exists() else [])),
        tables=tables,
        synthetic=synthetic.exists(),
    )


def _needs(system: System, *, labelled: bool) -> list[str]:
    """Return the tables that a system needs to learn, or to score."""
    return [name for name in system.needs if labelled or name not in system.labels]


def _check_needs(
    folder: Path, found: dict[str, RawTable], system: System, *, labelled: bool
) -> None:
    if missing := lacking(found, _needs(system, labelled=labelled)):
        columns = {name: (*TABLES[name].needed, *system.labels.get(name, ())) for name in missing}
        wanted = " and ".join(f"{name} ({', '.join(columns[name])})" for name in missing)
        raise DataError(
            f"{folder}: system {system.name} cannot use this, no table of {' and '.join(missing)}; "
            f"put {wanted} there, as .parquet, .csv or .csv.gz"
        )


def _check_listeners(folder: Path, tables: dict[str, Counts]) -> None:
    """Refuse tables that speak of different listeners altogether, such as ids of another form."""
    known = tables["users"].listeners if "users" in tables else set()
    for name, counts in tables.items():
        if known and counts.listeners and not known & counts.listeners:
            one, other = min(counts.listeners), min(known)
            raise DataError(
                f"{folder}: no user_id of {name} (such as '{one}') is among those of users (such "
                f"as '{other}'); write the same ids in both"
            )


def upload_batch(connection: Connection, raw: RawFolder, *, mark: str | None = READY) -> str:
    """Copy raw data under ``raw/<batch>/`` and return the batch.

    Parameters
    ----------
    connection
        Where to.
    raw
        What.
    mark
        The object that is added at the end, which starts the feature workflows: ``_READY`` those of
        all systems, `listening.resources.ready_for` one's; None starts nothing.
    """
    batch = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{_content_hash(raw)}"
    bucket = connection.names.data_bucket
    prefix = f"{RAW}{batch}/"
    with explained(f"uploading {raw.folder} to s3://{bucket}/{prefix}"):
        for path in raw.files:
            key = prefix + path.relative_to(raw.folder).as_posix()
            connection.s3.upload_file(str(path), bucket, key)
        if mark is not None:
            connection.s3.put_object(Bucket=bucket, Key=prefix + mark, Body=b"")
    return batch


def _content_hash(raw: RawFolder) -> str:
    digest = hashlib.sha256()
    for path in raw.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]


def _files(place: Path) -> list[Path]:
    """Return a table's file, or the parts of its folder."""
    if place.is_file():
        return [place]
    parts = sorted(path for path in place.iterdir() if not path.name.startswith(("_", ".")))
    for path in parts:
        check_entry(str(path), is_folder=path.is_dir())
    if not parts:
        raise DataError(f"{place}: the folder is empty; it should hold the parts of the table")
    return parts


def _count(
    place: Path, paths: list[Path], raw: RawTable, table: LogTable, required: Sequence[str]
) -> Counts:
    counts = Counts()
    now = datetime.now(UTC)
    for path in paths:
        form = file_format(path.name)
        assert form is not None  # by `check_entry`, or the table would not have been recognised
        with path.open("rb") as file:
            part = read_part(file, source=str(path), format_=form, columns=raw.columns)
        used = part.used(table, required=required)
        for batch in _batches(path, used, raw):
            _add(counts, table, batch, now)
    if counts.rows == 0:
        raise no_rows(str(place))
    for column in required:
        if not counts.labelled[column]:
            raise DataError(
                f"{place}: column '{column}' is empty in all {counts.rows:,} rows; training needs "
                "it"
            )
    return counts


def _batches(path: Path, used: dict[str, Field], raw: RawTable) -> Iterator[Any]:
    if file_format(path.name) != "parquet":
        yield from rows.read_batches(path, list(used), given=raw.columns)
        return
    try:
        content = pq.ParquetFile(path)
        yield from content.iter_batches(ROWS_PER_BATCH, columns=list(used))
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path}: not readable ({why}); write the file anew") from error


def _add(counts: Counts, table: LogTable, batch: Any, now: datetime) -> None:
    """Add a batch of rows, as they are written, to what is known of its table."""
    values: dict[str, Any] = {}
    for name in batch.schema.names:
        written = batch.column(name)
        values[name] = read(written, table[name].kind)
        _note_values(counts, name, table[name].kind, written, values[name])
        if name != "country":
            _note(counts.labelled, name, len(values[name]) - values[name].null_count)
    counts.rows += batch.num_rows
    if "user_id" in values:
        counts.listeners.update(pc.unique(values["user_id"].drop_null()).to_pylist())
    if table.name == "plays":
        reasons = settle(pa.table(values), now=now).reason
        for place, reason in enumerate(ROW_REASONS):
            _note(counts.dropped, reason, int((reasons == place).sum()))
    else:
        left = pa.array([True] * batch.num_rows)
        for name in table.needed:
            absent = _absent(name, values.get(name, pa.nulls(batch.num_rows)))
            _note(counts.dropped, f"no_{name}", pc.sum(pc.and_(absent, left)).as_py() or 0)
            left = pc.and_(left, pc.invert(absent))
    if "country" in values:
        _note_labels(counts, values["country"])


def _absent(name: str, values: Any) -> Any:
    """Return which values name nothing."""
    if name != "artist_name" or pa.types.is_null(values.type):
        return values.is_null()
    names = pc.fill_null(values, "").dictionary_encode()
    empty = pa.array([artist_key(text) == "" for text in names.dictionary.to_pylist()], pa.bool_())
    return empty.take(names.indices)


def _note(counter: Counter[str], what: str, count: int) -> None:
    if count:
        counter[what] += count


def _note_values(counts: Counts, name: str, kind: str, written: Any, values: Any) -> None:
    """Note what of a column is not what its kind says, or may be meant otherwise."""
    if kind in ("integer", "number"):
        _note(counts.negative, name, pc.sum(pc.less(values, 0)).as_py() or 0)
    if kind == "text" or not pa.types.is_string(written.type):
        return
    given = pc.fill_null(pc.ascii_trim_whitespace(written), "")
    lost = pc.and_(pc.not_equal(given, ""), values.is_null())
    if pc.any(lost).as_py():
        _gather(counts.unread.setdefault(name, Counter()), _frequent(given.filter(lost)))
    if kind in ("integer", "number"):
        commas = pc.match_substring_regex(given, COMMAS)
        _note(counts.commas, name, pc.sum(pc.and_(commas, values.is_valid())).as_py() or 0)
    if kind == "integer":
        fraction = pc.fill_null(pc.not_equal(values, pc.floor(values)), False)
        if pc.any(fraction).as_py():
            _gather(counts.fractions.setdefault(name, Counter()), _frequent(given.filter(fraction)))


def _gather(counter: Counter[str], found: dict[str, int]) -> None:
    """Add counts of values; beyond `MOST_VALUES` different ones, of all others together."""
    for value, count in found.items():
        is_kept = value in counter or len(counter) < MOST_VALUES
        counter[value if is_kept else OTHERS] += count


def _frequent(values: Any) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()}


def _note_labels(counts: Counts, labels: Any) -> None:
    for label, count in _frequent(pc.fill_null(labels, "")).items():
        if not is_no_country(label):
            counts.labelled["country"] += count
            if country_code(label) is None:
                _gather(counts.labels, {label: count})


def _kind(table: str, column: str) -> str:
    return {"time": "time", "id": "id"}.get(TABLES[table][column].kind, "number")


def _some(values: Counter[str]) -> str:
    """Return how many rows, and the most frequent values with their counts."""
    shown = ", ".join(f"'{value}' ({count:,})" for value, count in values.most_common(EXAMPLES))
    more = len(values) - EXAMPLES
    others = f" and {more:,} other values" if more > 0 else ""
    return f"{values.total():,} rows: {shown}{others}"
