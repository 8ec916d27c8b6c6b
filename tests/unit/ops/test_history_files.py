"""A listener's history from a file: exports, the endpoint's own form, and what is refused."""

from __future__ import annotations

import json

import pytest

from listening.errors import DataError
from ops.history_files import read_history
from ops.sessions.command_line import ASKED

SPOTIFY = [
    {"endTime": "2024-05-01 18:04", "artistName": "Air", "trackName": "One", "msPlayed": 240_000},
    {"endTime": "2024-05-01 18:08", "artistName": "Air", "trackName": "Two", "msPlayed": 200_000},
]
CSV = "user_id,played_at,track_id,played_s\n{0},2024-05-01T18:00:00Z,t,200\n{1},2024-05-02,t,9\n"


def test_the_endpoints_own_form_is_sent_as_it_is() -> None:
    question = {"sessions": [{"start": 1, "end": 2}], "now": 9, "longer_than": [60]}
    assert read_history(json.dumps(question).encode(), name="x.json", asked=ASKED) == question


def test_an_export_becomes_plays() -> None:
    found = read_history(
        json.dumps(SPOTIFY).encode(), name="StreamingHistory_music_0.json", asked=ASKED
    )
    assert found == {
        "plays": [
            {"ended_at": "2024-05-01T18:04:00+00:00", "played_s": 240.0},
            {"ended_at": "2024-05-01T18:08:00+00:00", "played_s": 200.0},
        ]
    }


def test_a_table_of_plays_of_one_listener() -> None:
    found = read_history(CSV.format("u", "u").encode(), name="plays.csv", asked=ASKED)
    assert [play["played_s"] for play in found["plays"]] == [200.0, 9.0]
    assert found["plays"][1]["played_at"] == "2024-05-02T00:00:00+00:00"


def test_plays_of_several_listeners_are_refused() -> None:
    with pytest.raises(DataError, match=r"plays of 2 listeners; .*score --system sessions"):
        read_history(CSV.format("u", "v").encode(), name="plays.csv", asked=ASKED)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b'{"top_artists": []}', b"\xff\xfe"])
def test_what_is_no_history_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^x\.csv: ") as refused:
        read_history(content, name="x.csv", asked=ASKED)
    assert "/tmp" not in str(refused.value)
