from __future__ import annotations

import pytest

from listening.errors import DataError
from ops.country.client import Artist
from ops.country.listener_files import read_listener


@pytest.mark.parametrize(
    "text",
    [
        '{"top_artists": [{"artist_name": "Björk", "playcount": 3}, {"artist_name": "Air"}]}',
        '[{"artist_name": "Björk", "playcount": 3}, {"artist_name": "Air"}]',
    ],
)
def test_a_listener_is_read_from_json(text: str) -> None:
    assert read_listener(text, source="x").top_artists == [Artist("Björk", 3), Artist("Air")]


def test_an_export_with_a_row_per_play_is_added_up() -> None:
    text = "uts,artist,track\n1,Air,a\n2,Björk,b\n3,Björk,c\n"
    assert read_listener(text, source="x").top_artists == [Artist("Björk", 2), Artist("Air", 1)]


def test_an_export_with_counts_is_read() -> None:
    text = "Artist,Plays\nAir,5\nBjörk,7\n"
    assert read_listener(text, source="x").top_artists == [Artist("Björk", 7), Artist("Air", 5)]


def test_names_alone_keep_their_order_and_have_no_counts() -> None:
    text = "artist_name\nBjörk\nAir\n"
    assert read_listener(text, source="x").top_artists == [Artist("Björk"), Artist("Air")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("song\nx\n", "x: no column 'artist_name' or 'artist'; the file has song"),
        ("artist\n\n", "no artists in it"),
        ("artist,plays\nAir,many\n", "x, line 2: 'many' is no number"),
        ("{}", "expected .*top_artists"),
        ("[1]", "expected .*top_artists"),
        ("{", "expected .*top_artists"),
    ],
)
def test_an_unreadable_listener_is_explained(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_listener(text, source="x")
