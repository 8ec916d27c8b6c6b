from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]

PLAY = {
    "endTime": "2023-05-01 10:04",
    "artistName": "Björk",
    "trackName": "Jóga",
    "msPlayed": 240500,
}
EXTENDED = {
    "ts": "2019-01-02T03:04:05Z",
    "platform": "android",
    "ms_played": 1500,
    "conn_country": "IS",
    "master_metadata_track_name": "Jóga",
    "master_metadata_album_artist_name": "Björk",
    "master_metadata_album_album_name": "Homogenic",
    "spotify_track_uri": "spotify:track:1",
    "episode_name": None,
    "episode_show_name": None,
    "spotify_episode_uri": None,
    "skipped": None,
}
EPISODE = EXTENDED | {
    "master_metadata_track_name": None,
    "master_metadata_album_artist_name": None,
    "spotify_track_uri": None,
    "episode_name": "One",
    "spotify_episode_uri": "spotify:episode:1",
}


def zipped(files: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, json.dumps(content))
    return buffer.getvalue()


def test_a_streaming_history_has_ends(converted: Convert) -> None:
    found = converted({"ann/StreamingHistory0.json": [PLAY]})
    assert found.rows["plays"] == [
        {
            "user_id": "ann",
            "ended_at": datetime(2023, 5, 1, 10, 4, tzinfo=UTC),
            "artist_name": "Björk",
            "track_name": "Jóga",
            "played_s": 240.5,
        }
    ]
    assert found.result.files[0].form == "Spotify streaming history"


def test_an_extended_history_has_tracks_and_devices(converted: Convert) -> None:
    found = converted({"ann/Streaming_History_Audio_2019_0.json": [EXTENDED, EPISODE]})
    [play] = found.rows["plays"]
    assert play["ended_at"] == datetime(2019, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (play["track_id"], play["device"]) == ("spotify:track:1", "android")
    assert play["played_s"] == 1.5
    assert found.count("plays").dropped == {"podcast": 1}


def test_rows_that_are_no_plays_are_counted_by_reason(converted: Convert) -> None:
    rows = [
        PLAY,
        PLAY | {"artistName": ""},
        PLAY | {"trackName": None},
        PLAY | {"endTime": "yesterday"},
        PLAY | {"endTime": None},
        PLAY | {"msPlayed": "long"},
        "no object",
        7,
    ]
    found = converted({"ann/StreamingHistory0.json": rows})
    assert found.count("plays").dropped == {
        "no artist": 1,
        "no track": 1,
        "not a time": 1,
        "no time": 1,
        "not an object": 2,
    }
    assert [play["played_s"] for play in found.rows["plays"]] == [240.5, None]


def test_podcasts_and_audiobooks_are_named(converted: Convert) -> None:
    episode = {"endTime": "2023-05-01 10:04", "podcastName": "x", "episodeName": "y", "msPlayed": 1}
    book = EXTENDED | {
        "master_metadata_track_name": None,
        "spotify_track_uri": None,
        "audiobook_title": "x",
    }
    found = converted(
        {
            "ann/StreamingHistory_podcast_0.json": [episode],
            "ann/Streaming_History_Audio_2019.json": [book, EXTENDED],
        }
    )
    assert found.count("plays").dropped == {"podcast": 1, "audiobook": 1}


def test_a_history_that_breaks_off_is_read_so_far(converted: Convert) -> None:
    text = json.dumps([PLAY, PLAY, PLAY])[:-40]
    found = converted({"ann/StreamingHistory0.json": text})
    assert len(found.rows["plays"]) == 2
    assert found.count("plays").dropped == {"not JSON": 1}


def test_a_long_history_is_read_in_blocks(converted: Convert) -> None:
    rows = [PLAY | {"trackName": f"Jóga {i}"} for i in range(20_000)]
    found = converted({"ann/StreamingHistory0.json": json.dumps(rows, indent=2)})
    assert [play["track_name"] for play in found.rows["plays"]][::7000] == [
        "Jóga 0",
        "Jóga 7000",
        "Jóga 14000",
    ]
    assert len(found.rows["plays"]) == 20_000


def test_listeners_are_folders_files_and_archives(converted: Convert) -> None:
    found = converted(
        {
            "ann/StreamingHistory0.json": [PLAY],
            "bob/Spotify Extended Streaming History/Streaming_History_Audio_2020.json": [EXTENDED],
            "cy.zip": zipped({"MyData/StreamingHistory_music_0.json": [PLAY], "MyData/x.json": {}}),
            "dan.json": [PLAY],
            "StreamingHistory1.json": [PLAY],
        }
    )
    listeners = {file.name: file.listener for file in found.result.files}
    assert listeners == {
        "StreamingHistory1.json": "source",
        "ann/StreamingHistory0.json": "ann",
        "bob/Spotify Extended Streaming History/Streaming_History_Audio_2020.json": "bob",
        "cy.zip/MyData/StreamingHistory_music_0.json": "cy",
        "dan.json": "dan",
    }
    assert list(found.result.not_recognised) == ["cy.zip/MyData/x.json"]
    assert {play["user_id"] for play in found.rows["plays"]} == set(listeners.values())


def test_one_listener_may_be_named(converted: Convert) -> None:
    files = {"StreamingHistory0.json": [PLAY], "StreamingHistory1.json": [PLAY]}
    found = converted(files, user="ann")
    assert [play["user_id"] for play in found.rows["plays"]] == ["ann", "ann"]


def test_several_listeners_are_not_given_one_name(converted: Convert) -> None:
    with pytest.raises(DataError, match="exports of 2: ann, bob; leave it out"):
        converted({"ann/endsong_0.json": [EXTENDED], "bob/endsong_0.json": [EXTENDED]}, user="x")


def test_names_that_no_text_can_hold_are_mended(converted: Convert) -> None:
    text = json.dumps([PLAY]).replace("J\\u00f3ga", "J\\ud83d")
    [play] = converted({"ann/StreamingHistory0.json": text}).rows["plays"]
    assert play["track_name"] == "J?"
