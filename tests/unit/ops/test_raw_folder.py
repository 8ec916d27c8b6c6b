from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import boto3
import moto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.errors import DataError, ResourceError
from listening.systems import SYSTEMS
from ops.connection import Connection
from ops.raw_folder import check_folder, upload_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTRY = SYSTEMS["country"]
USERS = {"user_id": ["a", "b"], "country": ["Germany", ""]}
PLAYS = {"user_id": ["a", "b"], "rank": [1, 1], "artist_name": ["Björk", "Air"]}


def write(folder: Path, *, users: dict[str, Any] | None, plays: dict[str, Any] | None) -> Path:
    for name, columns in (("users", users), ("top_artists", plays)):
        if columns is not None:
            pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def test_a_good_folder_is_counted(tmp_path: Path) -> None:
    raw = check_folder(write(tmp_path, users=USERS, plays=PLAYS))
    assert (raw.listeners, raw.tables["top_artists"].rows, raw.synthetic) == (2, 2, False)
    assert raw.usable_by == ["country"]
    assert raw.warnings == []


def test_ids_may_be_integers_and_text_may_be_categories(tmp_path: Path) -> None:
    users = USERS | {"user_id": [1, 2], "country": pa.array(["Chad", "Chad"]).dictionary_encode()}
    raw = check_folder(write(tmp_path, users=users, plays=PLAYS | {"user_id": [1, 2]}))
    assert raw.listeners == 2


def test_gzipped_csv_with_dirty_counts_is_fine(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,country\n1,Germany\n2,\n")
    with gzip.open(tmp_path / "top_artists.csv.gz", "wt") as file:
        file.write("user_id,rank,artist_name,playcount\n1,1,Björk,n/a\n1,2,Air,12\n2,1,Air,\n")
    raw = check_folder(tmp_path, system=COUNTRY)
    assert (raw.listeners, raw.tables["top_artists"].rows) == (2, 3)
    assert raw.warnings == ["top_artists: column 'playcount' holds no number in 1 rows: 'n/a' (1)"]


def test_a_folder_of_parts_is_one_table(tmp_path: Path) -> None:
    write(tmp_path, users=USERS, plays=None)
    parts = tmp_path / "top_artists"
    parts.mkdir()
    (parts / "_SUCCESS").touch()
    for name in ("part-0.parquet", "part-1.parquet"):
        pq.write_table(pa.table(PLAYS), parts / name)
    raw = check_folder(tmp_path, system=COUNTRY)
    assert raw.tables["top_artists"].rows == 4
    assert len(raw.files) == 3


def test_listeners_to_score_need_no_countries(tmp_path: Path) -> None:
    write(tmp_path, users=None, plays=PLAYS)
    assert check_folder(tmp_path, system=COUNTRY, labelled=False).listeners == 2
    with pytest.raises(DataError, match="system country cannot use this, no table of users"):
        check_folder(tmp_path, system=COUNTRY)


@pytest.mark.parametrize(
    ("users", "plays", "reason"),
    [
        (None, None, "no table of the listening log among no files at all"),
        ({"user_id": ["a"]}, PLAYS, r"users.parquet: column 'country' is missing.*has user_id"),
        (USERS, {"user_id": ["a"]}, r"top_artists.parquet: column 'artist_name' is missing"),
        ({"user_id": [], "country": []}, PLAYS, "users.parquet: the table is empty"),
        (USERS, {k: [] for k in PLAYS}, "top_artists.parquet: the table is empty"),
        ({"user_id": ["a"], "country": [" "]}, PLAYS, "column 'country' is empty in all 1 rows"),
        (USERS | {"country": [1, 2]}, PLAYS, "column 'country' is int64, expected text; write it"),
        (USERS, PLAYS | {"user_id": ["x", "y"]}, r"no user_id of top_artists \(such as 'x'\) is a"),
        (USERS, PLAYS | {"playcount": [[1], [2]]}, "column 'playcount' is list.*expected a number"),
    ],
)
def test_bad_tables_are_named(
    tmp_path: Path, users: dict[str, Any] | None, plays: dict[str, Any] | None, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        check_folder(write(tmp_path, users=users, plays=plays), system=COUNTRY)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    write(tmp_path, users=USERS, plays=None)
    (tmp_path / "top_artists.parquet").write_text("not at all")
    with pytest.raises(DataError, match="not readable as parquet"):
        check_folder(tmp_path, system=COUNTRY)


def test_a_missing_folder_and_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        check_folder(tmp_path / "nowhere")
    (tmp_path / "users.csv").touch()
    with pytest.raises(DataError, match=r"users.csv is a file"):
        check_folder(tmp_path / "users.csv")


@pytest.fixture
def connection() -> Iterator[Connection]:
    with moto.mock_aws():
        session = boto3.Session(
            aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-central-1"
        )
        yield Connection(session, "dev")


def test_ready_is_written_after_the_tables(tmp_path: Path, connection: Connection) -> None:
    bucket = connection.names.data_bucket
    connection.s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    (tmp_path / "SYNTHETIC").touch()
    raw = check_folder(write(tmp_path, users=USERS, plays=PLAYS))
    batch = upload_batch(connection, raw)
    listed = connection.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert {entry["Key"] for entry in listed} == {
        f"raw/{batch}/{name}"
        for name in ("users.parquet", "top_artists.parquet", "SYNTHETIC", "_READY")
    }
    ready = next(entry for entry in listed if entry["Key"].endswith("_READY"))
    assert ready["LastModified"] == max(entry["LastModified"] for entry in listed)


def test_a_missing_bucket_is_explained(tmp_path: Path, connection: Connection) -> None:
    raw = check_folder(write(tmp_path, users=USERS, plays=PLAYS))
    with pytest.raises(ResourceError, match=r"uploading .* to s3://listening-dev-data-"):
        upload_batch(connection, raw)
