from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from listening.errors import DataError
from ops.country.client import Artist
from ops.country.listener_files import read_listener

if TYPE_CHECKING:
    from ops.country.listener_files import Read

MBID = "b7ffd2af-418f-4be2-bdd1-22f8b48613da"


def read(content: str | bytes | list[Any] | dict[str, Any]) -> Read:
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return read_listener(text.encode() if isinstance(text, str) else text, source="x")


def artists(content: str | bytes | list[Any] | dict[str, Any]) -> list[Artist]:
    return list(read(content).listener.top_artists)


@pytest.mark.parametrize(
    "text",
    [
        '{"top_artists": [{"artist_name": "Björk", "playcount": 3}, {"artist_name": "Air"}]}',
        '[{"artist_name": "Björk", "playcount": 3}, {"artist_name": "Air"}]',
    ],
)
def test_a_listener_is_read_from_json(text: str) -> None:
    assert artists(text) == [Artist("Björk", 3), Artist("Air")]


def test_an_export_with_a_row_per_play_is_added_up() -> None:
    assert artists("uts,artist,track\n1,Air,a\n2,Björk,b\n3,Björk,c\n") == [
        Artist("Björk", 2),
        Artist("Air", 1),
    ]


def test_an_export_with_counts_is_read() -> None:
    assert artists("Artist,Plays\nAir,5\nBjörk,7\nMuse,0\n") == [
        Artist("Björk", 7),
        Artist("Air", 5),
        Artist("Muse", 0),
    ]


def test_names_alone_keep_their_order_and_have_no_counts() -> None:
    assert artists("artist_name\nBjörk\nAir\n") == [Artist("Björk"), Artist("Air")]


SPOTIFY = [
    {"endTime": "2023-01-01 10:00", "artistName": name, "trackName": "t", "msPlayed": 9}
    for name in ("Air", "Björk", "Björk")
]
EXTENDED = [
    {
        "ts": "2023-01-01T10:00:00Z",
        "ms_played": 9,
        "master_metadata_track_name": "t",
        "master_metadata_album_artist_name": name,
    }
    for name in ("Air", "Björk", "Björk", None)
]
LISTENS = [
    {"listened_at": 1, "track_metadata": {"artist_name": name, "track_name": "t"}}
    for name in ("Air", "Björk", "Björk")
]
SCROBBLES = '"Air","m","t","02 Jan 2020 10:11"\n' + '"Björk","d","t","02 Jan 2020 10:15"\n' * 2


@pytest.mark.parametrize(
    "export",
    [SPOTIFY, EXTENDED, LISTENS, "\n".join(map(json.dumps, LISTENS)), SCROBBLES],
    ids=["spotify", "spotify extended", "listenbrainz", "listenbrainz lines", "last.fm"],
)
def test_exports_of_plays_are_read_by_the_code_of_convert(export: Any) -> None:
    assert artists(export) == [Artist("Björk", 2), Artist("Air", 1)]


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        ({"artist": {"#text": "Björk", "mbid": ""}, "name": "Jóga"}, "artist, name"),
        ({"name": "Björk", "mbid": ""}, "name, mbid"),
        ({"artist_name": " "}, "artist_name"),
        ({}, "no keys"),
    ],
)
def test_entries_without_an_artist_are_refused_with_their_keys(entry: Any, keys: str) -> None:
    for content in ([entry], {"top_artists": [entry]}):
        with pytest.raises(DataError, match=f"x, entry 1: no artist_name, it has .*{keys}"):
            read(content)


def test_an_export_that_names_nobody_is_refused() -> None:
    with pytest.raises(DataError, match="x: no artists in it; none of its plays names one"):
        read([EXTENDED[-1]])


UNCLOSED = 'artist,plays\n"Björk,500\nAir,900\nMuse,5\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (UNCLOSED, 2),
        (UNCLOSED + "".join(f"Artist {i},{i}\n" for i in range(20_000)), 2),
        ('artist,plays\nAir,9\n"Weird Al" Yankovic,50\n', 3),
        (SCROBBLES + '"Muse,"m","t","02 Jan 2020 10:11"\n', 4),
    ],
)
def test_quotes_that_do_not_close_are_refused_with_their_line(text: str, line: int) -> None:
    with pytest.raises(DataError, match=f"x, line {line}: broken quotes; mend or remove it"):
        read(text)


def test_byte_order_marks_and_other_encodings_are_read() -> None:
    csv, document = "artist,plays\nBjörk,9\n", '[{"artist_name": "Björk", "playcount": 9}]'
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        for text in (csv, document):
            assert artists(text.encode(encoding)) == [Artist("Björk", 9)]


def test_the_most_played_artists_of_an_export_are_taken() -> None:
    header = "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n"
    rows = [f'"{i}","x","Artist {i}","","","","",""' for i in range(1_005)]
    found = read(header + "\n".join([*rows, *rows[-3:]]))
    assert len(found.listener.top_artists) == 1_000
    assert [a.name for a in found.listener.top_artists[:4]] == [
        "Artist 1002",
        "Artist 1003",
        "Artist 1004",
        "Artist 0",
    ]
    assert found.notes == ["x has 1,005 artists; the 1,000 most played are sent."]


def test_columns_that_mean_something_are_used() -> None:
    assert artists("artist,listen_count\nAir,10\nBjörk,900\n") == [
        Artist("Björk", 900),
        Artist("Air", 10),
    ]
    assert artists("rank,artist\n2,Air\n1,Björk\n") == [Artist("Björk"), Artist("Air")]
    assert artists(f"artist,mbid,plays\nbjork,{MBID},10\n") == [Artist("bjork", 10, MBID)]
    assert artists(f"uts,artist,artist_mbid,track\n1,bjork,{MBID},t\n") == [
        Artist("bjork", 1, MBID)
    ]
    assert artists([{"artist_name": "Air", "rank": 2}, {"artist_name": "Björk", "rank": 1}]) == [
        Artist("Björk"),
        Artist("Air"),
    ]
    assert artists([{"artist": "Air", "listen_count": 2, "artist_mbid": MBID}]) == [
        Artist("Air", 2, MBID)
    ]
    assert read("user_id,artist\nu1,Air\nu1,Björk\n").listener.user_id == "u1"
    assert read({"top_artists": [{"artist": "Air"}], "user_id": "z"}).listener.user_id == "z"


def test_columns_that_are_not_used_are_named() -> None:
    assert read("artist,plays,tags\nAir,1,x\n").notes == ["Not used of x: tags."]
    assert read([{"artist_name": "Air", "url": "u"}]).notes == ["Not used of x: url."]
    assert read("artist,plays\nAir,1\n").notes == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"top_artists": [{"artist_name": "Air"}], "k": 2}, "'k' is not read .* give -k instead"),
        ({"top_artists": [{"artist_name": "Air"}], "explain": True}, "give --explain instead"),
        ({"top_artists": [{"artist_name": "Air"}], "level": "region"}, "'level' is not read"),
        ({"top_artists": [{"artist_name": "Air"}], "color": "red"}, "'color' is not read"),
        ("artist,k\nAir,2\n", "'k' is not read .* give -k instead"),
        ("user_id,artist_name\nu1,Air\nu2,Björk\n", r"x: plays of 2 listeners \(u1, u2\)"),
        ([LISTENS[0] | {"user_name": name} for name in "abcd"], r"4 listeners \(a, b, c, …\)"),
        ([{"artist": "Air", "user": name} for name in "ab"], r"2 listeners \(a, b\)"),
    ],
)
def test_what_would_be_ignored_is_refused(content: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read(content)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("song\nx\n", "x: no column 'artist_name' or 'artist'; the file has song"),
        ("artist\n\n", "no artists in it"),
        ("", "x: no artists in it; expected a CSV"),
        ("[]", "x: no artists in it; expected"),
        ('{"top_artists": []}', "x: no artists in it; expected"),
        ("artist,plays\nAir,many\n", "x, line 2: 'many' is no number"),
        ("artist,plays\nAir,nan\n", "x, line 2: 'nan' is no number"),
        ("artist,plays\nAir\n", "x, line 2: wrong number of fields"),
        ("{}", "expected .*top_artists"),
        ("[1]", "x, entry 1: not an object; expected .*top_artists"),
        ("{", "x, entry 1: not JSON; expected .*top_artists"),
        (json.dumps(SPOTIFY)[:-9], "x, line 3: not JSON"),
    ],
)
def test_an_unreadable_listener_is_explained(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read(text)
