from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.country import artist_table
from listening.country.artist_table import ArtistTable, read_artist_table
from listening.country.layout import Block, FeatureLayout
from listening.errors import ArchiveError, LayoutError
from listening.names import artist_key

if TYPE_CHECKING:
    from pathlib import Path

MBID = "b1570544-93ab-4b2b-8398-131735394202"
LAYOUT = FeatureLayout(
    (Block("vector", 2), Block("affinity", 3, ("DE", "FR", "US")), Block("region_affinity", 2))
)


def build(keys: list[str], **columns: object) -> ArtistTable:
    size = len(keys)
    return ArtistTable.build(
        **{
            "keys": keys,
            "names": [key.title() for key in keys],
            "mbids": [None] * size,
            "listeners": np.arange(size) + 1,
            "salience": np.ones(size),
            "matrix": np.zeros((size, 5)),
            "affinity_bias": np.zeros(3),
            "region_starts": [0, 2],
            **columns,
        }
    )


def test_names_are_found_in_any_spelling() -> None:
    table = build(["radiohead", "sigur rós", "björk"])
    spellings = ["BJÖRK", "Sigur RÃ³s", "nobody", "", " Radiohead "]
    found = table.lookup_keys([artist_key(spelling) for spelling in spellings])
    assert found.tolist() == [2, 1, -1, -1, 0]
    assert (table.name(2), table.key(2)) == ("Björk", "björk")


def test_an_empty_table_knows_nobody() -> None:
    assert build([], matrix=np.zeros((0, 5))).lookup_keys(["a"]).tolist() == [-1]


def test_equal_hashes_do_not_confuse_artists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        artist_table, "_hashes", lambda keys: np.array([len(key) for key in keys], np.uint64)
    )
    table = build(["aa", "bb", "cc", "d"])
    assert table.lookup_keys(["cc", "aa", "bb", "zz", "d", "e"]).tolist() == [2, 0, 1, -1, 3, -1]


def test_mbids_are_found_and_the_more_heard_artist_has_a_shared_one() -> None:
    table = build(["a", "b", "c"], mbids=[MBID, MBID, "not an id"])
    assert table.lookup_mbids([MBID.upper(), "not an id", None, ""]).tolist() == [1, -1, -1, -1]


def test_arrays_go_round_through_memory_mapped_files(tmp_path: Path) -> None:
    table = build(["radiohead", "björk"], mbids=[None, MBID])
    for name, array in table.to_arrays().items():
        np.save(tmp_path / f"{name}.npy", array)
    arrays = {p.stem: np.load(p, mmap_mode="r") for p in tmp_path.iterdir()}
    mapped = ArtistTable.from_arrays(arrays)
    assert mapped.lookup_keys(["björk"]).tolist() == [1]
    assert mapped.lookup_mbids([MBID]).tolist() == [1]
    del arrays["matrix"]
    with pytest.raises(ArchiveError, match="no matrix"):
        ArtistTable.from_arrays(arrays)


def test_arrays_that_do_not_fit_are_refused() -> None:
    table = build(["a", "b"])
    with pytest.raises(ArchiveError, match="salience has 1 entries, expected 2"):
        replace(table, salience=np.ones(1, dtype=np.float32))
    with pytest.raises(ArchiveError, match="key_ids leads outside the 2 artists"):
        replace(table, key_ids=np.array([0, 7], dtype=np.int32))


def test_a_layout_that_does_not_fit_is_refused() -> None:
    table = build(["a"])
    assert table.columns(LAYOUT) == {"vector": slice(0, 2), "affinity": slice(2, 5)}
    with pytest.raises(LayoutError, match="artist blocks are 2 wide, the artist table's 5"):
        table.columns(FeatureLayout((Block("vector", 2),)))
    with pytest.raises(LayoutError, match="2 affinities, the artist table 3"):
        table.columns(FeatureLayout((Block("affinity", 2),)))


def test_a_features_run_is_read(tmp_path: Path) -> None:
    pq.write_table(
        pa.table(
            {
                "artist_id": pa.array([1, 0], pa.int32()),
                "artist_key": ["b", "a"],
                "artist_name": ["B", "A"],
                "mbid": [None, MBID],
                "listeners": pa.array([3, 5], pa.int32()),
                "salience": pa.array([2.0, 1.0], pa.float32()),
                "matrix": pa.array([[3.0, 4.0], [1.0, 2.0]], pa.list_(pa.float32())),
            }
        ),
        tmp_path / "part-0.parquet",
    )
    constants = {"affinity_bias": [0.5], "region_starts": [0]}
    table = read_artist_table(tmp_path, {"artist_constants": constants})
    assert table.lookup_keys(["b", "a"]).tolist() == [1, 0]
    assert table.matrix.tolist() == [[1, 2], [3, 4]]
    assert table.salience.tolist() == [1, 2]
    assert table.lookup_mbids([MBID]).tolist() == [0]
