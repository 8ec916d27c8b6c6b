from __future__ import annotations

import pyarrow as pa
import pytest

from glue_jobs.arrow import group_bounds, whole_groups
from glue_jobs.country.cleaning import _clean_listeners
from glue_jobs.country.identity import _choose_names, _choose_owners, _name_artists

ROWS = [  # user_id, rank, artist_name, playcount; sorted as the job sorts them
    ("a", 1.0, "Björk", 10.0),
    ("a", 1.0, "Björk", 10.0),
    ("a", 2.0, "Bj√∂rk", 5.0),
    ("a", 3.0, None, 9.0),
    ("a", 4.0, "Air", None),
    ("a", 5.0, "Muse", -1.0),
    ("b", 1.0, "Air", None),
    ("b", None, "Muse", None),
    ("c", 1.0, " ", 3.0),
]


def plays() -> pa.Table:
    users, ranks, names, counts = map(list, zip(*ROWS, strict=True))
    return pa.table(
        {
            "user_id": users,
            "rank": pa.array(ranks, pa.float64()),
            "artist_name": names,
            "playcount": pa.array(counts, pa.float64()),
            "country": ["Iceland" if user == "a" else None for user in users],
            "total_scrobbles": pa.array([99.0 if user == "a" else None for user in users]),
            "has_user": [True if user == "a" else None for user in users],
        }
    )


def test_each_listener_becomes_one_row_and_every_play_is_accounted_for() -> None:
    a, b, c = _clean_listeners(plays()).to_pylist()
    assert (a["artist_keys"], a["playcounts"]) == (["björk", "air"], [15.0, 5.0])
    assert (a["country"], a["total_scrobbles"], a["has_user"]) == ("Iceland", 99.0, True)
    counts = ("plays_in", "repeated", "negative_playcount", "no_artist_name", "merged_artist")
    assert [a[name] for name in counts] == [6, 1, 1, 1, 1]
    assert a["playcount_filled"] == 1
    assert (b["artist_keys"], b["playcounts"]) == (["air", "muse"], None)
    assert (b["country"], b["has_user"]) == (None, False)
    assert (c["artist_keys"], c["no_artist_name"]) == ([], 1)


@pytest.mark.parametrize("size", range(1, len(ROWS) + 1))
def test_listeners_are_whole_however_batches_cut_them(size: int) -> None:
    table = plays()
    tables = list(whole_groups(table.to_batches(max_chunksize=size), "user_id"))
    seen = [set(each.column("user_id").to_pylist()) for each in tables]
    assert sum(map(len, seen)) == 3
    assert pa.concat_tables(tables).to_pylist() == table.to_pylist()


def test_bounds_of_runs() -> None:
    assert group_bounds(pa.array(["a", "a", "b", "a"])).tolist() == [0, 2, 3, 4]
    assert group_bounds(pa.array(["a"])).tolist() == [0, 1]
    assert group_bounds(pa.array([], pa.string())).tolist() == [0]


SPELLINGS = [  # artist_name, mbid, plays
    ("Björk", "m1", 5),
    ("Bj√∂rk", "m2", 4),  # mended to the name above
    ("BJÖRK", "m2", 3),
    ("bjork", None, 50),  # another artist
    ("AIR", "", 2),
    ("Air", None, 2),
    ("  ", "m3", 9),
    ("muse", "m4", 1),
    ("muse", "m5", 1),
]


@pytest.mark.parametrize("size", [1, 4, len(SPELLINGS)])
def test_an_artist_has_the_most_played_name_and_mbid_and_among_equals_the_last(size: int) -> None:
    names, mbids, counts = map(list, zip(*SPELLINGS, strict=True))
    table = pa.table(
        {"artist_name": names, "mbid": pa.array(mbids, pa.string()), "plays": pa.array(counts)}
    )
    named = list(_name_artists(table.to_batches(max_chunksize=size)))
    chosen = pa.Table.from_batches(_choose_names(named)).sort_by("artist_key").to_pylist()
    assert [tuple(row.values()) for row in chosen] == [
        ("air", "Air", None),
        ("bjork", "bjork", None),
        ("björk", "Björk", "m2"),
        ("muse", "muse", "m5"),
    ]


def test_artists_without_any_mbid_have_none() -> None:
    table = pa.table({"artist_name": ["Air"], "mbid": pa.nulls(1, pa.string()), "plays": [3]})
    rows = pa.Table.from_batches(_choose_names(_name_artists(table.to_batches()))).to_pylist()
    assert rows == [{"artist_key": "air", "artist_name": "Air", "mbid": None}]
    assert list(_choose_names([])) == []


def test_a_rare_name_stands_for_the_artist_of_its_mbid() -> None:
    rows = [
        ("air", "Air", "m1", True),
        ("air french band", "Air (French Band)", "m1", False),
        ("airs", "Airs", "m1", True),
        ("nobody", "Nobody", "m2", False),
    ]
    spelt = pa.table(
        {
            "artist_key": [key for key, *_ in rows],
            "spelling": [name for _, name, *_ in rows],
            "mbid": [mbid for *_, mbid, _ in rows],
            "plays": [9, 1, 5, 1],
            "is_known": [known for *_, known in rows],
        }
    )
    found = pa.Table.from_batches(_choose_owners(spelt.to_batches())).to_pylist()
    assert found == [{"artist_name": "Air (French Band)", "mbid": "m1", "owner": "air"}]
    assert list(_choose_owners([])) == []
