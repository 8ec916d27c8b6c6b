"""Rows in = rows out + rows dropped, whatever a file holds after its first rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.convert import FORMS, tsv
from ops.convert.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.convert.chunks import Chunk

LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)
FIELD = st.sampled_from(
    ["", " ", "u", "0", "-3", "1e999", "nan", "Björk", "2009-05-04T23:08:57Z", "2009-13-40", "\x85"]
)
TABS = {
    "1K": (6, "user_1\t2009-05-04T23:08:57Z\tm\tBjörk\tt\tJóga", {"plays"}),
    "360K": (4, f"{'a' * 40}\tm\tBjörk\t12", {"top_artists"}),
    "profiles": (5, f"{'a' * 40}\tf\t22\tGermany\tFeb 1, 2007", {"users"}),
    "play": (9, "u\tar\t7\t0\tJóga\tBjörk\t254\t261\t0", {"plays", "tracks"}),
    "down": (6, "u\tip\t7\tJóga\tBjörk\t0", {"events"}),
    "search": (4, "u\tar\t2017-03-30 00:00:08\tq", {"events"}),
}
TABLES = {
    "plays": "user_id,played_at,ended_at,track_id,artist,track,ms_played",
    "top_artists": "user_id,rank,artist_name,playcount,mbid",
    "ratings": "userId,trackId,Rating,ts",
    "users": "user_id,country,gender,age,registered,total_scrobbles",
    "tracks": "track_id,artist,length,energy",
    "events": "user_id,at,kind",
    "scrobbles": "uts,artist,track",
}
ENTRY = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=5),
    st.dictionaries(
        st.sampled_from(["endTime", "artistName", "trackName", "msPlayed", "podcastName"]),
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), FIELD, st.lists(FIELD)),
    ),
)


def chunks(content: str | bytes) -> Iterator[Chunk]:
    text = content.encode() if isinstance(content, str) else content
    source = replace(Source.of_bytes(text, name="x"), listener="u", day=date(2020, 1, 1))
    recognised = next(found for form in FORMS if (found := form(source)) is not None)
    return recognised.read(source)


def balanced(content: str | bytes) -> dict[str, int]:
    """Return the rows that came in, by table, after seeing that none is lost."""
    rows: dict[str, int] = {}
    for chunk in chunks(content):
        assert chunk.rows_in == chunk.rows_out + sum(chunk.dropped.values())
        assert {len(values) for values in chunk.columns.values()} == {chunk.rows_out}
        rows[chunk.table] = rows.get(chunk.table, 0) + chunk.rows_in
    return rows


@pytest.mark.parametrize("form", TABS)
@given(data=st.data())
def test_no_line_with_tabs_is_lost(form: str, data: st.DataObject) -> None:
    fields, good, tables = TABS[form]
    row = st.lists(FIELD, min_size=fields, max_size=fields).map("\t".join)
    lines = [good] * 9 + data.draw(st.lists(st.one_of(row, LINE), max_size=8))
    expected = sum(bool(line) for line in lines)
    assert balanced("\n".join(lines)) == dict.fromkeys(tables, expected)


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
def test_no_record_of_a_table_is_lost(table: str, data: st.DataObject) -> None:
    header = TABLES[table]
    fields = header.count(",") + 1
    row = st.lists(FIELD, min_size=fields, max_size=fields).map(",".join)
    lines = data.draw(st.lists(st.one_of(row, LINE.filter(lambda line: '"' not in line))))
    expected = sum(bool(line) for line in lines)
    assert sum(balanced("\n".join([header, *lines])).values()) == expected


@given(st.lists(st.one_of(LINE, st.sampled_from(['"', '"a', 'a"', '"a" b', '""', '"a\nb",1']))))
def test_broken_quotes_lose_nothing_else(lines: list[str]) -> None:
    good = ["u,2020-01-01,t"] * 3
    content = "\n".join(["user_id,time,track_id", *lines, *good])
    kept = sum(chunk.rows_out for chunk in chunks(content))
    assert kept >= len(good) - 1  # one may end what a quote before it began
    balanced(content)


@given(st.lists(ENTRY))
def test_no_entry_of_a_list_is_lost(entries: list[Any]) -> None:
    first = {"endTime": "2023-05-01 10:04", "artistName": "a", "trackName": "b", "msPlayed": 1}
    assert balanced(json.dumps([first, *entries])) == {"plays": 1 + len(entries)}


@given(st.binary(max_size=200).map(lambda junk: junk.replace(b"\0", b"")))
def test_bytes_that_are_no_text_are_no_crash(junk: bytes) -> None:
    good = "u,2020-01-01,t,Björk\n".encode() * 9
    balanced(b"user_id,time,track_id,artist\n" + good + junk)
    good = "u\tar\t7\t0\tJóga\tBjörk\t254\t261\t0\n".encode() * 9
    lines = [line for line in junk.replace(b"\r", b"").split(b"\n") if line]
    assert balanced(good + b"\n".join(lines))["plays"] == 9 + len(lines)


def test_blocks_without_a_single_row_are_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv, "BLOCK", 1)
    good = "u\tar\t7\t0\tJóga\tBjörk\t254\t261\t0\n".encode() * 9
    assert balanced(good + b"\n\r\n\xff\nu\tar\n\n")["plays"] == 11
