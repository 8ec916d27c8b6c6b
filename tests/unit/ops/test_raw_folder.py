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
    assert raw.usable_by(labelled=True) == ["country"]
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
        (None, None, "no table of the listening log among nothing"),
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


CSV = "user_id,rank,artist_name,playcount\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (CSV + 'a,1,"\\"Sway\\" of Wick",9\n', "line 2: text after a closing quote"),
        (CSV + 'a,1,"Heroes,50\na,2,Air,40\n', "line 2: a quote that is never closed"),
        (CSV + 'a,1,"Al" Y,9\n', "line 2: text after a closing quote"),
        (CSV + "a,1,Air\n", "line 2: 3 fields, expected 4"),
        (CSV + "a,1,Air,9\rb,1,Air,9\n", "line 2: a carriage return within the line"),
        ("user_id,artist_name,artist_name\na,b,c\n", "two columns are called 'artist_name'"),
    ],
)
def test_text_that_spark_would_guess_at_is_refused_with_its_line(
    tmp_path: Path, content: str, reason: str
) -> None:
    write(tmp_path, users=USERS, plays=None)
    (tmp_path / "top_artists.csv").write_text(content, newline="")
    with pytest.raises(DataError, match=reason):
        check_folder(tmp_path)


def test_text_in_another_character_set_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, users=USERS, plays=None)
    (tmp_path / "top_artists.csv").write_bytes(f"{CSV}a,1,Björk,9\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 2: not UTF-8 text"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (
            {"mbid": pa.array([b"0" * 16, b"1" * 16], pa.binary(16))},
            "column 'mbid' is fixed_size_b",
        ),
        ({"half": pa.array([1, 2], pa.float16())}, "'half' is halffloat, a type with which Glue"),
    ],
)
def test_types_that_spark_cannot_read_are_refused(
    tmp_path: Path, column: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        check_folder(write(tmp_path, users=USERS, plays=PLAYS | column))


def test_another_codec_is_named(tmp_path: Path) -> None:
    write(tmp_path, users=USERS, plays=None)
    pq.write_table(pa.table(PLAYS), tmp_path / "top_artists.parquet", compression="brotli")
    with pytest.raises(DataError, match="column 'user_id' is compressed by brotli, which Glue"):
        check_folder(tmp_path)


def test_what_may_be_meant_otherwise_is_told(tmp_path: Path) -> None:
    users = "user_id,country\na,U.S.A.\nb,🇩🇪\nc,Atlantis\nd,Atlantis\ne,\n"
    (tmp_path / "users.csv").write_text(users, "utf-8")
    (tmp_path / "top_artists.csv").write_text(
        CSV + 'a,1,Air,"12,034"\na,2,Muse,12.034\na,-1,Moby,n/a\n,4,Air,1\n'
    )
    raw = check_folder(tmp_path)
    assert raw.warnings == [
        "top_artists: 1 of 4 rows will be dropped: no user id",
        "top_artists: column 'playcount' holds no number in 1 rows: 'n/a' (1)",
        "top_artists: column 'playcount' has 1 values with commas, read as thousands",
        "top_artists: column 'rank' has 1 values below 0",
        "top_artists: column 'playcount' should hold whole numbers; 1 rows: '12.034' (1) are "
        "fractions: thousands are written without points",
        "users: column 'country' names no known country in 3 rows: 'Atlantis' (2), '🇩🇪' (1)",
    ]


def test_ids_of_another_form_are_told(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,country\n0.0,Chad\n1.0,Chad\n")
    (tmp_path / "top_artists.csv").write_text("user_id,artist_name\n0,Air\n1,Air\n")
    with pytest.raises(DataError, match=r"no user_id of top_artists \(such as '0'\).*'0.0'"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("users", "lacks"),
    [
        (None, "users"),
        ({"user_id": ["a", "b"]}, "labels in column 'country' of users"),
        ({"user_id": ["a", "b"], "country": ["none", " "]}, "labels in column 'country' of users"),
        (USERS, ""),
    ],
)
def test_what_a_system_lacks_to_learn_is_told(
    tmp_path: Path, users: dict[str, Any] | None, lacks: str
) -> None:
    raw = check_folder(write(tmp_path, users=users, plays=PLAYS))
    assert raw.lacks(COUNTRY) == lacks
    assert raw.usable_by(labelled=True) == ([] if lacks else ["country"])
    assert raw.usable_by(labelled=False) == ["country"]
