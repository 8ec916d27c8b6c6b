from __future__ import annotations

import pytest

from listening.errors import DataError
from listening.log.raw_formats import RawTable, check_entry, lacking, recognise

LASTFM_360K = {
    "top_artists": RawTable(
        "usersha1-artmbid-artname-plays.tsv",
        "tsv",
        ("user_id", "mbid", "artist_name", "playcount"),
    ),
    "users": RawTable(
        "usersha1-profile.tsv", "tsv", ("user_id", "gender", "age", "country", "signup")
    ),
}


@pytest.mark.parametrize(
    ("names", "tables"),
    [
        (
            ["users.parquet", "top_artists.parquet", "_READY"],
            {
                "users": RawTable("users.parquet", "parquet"),
                "top_artists": RawTable("top_artists.parquet", "parquet"),
            },
        ),
        (
            ["plays", "ratings.csv.gz", "events.tsv", "tracks.parquet", "README.md"],
            {
                "plays": RawTable("plays", None),
                "ratings": RawTable("ratings.csv.gz", "csv"),
                "events": RawTable("events.tsv", "tsv"),
                "tracks": RawTable("tracks.parquet", "parquet"),
            },
        ),
        (
            ["user_top_artists.csv.gz"],
            {"top_artists": RawTable("user_top_artists.csv.gz", "csv")},
        ),
        (["usersha1-artmbid-artname-plays.tsv", "usersha1-profile.tsv"], LASTFM_360K),
    ],
)
def test_raw_data_is_recognised(names: list[str], tables: dict[str, RawTable]) -> None:
    assert recognise(names, source="raw/b") == tables


def test_a_folder_without_tables_says_what_to_put_there() -> None:
    with pytest.raises(
        DataError, match=r"raw/b: no table of the listening log among a.md; put top"
    ):
        recognise(["a.md"], source="raw/b")


def test_two_files_of_one_table_are_refused() -> None:
    with pytest.raises(DataError, match=r"top_artists.csv and top_artists.parquet hold the same"):
        recognise(["top_artists.csv", "top_artists.parquet"], source="raw/b")


def test_top_artists_may_be_derived_from_plays_and_users_from_nothing() -> None:
    assert lacking(["plays"], ["users", "top_artists"]) == ["users"]
    assert lacking(["users", "top_artists"], ["users", "top_artists"]) == []


@pytest.mark.parametrize(
    ("name", "is_folder", "reason"),
    [
        ("plays/2024", True, "plays/2024: a folder within a table's folder"),
        ("plays/readme.txt", False, r"plays/readme.txt: not a part of a table"),
    ],
)
def test_what_is_no_part_of_a_table_is_refused(name: str, is_folder: bool, reason: str) -> None:
    check_entry("plays/part-0.snappy.parquet", is_folder=False)
    with pytest.raises(DataError, match=reason):
        check_entry(name, is_folder=is_folder)
