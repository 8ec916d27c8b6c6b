"""What a system's jobs left in S3, read back: features runs, scores, drift, reports."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from listening.errors import ResourceError
from listening.resources import EVALUATION, LATEST, MANIFEST, REPORT, REPORTS
from listening.systems import SYSTEMS
from ops.connection import explained
from ops.runs import DRIFT, SCORING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.connection import Connection


def features_prefix(system: str) -> str:
    """Return the prefix in the data bucket of a system's features runs."""
    entry = SYSTEMS[system]
    return entry.output(entry.features.name)


def latest_features_run(connection: Connection, system: str) -> str:
    """Return the last features run of a system.

    Raises
    ------
    ResourceError
        There is none.
    """
    bucket, key = connection.names.data_bucket, f"{features_prefix(system)}{LATEST}"
    if not list_keys(connection, bucket, key):
        raise ResourceError(
            f"there are no features of {system} yet: `listening features run --system {system}` "
            "makes them of the last batch, `listening data upload` brings one"
        )
    return str(_read_json(connection, bucket, key)["run"])


def features_manifest(connection: Connection, run: str, *, system: str) -> dict[str, Any]:
    """Return the manifest of a features run.

    Raises
    ------
    ResourceError
        There is no such run, or it was not finished.
    """
    bucket, key = connection.names.data_bucket, f"{features_prefix(system)}{run}/{MANIFEST}"
    if not list_keys(connection, bucket, key):
        raise ResourceError(
            f"features run {run} has no s3://{bucket}/{key}: it is not there or was not finished; "
            "`listening status` shows the runs"
        )
    return _read_json(connection, bucket, key)


def scores(connection: Connection, run: str, *, system: str) -> pa.Table:
    """Return what a scoring run wrote, one row a listener.

    Raises
    ------
    ResourceError
        It wrote nothing.
    """
    prefix = f"{SYSTEMS[system].output(SCORING)}{run}/"
    found = list(tables(connection, prefix))
    if not found:
        raise ResourceError(
            f"scoring run {run} left nothing in s3://{connection.names.data_bucket}/{prefix}"
        )
    return pa.concat_tables(found)


def drift(connection: Connection, run: str, *, system: str) -> dict[str, Any]:
    """Return what a run of the drift job found."""
    key = f"{SYSTEMS[system].output(DRIFT)}{run}/{MANIFEST}"
    return _read_json(connection, connection.names.data_bucket, key)


def tables(connection: Connection, prefix: str) -> Iterator[pa.Table]:
    """Yield the parquet files under a prefix of the data bucket."""
    bucket = connection.names.data_bucket
    for key in list_keys(connection, bucket, prefix):
        if key.endswith(".parquet"):
            yield pq.read_table(pa.BufferReader(read_object(connection, bucket, key)))


def evaluation(connection: Connection, version: str, *, system: str) -> dict[str, Any]:
    """Return the evaluation of a bundle version on its test split.

    Raises
    ------
    ResourceError
        No such bundle was ever assembled, or its evaluation cannot be read.
    """
    bucket, reports = connection.names.models_bucket, f"{REPORTS}{system}/"
    key = f"{reports}{version}/{EVALUATION}"
    if not list_keys(connection, bucket, key):
        raise ResourceError(
            f"bundle {version} has no report under s3://{bucket}/{reports}; "
            "`listening models list` shows which bundles there are"
        )
    return _read_json(connection, bucket, key)


def fetch_report(connection: Connection, version: str, *, system: str, to: Path) -> None:
    """Copy the report of a bundle version to a file."""
    key = f"{REPORTS}{system}/{version}/{REPORT}"
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(read_object(connection, connection.names.models_bucket, key))


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
