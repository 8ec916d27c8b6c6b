"""What the jobs left in S3, read back: features runs, test listeners, reports, bundles."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from listening.errors import ResourceError
from listening.resources import DRIFT, ENDPOINT, FEATURES, LATEST, MANIFEST, REPORTS, SCORES
from ops.connection import explained
from ops.country.client import Artist, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.connection import Connection

REPORT = "report.html"
EVALUATION = "evaluation.json"


@dataclass(frozen=True)
class LabelledListener:
    """A listener whose country is known."""

    listener: Listener
    country: str


def latest_features_run(connection: Connection) -> str:
    """Return the last features run.

    Raises
    ------
    ResourceError
        There is none.
    """
    bucket, key = connection.names.data_bucket, f"{FEATURES}{LATEST}"
    if not list_keys(connection, bucket, key):
        raise ResourceError(
            "there are no features yet: `listening features run` makes them of the last batch, "
            "`listening data upload` brings one"
        )
    return str(_read_json(connection, bucket, key)["run"])


def features_manifest(connection: Connection, run: str) -> dict[str, Any]:
    """Return the manifest of a features run.

    Raises
    ------
    ResourceError
        There is no such run, or it was not finished.
    """
    bucket, key = connection.names.data_bucket, f"{FEATURES}{run}/{MANIFEST}"
    if not list_keys(connection, bucket, key):
        raise ResourceError(
            f"features run {run} has no s3://{bucket}/{key}: it is not there or was not finished; "
            "`listening status` shows the runs"
        )
    return _read_json(connection, bucket, key)


def test_listeners(connection: Connection, run: str) -> Iterator[LabelledListener]:
    """Yield the listeners of a features run's test split with their cleaned plays."""
    columns = ["user_id", "country", "total_scrobbles", "artist_keys", "playcounts"]
    for table in _tables(connection, f"{FEATURES}{run}/plays/split=test/"):
        for row in table.select(columns).to_pylist():
            counts = row["playcounts"] or [None] * len(row["artist_keys"])
            artists = map(Artist, row["artist_keys"], counts)
            listener = Listener(list(artists), row["total_scrobbles"], str(row["user_id"]))
            yield LabelledListener(listener, row["country"])


def scores(connection: Connection, run: str) -> pa.Table:
    """Return what a scoring run wrote, one row a listener.

    Raises
    ------
    ResourceError
        It wrote nothing.
    """
    tables = list(_tables(connection, f"{SCORES}{run}/"))
    if not tables:
        raise ResourceError(
            f"scoring run {run} left nothing in s3://{connection.names.data_bucket}/{SCORES}{run}/"
        )
    return pa.concat_tables(tables)


def drift(connection: Connection, run: str) -> dict[str, Any]:
    """Return what a run of the drift job found."""
    return _read_json(connection, connection.names.data_bucket, f"{DRIFT}{run}/{MANIFEST}")


def _tables(connection: Connection, prefix: str) -> Iterator[pa.Table]:
    """Yield the parquet files under a prefix of the data bucket."""
    bucket = connection.names.data_bucket
    for key in list_keys(connection, bucket, prefix):
        if key.endswith(".parquet"):
            yield pq.read_table(pa.BufferReader(read_object(connection, bucket, key)))


def evaluation(connection: Connection, version: str) -> dict[str, Any]:
    """Return the evaluation of a bundle version on its test split.

    Raises
    ------
    ResourceError
        No such bundle was ever assembled, or its evaluation cannot be read.
    """
    bucket, key = connection.names.models_bucket, f"{REPORTS}{version}/{EVALUATION}"
    if not list_keys(connection, bucket, key):
        raise ResourceError(
            f"bundle {version} has no report under s3://{bucket}/{REPORTS}; "
            "`listening models list` shows which bundles there are"
        )
    return _read_json(connection, bucket, key)


def fetch_report(connection: Connection, version: str, to: Path) -> None:
    """Copy the report of a bundle version to a file."""
    key = f"{REPORTS}{version}/{REPORT}"
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(read_object(connection, connection.names.models_bucket, key))


def published_versions(connection: Connection) -> list[str]:
    """Return the bundle versions that the endpoint can answer with."""
    keys = list_keys(connection, connection.names.models_bucket, ENDPOINT)
    return sorted(
        key.removeprefix(ENDPOINT).partition("/")[0]
        for key in keys
        if key.endswith("/hierarchy.tar.gz")
    )


def read_object(connection: Connection, bucket: str, key: str) -> bytes:
    """Return an object's bytes.

    Raises
    ------
    ResourceError
        There is no such object.
    """
    with explained(f"reading s3://{bucket}/{key}"):
        return connection.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def list_keys(connection: Connection, bucket: str, prefix: str) -> list[str]:
    """Return the keys under a prefix."""
    with explained(f"listing s3://{bucket}/{prefix}"):
        pages = connection.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        )
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def _read_json(connection: Connection, bucket: str, key: str) -> dict[str, Any]:
    try:
        document = json.load(io.BytesIO(read_object(connection, bucket, key)))
    except ValueError as error:
        raise ResourceError(f"s3://{bucket}/{key} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ResourceError(f"s3://{bucket}/{key} is not a JSON object")
    return document
