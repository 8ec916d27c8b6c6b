"""A listener taken out of everything that the buckets keep: every table, capture and old version.

The artists' vectors and the models are sums over many listeners and name nobody; they stay until
the next run learns them anew without this listener.
"""

from __future__ import annotations

import base64
import csv
import gzip
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from listening.log.raw_formats import file_format
from listening.resources import CAPTURES, RAW
from listening.systems import SYSTEMS
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.connection import Connection

LISTENER = "user_id"
CAPTURE_SUFFIX = ".jsonl"
AT_ONCE = 8  # objects looked into at the same time


@dataclass(frozen=True, kw_only=True)
class Trace:
    """An object version that names the listener.

    Parameters
    ----------
    place
        One of `places`.
    bucket, key, version
        Which object version.
    is_latest
        Whether it is what a reader of the key gets.
    rows
        How many rows, or captured requests, are the listener's.
    """

    place: str
    bucket: str
    key: str
    version: str
    is_latest: bool
    rows: int


def places() -> list[str]:
    """Return the prefixes that hold listeners, of whatever system, deployed still or not.

    `CAPTURES` is one of the models bucket, the others of the data bucket.
    """
    outputs = [system.output(job.name) for system in SYSTEMS.values() for job in system.jobs]
    return [RAW, *outputs, CAPTURES]


def find_listener(connection: Connection, user_id: str) -> list[Trace]:
    """Return every object version that names a listener."""
    versions = [version for place in places() for version in _versions(connection, place)]

    def look(version: Trace) -> Trace:
        with tempfile.TemporaryDirectory() as scratch:
            file = _download(connection, version, Path(scratch))
            return Trace(**{**vars(version), "rows": count_rows(file, user_id)})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [trace for trace in pool.map(look, versions) if trace.rows]


def forget_listener(connection: Connection, user_id: str, traces: Sequence[Trace]) -> None:
    """Write the latest versions anew without a listener, and delete those that name them.

    A new version is written before the old one is deleted, so that whatever interrupts this, no
    other listener is lost and a second call does the rest.
    """
    for trace in traces:
        name = f"s3://{trace.bucket}/{trace.key} (version {trace.version})"
        with tempfile.TemporaryDirectory() as scratch, explained(f"forgetting in {name}"):
            if trace.is_latest:
                file = _download(connection, trace, Path(scratch))
                without = Path(scratch) / f"without-{file.name}"
                write_without(file, user_id, without)
                connection.s3.upload_file(str(without), trace.bucket, trace.key)
            connection.s3.delete_object(Bucket=trace.bucket, Key=trace.key, VersionId=trace.version)


def _versions(connection: Connection, place: str) -> Iterator[Trace]:
    """Yield the versions of a place's tables and captures, as traces of nobody yet."""
    names = connection.names
    bucket = names.models_bucket if place == CAPTURES else names.data_bucket
    with explained(f"listing the versions of s3://{bucket}/{place}"):
        pages = connection.s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=place
        )
        for page in pages:
            for entry in page.get("Versions", ()):
                if file_format(entry["Key"]) or entry["Key"].endswith(CAPTURE_SUFFIX):
                    yield Trace(
                        place=place,
                        bucket=bucket,
                        key=entry["Key"],
                        version=entry["VersionId"],
                        is_latest=entry["IsLatest"],
                        rows=0,
                    )


def _download(connection: Connection, trace: Trace, folder: Path) -> Path:
    file = folder / Path(trace.key).name
    with explained(f"reading s3://{trace.bucket}/{trace.key}"):
        connection.s3.download_file(
            trace.bucket, trace.key, str(file), ExtraArgs={"VersionId": trace.version}
        )
    return file


def count_rows(file: Path, user_id: str) -> int:
    """Return how many rows of a table, or captured requests, are a listener's."""
    match file_format(file.name):
        case "parquet":
            table = pq.ParquetFile(file)
            if LISTENER not in table.schema_arrow.names:
                return 0
            batches = table.iter_batches(columns=[LISTENER])
            return sum(pc.sum(_is(batch, user_id)).as_py() or 0 for batch in batches)
        case None:
            return sum(_names(line, user_id) for line in _lines(file))
        case _:
            return sum(row is None for row in _kept_rows(file, user_id))


def write_without(file: Path, user_id: str, target: Path) -> None:
    """Write a table, or captured requests, without a listener."""
    match file_format(file.name):
        case "parquet":
            table = pq.ParquetFile(file)
            with pq.ParquetWriter(target, table.schema_arrow, compression="zstd") as writer:
                for batch in table.iter_batches():
                    writer.write_batch(batch.filter(pc.invert(_is(batch, user_id))))
        case None:
            kept = [line for line in _lines(file) if not _names(line, user_id)]
            target.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        case _:
            with _text(target, "wt") as text:
                for row in _kept_rows(file, user_id):
                    text.write(row or "")


def _is(batch: pa.RecordBatch, user_id: str) -> pa.BooleanArray:
    """Return which rows are the listener's; a row of nobody is not."""
    ids = batch.column(LISTENER).cast(pa.string())
    return pc.fill_null(pc.equal(ids, user_id), fill_value=False)


def _kept_rows(file: Path, user_id: str) -> Iterator[str | None]:
    """Yield the rows of a text file as they are written, None for the listener's.

    The files without a header that `raw_formats` knows have the listener first.
    """
    tabs = file_format(file.name) == "tsv"
    place = None
    with _text(file, "rt") as text:
        for row in _records(text, quoted=not tabs):
            cells = row.rstrip("\r\n").split("\t") if tabs else next(csv.reader([row]), [])
            if place is None:
                place = cells.index(LISTENER) if LISTENER in cells else 0
            yield None if place < len(cells) and cells[place] == user_id else row


def _records(text: Any, *, quoted: bool) -> Iterator[str]:
    """Yield the records of a text file; where quotes count, one may span lines."""
    record = ""
    for line in text:
        record += line
        if not quoted or record.count('"') % 2 == 0:
            yield record
            record = ""
    if record:
        yield record


def _text(file: Path, mode: Any) -> Any:
    if file.suffix == ".gz":
        return gzip.open(file, mode, encoding="utf-8", newline="")
    return file.open(mode, encoding="utf-8", newline="")


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text("utf-8").split("\n") if line.strip()]


def _names(line: str, user_id: str) -> bool:
    """Tell whether a captured request or its answer names the listener."""
    parts = json.loads(line).get("captureData", {}).values()
    return any(_mentions(document, user_id) for part in parts for document in _documents(part))


def _documents(part: Any) -> Iterator[Any]:
    """Yield the JSON documents of a captured body: one, or one a line; none of another type."""
    body = str(part.get("data", ""))
    if part.get("encoding") == "BASE64":
        body = base64.b64decode(body).decode("utf-8", errors="replace")
    for text in [body, *body.split("\n")]:
        try:
            yield json.loads(text)
        except ValueError:
            continue


def _mentions(document: Any, user_id: str) -> bool:
    match document:
        case dict():
            return str(document.get(LISTENER)) == user_id or any(
                _mentions(value, user_id) for value in document.values()
            )
        case list():
            return any(_mentions(value, user_id) for value in document)
        case _:
            return False
