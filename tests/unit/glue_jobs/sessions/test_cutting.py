"""Plays of whole listeners to rows of sessions, without Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from glue_jobs.sessions.cutting import SESSIONS, _sessions
from listening.sessions.cut import DEFAULT_PLAY_S

TRACKS = pa.table({"track_id": ["t1", "t2"], "length_s": [100.0, 300.0]})
NO_TRACKS = pa.table(
    {"track_id": pa.array([], pa.string()), "length_s": pa.array([], pa.float64())}
)
PLAYS = [  # user_id, seconds, track_id, artist_name, played_s
    ("a", 0, "t1", "Muse", None),
    ("a", 105, None, "Air", 20.0),
    ("a", 130, None, "Air", None),
    ("a", 9_000, "t9", None, 60.0),
    ("b", 10, "t2", None, None),
    ("b", 20, "t2", "Bach", None),
    ("c", 50, None, "Muse", None),
]


def table_of(plays: list[tuple[Any, ...]]) -> pa.Table:
    user, at, track, artist, played = map(list, zip(*plays, strict=True))
    micros = pa.array([second * 1_000_000 for second in at], pa.int64())
    return pa.table(
        {
            "user_id": user,
            "started_at": micros.cast(pa.timestamp("us", tz="UTC")),
            "track_id": pa.array(track, pa.string()),
            "artist_name": pa.array(artist, pa.string()),
            "played_s": pa.array(played, pa.float64()),
            "is_bot": [name == "c" for name in user],
        }
    )


def found_of(plays: list[tuple[Any, ...]], tracks: pa.Table = TRACKS) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = _sessions(table_of(plays), tracks, 1_800.0).to_pylist()
    return rows


def test_sessions_say_what_was_played() -> None:
    first, second, b, c = found_of(PLAYS)
    # 60 s is what listener a usually hears: the median of 100 and 20, played before.
    assert (first["user_id"], first["start"], first["end"]) == ("a", 0.0, 190.0)
    assert (first["plays"], first["skips"]) == (3, 1)
    assert first["elapsed"] == [100.0, 125.0, 190.0]
    assert first["skipped"] == [False, True, False]
    assert (first["artists"], first["top_artist"]) == (2, "Air")
    assert (second["start"], second["end"], second["artists"]) == (9_000.0, 9_060.0, 0)
    assert second["top_artist"] is None
    assert (b["end"], b["skips"], b["artists"], b["top_artist"]) == (320.0, 1, 1, "Bach")
    assert (c["is_bot"], b["is_bot"], c["end"]) == (True, False, 50.0 + DEFAULT_PLAY_S)


def test_each_length_is_counted_by_its_source() -> None:
    rows = found_of(PLAYS)
    counts = {
        name: [row[f"from_{name}"] for row in rows]
        for name in ("play", "track", "listener", "default")
    }
    assert counts == {
        "play": [1, 1, 0, 0],
        "track": [1, 0, 2, 0],
        "listener": [1, 0, 0, 0],
        "default": [0, 0, 0, 1],
    }
    assert np.sum(list(counts.values())) == len(PLAYS) == sum(row["plays"] for row in rows)


def test_a_log_without_tracks_has_defaults() -> None:
    rows = found_of(PLAYS[4:], NO_TRACKS)
    assert [row["from_default"] for row in rows] == [2, 1]


def test_columns_are_those_of_the_schema() -> None:
    table = _sessions(table_of(PLAYS), TRACKS, 1_800.0)
    names = [field.split()[0] for field in SESSIONS.split(", ")]
    assert table.column_names[: len(names)] == names


@pytest.mark.parametrize("user", ["a", "b", "c"])
def test_a_listener_is_the_same_alone_as_among_others(user: str) -> None:
    alone = found_of([play for play in PLAYS if play[0] == user])
    assert alone == [row for row in found_of(PLAYS) if row["user_id"] == user]


def test_a_tie_of_artists_does_not_depend_on_other_listeners() -> None:
    tie = [("b", 0, None, "Air", 60.0), ("b", 70, None, "Muse", 60.0)]
    other = [("a", 0, None, "Muse", 60.0)]
    assert found_of([*other, *tie])[-1]["top_artist"] == found_of(tie)[0]["top_artist"]
