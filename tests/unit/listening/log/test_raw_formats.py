from __future__ import annotations

import pytest

from listening.errors import DataError
from listening.log.raw_formats import Kind, RawTable, check_columns, check_type, recognise


@pytest.mark.parametrize(
    ("names", "plays", "users"),
    [
        (
            ["users.parquet", "top_artists.parquet", "_READY"],
            RawTable("top_artists.parquet", "parquet"),
            RawTable("users.parquet", "parquet"),
        ),
        (
            ["users.csv", "top_artists.csv.gz", "README.md"],
            RawTable("top_artists.csv.gz", "csv"),
            RawTable("users.csv", "csv"),
        ),
        (["users", "top_artists"], RawTable("top_artists", None), RawTable("users", None)),
        (["user_top_artists.csv.gz"], RawTable("user_top_artists.csv.gz", "csv"), None),
        (
            ["usersha1-artmbid-artname-plays.tsv", "usersha1-profile.tsv"],
            RawTable(
                "usersha1-artmbid-artname-plays.tsv",
                "tsv",
                ("user_id", "mbid", "artist_name", "playcount"),
            ),
            RawTable(
                "usersha1-profile.tsv", "tsv", ("user_id", "gender", "age", "country", "signup")
            ),
        ),
    ],
)
def test_raw_data_is_recognised(names: list[str], plays: RawTable, users: RawTable | None) -> None:
    tables = recognise(names, source="raw/b")
    assert (tables.plays, tables.users) == (plays, users)


def test_a_folder_without_plays_says_what_to_put_there() -> None:
    with pytest.raises(DataError, match=r"raw/b: no table of plays among users.csv; put top_art"):
        recognise(["users.csv"], source="raw/b")


def test_two_files_of_one_table_are_refused() -> None:
    with pytest.raises(DataError, match=r"top_artists.csv and top_artists.parquet hold the same"):
        recognise(["top_artists.csv", "top_artists.parquet"], source="raw/b")


def test_a_column_that_is_missing_is_named_beside_those_that_are_there() -> None:
    check_columns(["user_id", "mbid"], ["user_id"], source="x.csv")
    with pytest.raises(DataError, match=r"x.csv: column 'user_id' is missing; the table has a, b"):
        check_columns(["a", "b"], ["user_id", "country"], source="x.csv")


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        ("user_id", "text", None),
        ("user_id", "integer", None),
        ("user_id", "number", "text"),
        ("country", "integer", "text"),
        ("country", None, "text"),
        ("rank", "text", None),
        ("rank", "integer", None),
        ("playcount", "number", None),
        ("playcount", None, "a number"),
    ],
)
def test_a_column_of_another_kind_is_refused(
    column: str, kind: Kind | None, expected: str | None
) -> None:
    if expected is None:
        check_type(column, kind, found="x", source="table")
        return
    reason = f"table: column '{column}' is bigint, expected {expected}; write it as such"
    with pytest.raises(DataError, match=f"^{reason}$"):
        check_type(column, kind, found="bigint", source="table")
