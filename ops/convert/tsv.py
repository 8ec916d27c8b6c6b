"""Tab-separated files without quotes, in bulk."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from listening.errors import DataError
from ops.convert.chunks import texts
from ops.convert.sources import NOT_UTF8, WRONG_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.convert.sources import Source

BLOCK = 4 * 1024**2  # bytes
FIRST_LINES = 200


def first_rows(source: Source) -> list[list[str]]:
    """Return the fields of the first lines, of those that have as many as most; none is no TSV."""
    rows = [line.split("\t") for line in source.first_lines[:FIRST_LINES]]
    if not rows:
        return []
    [(fields, lines)] = Counter(map(len, rows)).most_common(1)
    if fields < 2 or lines <= len(rows) / 2:
        return []
    return [row for row in rows if len(row) == fields]


def read_tsv(
    source: Source, names: Sequence[str], *, skip: int = 0
) -> Iterator[tuple[dict[str, pa.Array], Mapping[str, int]]]:
    """Yield columns of trimmed text, null where empty, and the rows that were dropped, by reason.

    Parameters
    ----------
    source
        The file.
    names
        Of its columns; a row with another number of fields is dropped.
    skip
        How many lines the header takes.

    Raises
    ------
    DataError
        A line is longer than a block.
    """
    wrong = 0

    def count(_: Any) -> str:
        nonlocal wrong
        wrong += 1
        return "skip"

    utf8 = source.encoding == "utf-8"
    type_ = pa.binary() if utf8 else pa.string()
    with source.open() as file:
        try:
            reader = pacsv.open_csv(
                file,
                read_options=pacsv.ReadOptions(
                    column_names=list(names),
                    skip_rows=skip,
                    block_size=BLOCK,
                    encoding="utf8" if utf8 else source.encoding,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter="\t", quote_char=False, invalid_row_handler=count
                ),
                convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, type_)),
            )
            counted = 0
            for batch in reader:
                columns, undecoded = _decoded(batch)
                dropped = {WRONG_NUMBER: wrong - counted, NOT_UTF8: undecoded}
                counted = wrong
                yield columns, {reason: n for reason, n in dropped.items() if n}
            if wrong > counted:
                yield (
                    {name: pa.nulls(0, pa.string()) for name in names},
                    {WRONG_NUMBER: wrong - counted},
                )
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{source.name}: {str(error).splitlines()[0]}; is it text with tabs, a row a line?"
            ) from error


def _decoded(batch: pa.RecordBatch) -> tuple[dict[str, pa.Array], int]:
    """Return a batch's columns as text without the rows that are not UTF-8, and their number."""
    try:
        return {name: texts(batch.column(name)) for name in batch.schema.names}, 0
    except pa.ArrowInvalid:
        right = pa.array(
            [all(map(_is_utf8, row.values())) for row in batch.to_pylist()], pa.bool_()
        )
        kept = batch.filter(right)
        columns = {name: texts(kept.column(name)) for name in batch.schema.names}
        return columns, batch.num_rows - kept.num_rows


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
