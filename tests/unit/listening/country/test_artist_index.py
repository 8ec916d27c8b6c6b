from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from listening.country import artist_index
from listening.country.artist_index import search_text, word_starts, write_artist_index
from listening.country.artist_table import ArtistTable

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["The Beatles", "Sigur Rós", "Beach House", "Of Monsters and Men", "ベビーメタル", "..."]


def build(names: list[str], listeners: list[int] | None = None) -> ArtistTable:
    return ArtistTable.build(
        keys=[f"{i}" for i in range(len(names))],
        names=names,
        mbids=[None] * len(names),
        listeners=listeners or list(range(len(names), 0, -1)),
        salience=np.ones(len(names)),
        matrix=np.zeros((len(names), 1)),
        affinity_bias=np.zeros(1),
        region_starts=[0],
    )


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def find(folder: Path, query: str) -> list[str]:
    """Search as the page does."""
    wanted = search_text(query)
    node, rest = read(folder, artist_index.ROOT), wanted
    while "next" in node and rest:
        if rest[0] not in node["next"]:
            return []
        node, rest = read(folder, f"{node['next'][rest[0]]}.json"), rest[1:]
    if "next" in node:
        return list(node["artists"])
    return [
        name
        for name in node["artists"]
        if any(
            search_text(name).startswith(wanted, start) for start in word_starts(search_text(name))
        )
    ]


@pytest.fixture(params=[16, 64, artist_index.MOST_BYTES])
def any_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Small files make a deep tree of few artists."""
    monkeypatch.setattr(artist_index, "MOST_BYTES", request.param)
    return int(request.param)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("the b", ["The Beatles"]),
        ("bea", ["The Beatles", "Beach House"]),
        ("SIGUR ro", ["Sigur Rós"]),
        ("rós", ["Sigur Rós"]),
        ("ベビ", ["ベビーメタル"]),
        ("..", ["..."]),
        ("eatles", []),
        ("zz", []),
    ],
)
def test_artists_are_found_by_the_beginning_of_any_word(
    tmp_path: Path, any_size: int, query: str, expected: list[str]
) -> None:
    write_artist_index(build(NAMES), tmp_path / "index")
    assert find(tmp_path / "index", query) == expected


def test_those_with_most_listeners_come_first(tmp_path: Path) -> None:
    write_artist_index(build(["Air", "Aira", "Airbag"], [1, 9, 5]), tmp_path / "index")
    assert find(tmp_path / "index", "air") == ["Aira", "Airbag", "Air"]
    root = read(tmp_path / "index", artist_index.ROOT)
    assert (root["format_version"], root["size"]) == (1, 3)


def test_an_exact_name_is_shown_however_few_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artist_index, "MOST_BYTES", 64)
    monkeypatch.setattr(artist_index, "MOST_SHOWN", 2)
    write_artist_index(build([*(f"Air {i}" for i in range(30)), "Air"]), tmp_path / "index")
    assert find(tmp_path / "index", "air") == ["Air", "Air 0"]


def test_files_stay_small_and_are_named_as_promised(tmp_path: Path) -> None:
    names = [f"The artist number {i} of many" for i in range(8000)] + ["x" * 500]
    write_artist_index(build(names), tmp_path / "index")
    files = list((tmp_path / "index").iterdir())
    assert len(files) > 3
    for file in files:
        assert artist_index.FILE_NAME.fullmatch(file.name)
        assert file.stat().st_size < artist_index.MOST_BYTES + 4096
    assert read(tmp_path / "index", artist_index.ROOT)["size"] == 8000  # without the endless name
    assert find(tmp_path / "index", "the artist number 7999") == []  # the least heard give way
    assert find(tmp_path / "index", "7999") == ["The artist number 7999 of many"]


def test_a_table_without_artists_has_an_index(tmp_path: Path) -> None:
    write_artist_index(build([]), tmp_path / "index")
    assert read(tmp_path / "index", artist_index.ROOT)["artists"] == []


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(names=st.lists(st.text("abÄ é-日", min_size=1, max_size=9), min_size=1, max_size=20))
def test_every_artist_is_found_by_each_of_its_words(
    names: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("index") / "index"
    monkeypatch.setattr(artist_index, "MOST_BYTES", 400)
    write_artist_index(build(names), folder)
    for name in names:
        text = search_text(name)
        for start in word_starts(text):
            assert name in find(folder, text[start:])
