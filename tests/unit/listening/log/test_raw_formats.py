from __future__ import annotations

import pytest

from listening.errors import DataError
from listening.log.raw_formats import RawTable, recognise


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
