from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]

ANN, BOB = "a" * 40, "b" * 40


def test_plays_of_1k(converted: Convert) -> None:
    lines = [
        'user_1\t2009-05-04T23:08:57Z\tm1\tDeep "Dish\tt1\tFuck Me Im Famous (Live)',
        "user_1\t2009-05-04T13:54:10Z\t\tBjörk\t\tJóga",
        "user_1\t2009-05-04T13:54:10Z\t\tBjörk\t\t",
        "user_1\tnever\t\tBjörk\t\tJóga",
        "user_1\t\t\tBjörk\t\tJóga",
        "\t2009-05-04T13:54:10Z\t\tBjörk\t\tJóga",
        "user_1\t2009-05-04T13:54:10Z\t\tBjörk",
        "user_1\t2009-05-04T13:54:10Z\t\t\t\tJóga",
        "",
    ]
    name = "userid-timestamp-artid-artname-traid-traname.tsv"
    found = converted(
        {name: "\n".join(lines).encode() + b"user_1\t2009-05-04T13:54:10Z\t\tBj\xf6\t\tx\n"}
    )
    assert found.rows["plays"] == [
        {
            "user_id": "user_1",
            "played_at": datetime(2009, 5, 4, 23, 8, 57, tzinfo=UTC),
            "track_id": "t1",
            "artist_name": 'Deep "Dish',
            "track_name": "Fuck Me Im Famous (Live)",
            "mbid": "m1",
        },
        {
            "user_id": "user_1",
            "played_at": datetime(2009, 5, 4, 13, 54, 10, tzinfo=UTC),
            "track_id": None,
            "artist_name": "Björk",
            "track_name": "Jóga",
            "mbid": None,
        },
    ]
    assert found.count("plays").rows_in == 9
    assert found.count("plays").dropped == {
        "wrong number of fields": 1,
        "not UTF-8": 1,
        "no listener": 1,
        "no artist": 1,
        "no track": 1,
        "no time": 1,
        "not a time": 1,
    }


def test_profiles_of_1k_and_360k(converted: Convert) -> None:
    found = converted(
        {
            "userid-profile.tsv": "#id\tgender\tage\tcountry\tregistered\n"
            "user_1\tm\t\tJapan\tAug 13, 2006\nuser_2\t\t-\t\tsoon\n",
            "usersha1-profile.tsv": f"{ANN}\tf\t22\tGermany\tFeb 1, 2007\n",
        }
    )
    assert found.rows["users"] == [
        {
            "user_id": "user_1",
            "country": "Japan",
            "gender": "m",
            "age": None,
            "registered_at": datetime(2006, 8, 13, tzinfo=UTC),
        },
        {
            "user_id": "user_2",
            "country": None,
            "gender": None,
            "age": None,
            "registered_at": None,
        },
        {
            "user_id": ANN,
            "country": "Germany",
            "gender": "f",
            "age": 22,
            "registered_at": datetime(2007, 2, 1, tzinfo=UTC),
        },
    ]
    assert found.count("users").rows_in == 3
    assert found.count("users").emptied == {"age": 1, "registered_at": 1}


def test_play_counts_of_360k_get_ranks(converted: Convert) -> None:
    lines = [
        f"{ANN}\tm1\tbetty blowtorch\t2137",
        f"{ANN}\t\tdie Ärzte\t1099",
        f"{BOB}\tm3\tair\tmany",
        f"{BOB}\tm3\t\t3",
        f"{BOB}\tm4\tmuse\t2",
    ]
    found = converted({"usersha1-artmbid-artname-plays.tsv": "\n".join(lines)})
    rows = [
        (r["user_id"], r["rank"], r["artist_name"], r["playcount"], r["mbid"])
        for r in found.rows["top_artists"]
    ]
    assert rows == [
        (ANN, 1, "betty blowtorch", 2137, "m1"),
        (ANN, 2, "die Ärzte", 1099, None),
        (BOB, 1, "air", None, "m3"),
        (BOB, 2, "muse", 2, "m4"),
    ]
    assert found.count("top_artists").dropped == {"no artist": 1}
    assert found.count("top_artists").emptied == {"playcount": 1}
