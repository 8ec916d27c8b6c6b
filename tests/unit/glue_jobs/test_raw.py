"""Raw formats and their faults, as Spark reads them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

PLAYS = "user_id,rank,artist_name,playcount,mbid\n"
USERS = "user_id,country\n1,Chad\n"


def write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        elif name.endswith(".gz"):
            path.write_bytes(gzip.compress(content.encode()))
        else:
            path.write_text(content)


GOOD = {
    "own/top_artists.csv": PLAYS + '1,1,"Sly, and ""the"" Family",n/a,\n1,2,Air,7,abc\n',
    "own/users.csv": "user_id,country,total_scrobbles\n1,Chad,12\n2,,\n",
    "kaggle/user_top_artists.csv.gz": PLAYS + "1,1,Air,1034,abc\n",
    "lastfm360k/usersha1-artmbid-artname-plays.tsv": 'u1\tm1\t"quoted\t31\nu1\t\tAir\t99\n',
    "lastfm360k/usersha1-profile.tsv": "u1\tf\t22\tGermany\tFeb 1, 2007\n",
    "orders/top_artists/part-0.csv": "user_id,rank,artist_name\na,1,Air\n",
    "orders/top_artists/part-1.csv": "artist_name,playcount,user_id\nMuse,7,b\n",
    "newline/top_artists.csv": 'user_id,artist_name\na,"two\nlines"\na,7" Sound\n',
    "commas/top_artists.csv": 'user_id,artist_name,playcount\na,Air,"12,034"\na,Muse,12034\n',
    "nulls/top_artists.parquet": pa.table(
        {"user_id": [" a "], "artist_name": ["Air"], "mbid": pa.nulls(1), "rank": pa.nulls(1)}
    ),
    "stamps/top_artists.parquet": pa.table(
        {
            "user_id": pa.array([7.0]),
            "artist_name": ["Air"],
            "signup": pa.array([1], pa.timestamp("ns")),
        }
    ),
    "types/top_artists/part-0.parquet": pa.table(
        {"user_id": ["a"], "artist_name": ["Air"], "playcount": pa.array([1], pa.uint8())}
    ),
    "types/top_artists/part-1.parquet": pa.table(
        {"user_id": ["b"], "artist_name": ["Air"], "playcount": pa.array([2.5])}
    ),
    "parts/top_artists/part-0.parquet": pa.table({"user_id": [1], "artist_name": ["Air"]}),
    "parts/top_artists/part-1.parquet": pa.table({"user_id": [2], "artist_name": ["Muse"]}),
}
BAD = {
    "nothing": {},
    "no_plays": {"users.csv": USERS},
    "no_column": {"top_artists.csv": "user_id,artist\n1,Air\n", "users.csv": USERS},
    "no_country": {"top_artists.csv": PLAYS + "1,1,Air,1,\n", "users.csv": "user_id\n1\n"},
    "empty": {"top_artists.csv": PLAYS},
    "numbers": {"top_artists.parquet": pa.table({"user_id": ["1"], "artist_name": [1]})},
    "nested": {
        "top_artists.parquet": pa.table(
            {"user_id": ["1"], "artist_name": ["Air"], "playcount": [[1, 2]]}
        )
    },
    "broken": {"top_artists.parquet": "this is not parquet"},
    "columns": {"usersha1-artmbid-artname-plays.tsv": "u1\tm1\n"},
    "no_parts": {"top_artists/readme.txt": "nothing here"},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, run_glue: RunGlue) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("raw")
    write(folder / "raw", GOOD)
    for batch, files in BAD.items():
        write(folder / "raw" / batch, files)
    batches = [*dict.fromkeys(name.split("/")[0] for name in GOOD), *BAD]
    ended = run_glue("tests/unit/glue_jobs/read_batches.py", folder.as_uri(), *batches)
    assert ended.returncode == 0, ended.stderr[-3000:]
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def play(user: str, rank: float | None, artist: str, count: float | None, mbid: str | None) -> Any:
    return {
        "user_id": user,
        "artist_name": artist,
        "rank": rank,
        "playcount": count,
        "mbid": mbid,
    }


def test_own_csv(found: dict[str, Any]) -> None:
    plays, users = found["own"]
    assert plays == [
        play("1", 1, 'Sly, and "the" Family', None, None),
        play("1", 2, "Air", 7, "abc"),
    ]
    assert users == [
        {"user_id": "1", "country": "Chad", "total_scrobbles": 12},
        {"user_id": "2", "country": None, "total_scrobbles": None},
    ]


def test_kaggle_has_no_users(found: dict[str, Any]) -> None:
    assert found["kaggle"] == [[play("1", 1, "Air", 1034, "abc")], []]


def test_lastfm_360k_has_no_header_no_quotes_and_no_ranks(found: dict[str, Any]) -> None:
    plays, users = found["lastfm360k"]
    assert plays == [play("u1", None, '"quoted', 31, "m1"), play("u1", None, "Air", 99, None)]
    assert users == [{"user_id": "u1", "country": "Germany", "total_scrobbles": None}]


def test_a_folder_of_parts_is_one_table(found: dict[str, Any]) -> None:
    plays, _ = found["parts"]
    assert {row["artist_name"] for row in plays} == {"Air", "Muse"}


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        ("orders", [("a", "Air", 1, None), ("b", "Muse", None, 7)]),
        ("newline", [("a", '7" Sound', None, None), ("a", "two\nlines", None, None)]),
        ("commas", [("a", "Air", None, 12034), ("a", "Muse", None, 12034)]),
        ("nulls", [("a", "Air", None, None)]),
        ("stamps", [("7", "Air", None, None)]),
        ("types", [("a", "Air", None, 1), ("b", "Air", None, 2.5)]),
    ],
)
def test_each_part_is_read_by_its_own_columns_and_types(
    found: dict[str, Any], batch: str, rows: list[tuple[Any, ...]]
) -> None:
    plays, _ = found[batch]
    names = ("user_id", "artist_name", "rank", "playcount")
    assert sorted(tuple(play[name] for name in names) for play in plays) == rows


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        ("nothing", "raw/nothing/: there is no such batch; upload one or name another"),
        ("no_plays", "raw/no_plays/: no table top_artists in it"),
        (
            "no_column",
            "top_artists.csv: column 'artist_name' is missing; the table has user_id",
        ),
        ("no_country", "users.csv: column 'country' is missing; the table has user_id"),
        ("empty", "raw/empty/top_artists.csv: the table is empty; it needs a row per"),
        ("numbers", "column 'artist_name' is int64, expected text; write it as such"),
        ("nested", "column 'playcount' is list<element: int64>, expected a number"),
        ("broken", "raw/broken/top_artists.parquet: not readable as parquet"),
        ("columns", "usersha1-artmbid-artname-plays.tsv: 2 columns, expected 4: user_id, mbid"),
        (
            "no_parts",
            "top_artists/readme.txt: not a part of a table; a table's folder holds .parquet",
        ),
    ],
)
def test_a_fault_is_one_sentence(found: dict[str, Any], batch: str, sentence: str) -> None:
    assert sentence in found[batch]
    assert "\n" not in found[batch]
