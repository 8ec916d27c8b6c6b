from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]

LISTEN: dict[str, Any] = {
    "listened_at": 1525777197,
    "track_metadata": {
        "artist_name": "Björk",
        "track_name": "Jóga",
        "additional_info": {
            "media_player": "mpd",
            "duration_played": 65,
            "artist_mbids": ["87c5dedd-371d-4a53-9f7f-80522fb7f3cb"],
        },
    },
}
EXPECTED = {
    "user_id": "ann",
    "played_at": datetime(2018, 5, 8, 10, 59, 57, tzinfo=UTC),
    "artist_name": "Björk",
    "track_name": "Jóga",
    "played_s": 65,
    "device": "mpd",
    "mbid": "87c5dedd-371d-4a53-9f7f-80522fb7f3cb",
}


def test_a_list_of_one_listener(converted: Convert) -> None:
    found = converted({"ann.json": [LISTEN]})
    assert found.rows["plays"] == [EXPECTED]
    assert found.result.files[0].form == "ListenBrainz listens"


def test_an_export_is_json_lines_in_folders(converted: Convert) -> None:
    lines = [json.dumps(LISTEN), "", "{broken", json.dumps(LISTEN | {"track_metadata": None})]
    found = converted(
        {
            "ann/listens/2018/5.jsonl": "\n".join(lines),
            "ann/user.json": {"user_id": 1, "username": "ann"},
        }
    )
    assert found.rows["plays"] == [EXPECTED]
    assert found.count("plays").dropped == {"not JSON": 1, "no artist": 1}
    assert list(found.result.not_recognised) == ["ann/user.json"]


def test_a_dump_names_the_listener_of_each_listen(converted: Convert) -> None:
    lines = [
        {"user_id": 7, "user_name": name, "timestamp": 1525777197, "track_metadata": track}
        for name, track in [
            ("ann", LISTEN["track_metadata"]),
            ("bob", {"artist_name": "Air", "track_name": "La femme", "additional_info": {}}),
            ("bob", {"artist_name": "Air", "track_name": ""}),
            ("bob", {"track_name": "x"}),
        ]
    ]
    lines.append({"user_id": 8, "track_metadata": LISTEN["track_metadata"]})
    found = converted({"1.listens": "\n".join(map(json.dumps, lines))})
    assert found.rows["plays"][0] == EXPECTED
    assert found.rows["plays"][1]["user_id"] == "bob"
    assert found.count("plays").dropped == {"no track": 1, "no artist": 1, "no time": 1}
    assert found.result.files[0].listener is None


def test_a_reply_of_the_api(converted: Convert) -> None:
    reply = {"payload": {"count": 1, "user_id": "ann", "listens": [LISTEN, 7]}}
    found = converted({"ann.json": json.dumps(reply, indent=1)})
    assert found.rows["plays"] == [EXPECTED]
    assert found.count("plays").dropped == {"not an object": 1}
