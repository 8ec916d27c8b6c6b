"""A listener in a file: in a table's rows, and in captured requests and answers.

Tables are read as the jobs read them. What cannot be read is an error, never taken for empty.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from listening.errors import DataError
from listening.log.parts import READS, Field, read_part
from listening.log.plain import bare
from listening.log.raw_formats import SYNTHETIC, file_format, recognise
from listening.log.text import open_text, read_rows
from listening.log.values import read
from listening.resources import RAW, READY, ready_for
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LISTENER = "user_id"
CAPTURES = ".jsonl"
_OWN_NAMES = (READY, SYNTHETIC, "_SUCCESS", *map(ready_for, SYSTEMS))
NOTHING = Field("nothing", "null")
_NO_IDS = "application/x-npy"  # an answer in it tells nobody's id


def is_ours(key: str) -> bool:
    """Tell whether an object holds no listeners: marks, folders, and what jobs write of runs."""
    name = PurePosixPath(key).name
    return (
        key.endswith("/")
        or name in _OWN_NAMES
        or name.startswith(".")
        or (name.endswith(".json") and not key.startswith(RAW))
    )


def count(file: Path, key: str, user_id: str) -> int:
    """Return how many rows of a table, or captured bodies, are a listener's.

    Parameters
    ----------
    file
        The object's content.
    key
        The object's, which tells what it is.
    user_id
        As in the column of this name, without blanks around it.

    Raises
    ------
    DataError
        It cannot be read.
    """
    match file_format(file.name):
        case "parquet":
            return sum(pc.sum(named).as_py() or 0 for _, named in _batches(file, user_id))
        case None if file.name.endswith(CAPTURES):
            return sum(removed for _, removed in _captures(file, user_id))
        case None:
            raise DataError(f"{file}: neither a table nor captures; look into it by hand")
        case _:
            return sum(is_theirs for _, is_theirs in _rows(file, key, user_id))


def write_without(file: Path, key: str, user_id: str, target: Path) -> None:
    """Write a table, or captures, without a listener; see `count`."""
    match file_format(file.name):
        case "parquet":
            schema = pq.ParquetFile(file).schema_arrow
            with pq.ParquetWriter(target, schema, compression="zstd") as writer:
                for batch, named in _batches(file, user_id):
                    writer.write_batch(batch.filter(pc.invert(named)))
        case None:
            lines = (line for line, _ in _captures(file, user_id) if line is not None)
            target.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        case form:
            with _text(target) as text:
                writer_ = csv.writer(text, lineterminator="\n")
                for row, is_theirs in _rows(file, key, user_id):
                    if not is_theirs and form == "tsv":
                        text.write("\t".join(row) + "\n")
                    elif not is_theirs:
                        writer_.writerow(row)


def _text(target: Path) -> IO[str]:
    if target.suffix == ".gz":
        return gzip.open(target, "wt", encoding="utf-8", newline="")
    return target.open("w", encoding="utf-8", newline="")


def _batches(file: Path, user_id: str) -> Iterator[tuple[pa.RecordBatch, Any]]:
    """Yield a table's batches, and which rows are the listener's."""
    with file.open("rb") as content:
        part = read_part(content, source=str(file), format_="parquet")
    listener = part.fields.get(LISTENER, NOTHING)
    if listener.written not in (*READS["id"], "nothing"):
        raise DataError(f"{file}: column '{LISTENER}' is {listener.type}; look into it by hand")
    if listener is NOTHING:
        return
    try:
        for batch in pq.ParquetFile(file).iter_batches():
            yield batch, _is(batch.column(LISTENER), user_id)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not readable ({str(error).splitlines()[0]})") from error


def _is(ids: Any, user_id: str) -> Any:
    """Return which ids are the listener's; one that is missing is nobody's."""
    return pc.fill_null(pc.equal(read(ids, "id"), user_id), fill_value=False)


def _rows(file: Path, key: str, user_id: str) -> Iterator[tuple[list[str], bool]]:
    """Yield the rows of a text file, the header too, and whether they are the listener's."""
    given = _given(key)
    with open_text(file) as content:
        place: int | None = None
        for _, row in read_rows(
            content,
            source=str(file),
            tabs=file_format(file.name) == "tsv",
            width=len(given) if given else None,
        ):
            if place is None:
                names = list(given) if given else [cell.strip() for cell in row]
                place = names.index(LISTENER) if LISTENER in names else len(names)
            is_theirs = place < len(row) and bare(row[place]) == user_id
            yield row, is_theirs


def _given(key: str) -> Sequence[str] | None:
    """Return the columns of a raw table without header."""
    parts = PurePosixPath(key).parts
    name = parts[2] if key.startswith(RAW) and len(parts) > 2 else parts[-1]
    try:
        tables = recognise([name], source=key)
    except DataError:
        return None
    return next(iter(tables.values())).columns


def _captures(file: Path, user_id: str) -> Iterator[tuple[str | None, int]]:
    """Yield captured requests without the listener, None for one with nothing left, and bodies."""
    for number, line in enumerate(file.read_text("utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            parts = document["captureData"].values()
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(f"{file}, line {number}: no captured request ({error!r})") from error
        removed = [_prune(part, user_id) for part in parts]
        found = sum(count for count, _ in removed)
        if not found:
            yield line, 0
            continue
        kinds = {_kind(part) for part in parts}
        is_left = all(left for _, left in removed) and _NO_IDS not in kinds
        yield (json.dumps(document, ensure_ascii=False) if is_left else None), found


def _prune(part: Any, user_id: str) -> tuple[int, bool]:
    """Take a listener out of a captured body; return how often, and whether anybody is left."""
    coded = part.get("encoding") == "BASE64"
    text = str(part.get("data", ""))
    body = base64.b64decode(text) if coded else text.encode()
    try:
        found, left = _without(body, _kind(part), user_id)
    except (ValueError, DataError, pa.ArrowException):
        # The endpoint refused such a body; it goes if the id stands in it.
        is_named = re.search(rf"(?<![\w-]){re.escape(user_id)}(?![\w-])".encode(), body)
        return (1, False) if is_named else (0, True)
    if found and left is not None:
        part["data"] = base64.b64encode(left).decode() if coded else left.decode()
    return found, left is not None


def _kind(part: Any) -> str:
    return str(part.get("observedContentType", "")).partition(";")[0].strip().lower()


def _without(body: bytes, kind: str, user_id: str) -> tuple[int, bytes | None]:
    """Return how often a body names a listener, and the body without; None if nobody is left."""
    match kind:
        case "text/csv":
            return _csv_without(body, user_id)
        case "application/x-parquet":
            return _parquet_without(body, user_id)
        case "application/jsonlines":
            lines = [line for line in body.decode().split("\n") if line.strip()]
            pruned = [_pruned(json.loads(line), user_id) for line in lines]
            left = [_json(document) for document, _ in pruned if document is not None]
            return sum(found for _, found in pruned), b"\n".join(left) + b"\n" if left else None
        case _ if kind == _NO_IDS:
            return 0, body
        case _:
            document, found = _pruned(json.loads(body), user_id)
            return found, None if document is None else _json(document)


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _csv_without(body: bytes, user_id: str) -> tuple[int, bytes | None]:
    table = [row for _, row in read_rows(io.BytesIO(body), source="body", tabs=False)]
    names = [bare(cell) for cell in table[0]] if table else []
    if LISTENER not in names:
        return 0, body
    place = names.index(LISTENER)
    kept = [row for row in table if bare(row[place]) != user_id]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(kept)
    return len(table) - len(kept), text.getvalue().encode() if len(kept) > 1 else None


def _parquet_without(body: bytes, user_id: str) -> tuple[int, bytes | None]:
    table = pq.read_table(io.BytesIO(body))
    if LISTENER not in table.column_names:
        return 0, body
    kept = table.filter(pc.invert(_is(table.column(LISTENER).combine_chunks(), user_id)))
    buffer = io.BytesIO()
    pq.write_table(kept, buffer)
    return table.num_rows - kept.num_rows, buffer.getvalue() if kept.num_rows else None


def _pruned(document: Any, user_id: str) -> tuple[Any, int]:
    """Return a JSON document without what is a listener's; None if that is all that it held."""
    match document:
        case dict():
            if bare(str(document.get(LISTENER))) == user_id:
                return None, 1
            pruned = {name: _pruned(value, user_id) for name, value in document.items()}
            found = sum(n for _, n in pruned.values())
            if found and any(n and value is None for value, n in pruned.values()):
                return None, found
            return {name: value for name, (value, _) in pruned.items()}, found
        case list():
            items = [_pruned(item, user_id) for item in document]
            found = sum(n for _, n in items)
            left = [item for item, n in items if not (n and item is None)]
            return (None if found and not left else left), found
        case _:
            return document, 0
