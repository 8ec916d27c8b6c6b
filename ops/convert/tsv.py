"""Tab-separated files without quotes, in bulk."""

from __future__ import annotations

import codecs
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv

from ops.convert.chunks import texts
from ops.convert.sources import NOT_UTF8, WRONG_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.convert.sources import Source

BLOCK = 8 * 1024**2  # bytes
BLOCK_LINES = 65_536
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
    source: Source, names: Sequence[str], *, header: bool = False
) -> Iterator[tuple[dict[str, pa.Array], Counter[str]]]:
    """Yield columns of trimmed text, null where empty, and the rows that were dropped, by reason.

    Parameters
    ----------
    source
        The file.
    names
        Of its columns; a row with another number of fields is dropped.
    header
        Whether the first line is none of the rows.
    """
    for block, undecoded in _blocks(source, header=header):
        if not block.strip(b"\r\n"):
            nothing = {name: pa.nulls(0, pa.string()) for name in names}
            yield nothing, +Counter({NOT_UTF8: undecoded})
            continue
        wrong: list[Any] = []
        read = pacsv.read_csv(
            pa.BufferReader(block),
            read_options=pacsv.ReadOptions(column_names=list(names)),
            parse_options=pacsv.ParseOptions(
                delimiter="\t",
                quote_char=False,
                invalid_row_handler=lambda row, wrong=wrong: wrong.append(row.number) or "skip",
            ),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
        dropped = Counter({WRONG_NUMBER: len(wrong), NOT_UTF8: undecoded})
        yield {name: texts(read.column(name).combine_chunks()) for name in names}, +dropped


def _blocks(source: Source, *, header: bool) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines of UTF-8, and how many among them were not."""
    if source.encoding != "utf-8":
        lines = (line or "" for line in source.lines())
        if header:
            next(line for line in lines if line.strip())
        while part := "".join(islice(lines, BLOCK_LINES)):
            yield part.removeprefix("\ufeff").encode(), 0
        return
    with source.open() as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        if header:
            while not file.readline().strip():
                continue
        while block := file.read(BLOCK) + file.readline():
            yield _utf8(block)


def _utf8(block: bytes) -> tuple[bytes, int]:
    """Return the lines of a block that are UTF-8, and the number of the others."""
    try:
        block.decode()
    except UnicodeDecodeError:
        lines = block.split(b"\n")
        right = [line for line in lines if _is_utf8(line)]
        return b"\n".join(right), len(lines) - len(right)
    return block, 0


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
