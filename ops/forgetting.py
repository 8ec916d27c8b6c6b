"""A listener taken out of everything that the buckets keep: every table, capture and old version.

The artists' vectors and the models are sums over many listeners and name nobody; they stay until
the next run learns them anew without this listener.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from listening.errors import DataError
from listening.resources import CAPTURES, RAW
from listening.systems import SYSTEMS
from ops import traces
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.connection import Connection

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
        How many rows, or captured requests and answers, are the listener's.
    unread
        Why nobody can tell; None if it was read.
    """

    place: str
    bucket: str
    key: str
    version: str
    is_latest: bool
    rows: int = 0
    unread: str | None = None

    @property
    def uri(self) -> str:
        """Where it is."""
        return f"s3://{self.bucket}/{self.key} (version {self.version})"


def places() -> list[str]:
    """Return the prefixes that hold listeners, of whatever system, deployed still or not.

    `CAPTURES` is one of the models bucket, the others of the data bucket.
    """
    outputs = [system.output(job.name) for system in SYSTEMS.values() for job in system.jobs]
    return [RAW, *outputs, CAPTURES]


def find_listener(connection: Connection, user_id: str) -> list[Trace]:
    """Return every object version that names a listener, and every one that cannot be read."""
    versions = [version for place in places() for version in _versions(connection, place)]

    def look(version: Trace) -> Trace:
        with tempfile.TemporaryDirectory() as scratch:
            file = _download(connection, version, Path(scratch))
            try:
                return replace(version, rows=traces.count(file, version.key, user_id))
            except DataError as error:
                return replace(version, unread=str(error).replace(f"{file}", version.uri))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [trace for trace in pool.map(look, versions) if trace.rows or trace.unread]


def forget_listener(connection: Connection, user_id: str, found: Sequence[Trace]) -> None:
    """Write the latest versions anew without a listener, and delete those that name them.

    A new version is written before the old one is deleted, so that whatever interrupts this, no
    other listener is lost and a second call does the rest. What cannot be read stays as it is.
    """
    for trace in found:
        if trace.unread:
            continue
        with tempfile.TemporaryDirectory() as scratch, explained(f"forgetting in {trace.uri}"):
            if trace.is_latest:
                file = _download(connection, trace, Path(scratch))
                without = Path(scratch) / f"without-{file.name}"
                traces.write_without(file, trace.key, user_id, without)
                connection.s3.upload_file(str(without), trace.bucket, trace.key)
            connection.s3.delete_object(Bucket=trace.bucket, Key=trace.key, VersionId=trace.version)


def _versions(connection: Connection, place: str) -> Iterator[Trace]:
    """Yield the versions of what lies in a place, as traces of nobody yet."""
    names = connection.names
    bucket = names.models_bucket if place == CAPTURES else names.data_bucket
    with explained(f"listing the versions of s3://{bucket}/{place}"):
        pages = connection.s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=place
        )
        for page in pages:
            for entry in page.get("Versions", ()):
                if not traces.is_ours(entry["Key"]):
                    yield Trace(
                        place=place,
                        bucket=bucket,
                        key=entry["Key"],
                        version=entry["VersionId"],
                        is_latest=entry["IsLatest"],
                    )


def _download(connection: Connection, trace: Trace, folder: Path) -> Path:
    file = folder / Path(trace.key).name
    with explained(f"reading s3://{trace.bucket}/{trace.key}"):
        connection.s3.download_file(
            trace.bucket, trace.key, str(file), ExtraArgs={"VersionId": trace.version}
        )
    return file
