from __future__ import annotations

import gzip
import io
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_plays_with_other_names_of_columns(converted: Convert) -> None:
    at = datetime(2020, 9, 13, 11, 36)  # noqa: DTZ001 - as files have it: UTC, unsaid
    content = parquet(
        {
            "user_id": ["u", None, "u", "u"],
            "ended_at": pa.array([at, at, None, at], pa.timestamp("ms")),
            "artist_id": ["x", "x", "x", None],
            "track_id": ["t", "t", "t", None],
            "ms_played": pa.array([80822, 1, 1, 1], pa.int32()),
        }
    )
    found = converted({"plays.parquet": content})
    assert found.rows["plays"] == [
        {
            "user_id": "u",
            "ended_at": at.replace(tzinfo=UTC),
            "track_id": "t",
            "artist_name": "x",
            "played_s": 80.822,
        }
    ]
    assert found.count("plays").dropped == {"no listener": 1, "no time": 1, "no artist": 1}


def test_a_name_is_taken_before_an_id(converted: Convert) -> None:
    content = parquet(
        {
            "user": [1],
            "timestamp": [1_500_000_000],
            "artist_id": [5],
            "artist": pa.array(["Air"]).dictionary_encode(),
            "track": ["a"],
        }
    )
    found = converted({"x.parquet": content})
    assert found.rows["plays"] == [
        {
            "user_id": "1",
            "played_at": datetime(2017, 7, 14, 2, 40, tzinfo=UTC),
            "artist_name": "Air",
            "track_name": "a",
        }
    ]
    assert found.result.files[0].ignored == ("artist_id",)


def test_the_kaggle_form(converted: Convert) -> None:
    text = (
        "user_id,rank,artist_name,playcount,mbid\n"
        '1,1,"Earth, Wind & Fire",1034,m1\n'
        '1,2,"Two\nlines",n/a,\n'
        "1,3,,5,\n"
        "1,4\n"
        '1,5,"never closed,5,\n'
        '1,6,"Weird Al" Yankovic,5,\n'
        "1,1.5,Air,5,\n"
    )
    found = converted({"user_top_artists.csv.gz": gzip.compress(text.encode())})
    rows = [
        (r["rank"], r["artist_name"], r["playcount"], r["mbid"]) for r in found.rows["top_artists"]
    ]
    assert rows == [
        (1, "Earth, Wind & Fire", 1034, "m1"),
        (2, "Two\nlines", None, None),
        (None, "Air", 5, None),
    ]
    assert found.count("top_artists").rows_in == 7
    assert found.count("top_artists").dropped == {
        "broken quotes": 2,
        "wrong number of fields": 1,
        "no artist": 1,
    }
    assert found.count("top_artists").emptied == {"playcount": 1, "rank": 1}


def test_the_synthetic_music_of_aws(converted: Convert) -> None:
    found = converted(
        {
            "tracks.csv": "trackId,length,energy,acousticness,valence,speechiness,instrumentalness,"
            "liveness,tempo,danceability,genre\nt1,251.5,0.5,0.1,0.2,0.3,0.4,0.6,120,0.7,Latin\n",
            "ratings.csv": "ratingEventId,ts,userId,trackId,sessionId,itemInSession,Rating\n"
            "r1,1535500000,4120,t1,23,0,4\nr2,,4120,t1,23,1,\nr3,1535500000,4120,t1,23,2,good\n",
        }
    )
    [track] = found.rows["tracks"]
    assert track == {
        "track_id": "t1",
        "length_s": 251.5,
        "genre": "Latin",
        "energy": 0.5,
        "acousticness": 0.1,
        "valence": 0.2,
        "speechiness": 0.3,
        "instrumentalness": 0.4,
        "liveness": 0.6,
        "tempo": 120,
        "danceability": 0.7,
    }
    assert found.rows["ratings"] == [
        {
            "user_id": "4120",
            "track_id": "t1",
            "rating": 4,
            "rated_at": datetime(2018, 8, 28, 23, 46, 40, tzinfo=UTC),
        }
    ]
    assert found.count("ratings").dropped == {"no rating": 1, "not a number": 1}


def test_events_and_users(converted: Convert) -> None:
    found = converted(
        {
            "events.csv": "user_id,at,kind\nu,2020-01-01 10:00,search\nu,2020-01-01,like\n",
            "users.csv": "user_id,country,sex,total_scrobbles\n7,Chad,f,12\n,Chad,m,1\n",
        }
    )
    assert found.rows["events"] == [
        {"user_id": "u", "at": datetime(2020, 1, 1, 10, tzinfo=UTC), "kind": "search"}
    ]
    assert found.rows["users"] == [
        {"user_id": "7", "country": "Chad", "gender": "f", "total_scrobbles": 12}
    ]
    assert found.count("events").dropped == {"neither search nor download": 1}


def test_times_are_read_however_they_are_written(converted: Convert) -> None:
    times = ["2020-01-02T03:04:05Z", "1577934245", "1577934245000", "02 Jan 2020, 03:04", "soon"]
    text = "user,time,track_id\n" + "".join(f'u,"{time}",t\n' for time in times)
    found = converted({"x.csv": text})
    assert [play["played_at"].replace(second=0) for play in found.rows["plays"]] == [
        datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    ] * 4
    assert found.count("plays").dropped == {"not a time": 1}


def test_ids_that_became_floats_are_whole_again(converted: Convert) -> None:
    content = parquet({"user_id": [7.0, None], "country": ["Chad", "Chad"]})
    assert converted({"x.parquet": content}).rows["users"] == [{"user_id": "7", "country": "Chad"}]


def test_thousands_may_be_set_apart(converted: Convert) -> None:
    text = 'user_id,artist,plays\nu,a,"12,034"\nu,b,"1,2"\nu,c,"1,234,567.5"\n'  # no count
    found = converted({"x.csv": text})
    assert [row["playcount"] for row in found.rows["top_artists"]] == [12034, None, None]


def test_uuids_are_text(converted: Convert) -> None:
    mbid = uuid.UUID("b7ffd2af-418f-4be2-bdd1-22f8b48613da")
    content = parquet(
        {
            "user_id": ["u", "u"],
            "rank": [1, 2],
            "artist_name": ["Björk", "Air"],
            "mbid": pa.array([mbid.bytes, None], pa.uuid()),
        }
    )
    found = converted({"top_artists.parquet": content})
    assert [row["mbid"] for row in found.rows["top_artists"]] == [str(mbid), None]


def test_times_may_be_finer_and_numbers_larger_than_the_log_holds(converted: Convert) -> None:
    content = parquet(
        {
            "user_id": ["u"],
            "played_at": pa.array([1_577_934_245_123_456_789], pa.timestamp("ns", tz="Asia/Tokyo")),
            "track_id": [2**63 - 1],
            "ms_played": [2**63 - 1],
        }
    )
    [play] = converted({"x.parquet": content}).rows["plays"]
    assert play["played_at"] == datetime(2020, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert play["track_id"] == str(2**63 - 1)
