from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from listening.countries import country_code
from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.world import COUNTRIES, country_shares, write_sample

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, listeners=10_000, artists=2_000, artists_per_listener=6)
    return folder


@pytest.fixture(scope="module")
def users(folder: Path) -> pa.Table:
    return pq.read_table(folder / "users.parquet")


@pytest.fixture(scope="module")
def plays(folder: Path) -> pa.Table:
    return pq.read_table(folder / "top_artists.parquet")


def test_the_countries_have_a_long_tail(users: pa.Table) -> None:
    counts = Counter(country_code(label) for label in users["country"].to_pylist())
    del counts[None]
    kept = sorted(count for count in counts.values() if count >= 50)
    assert len(kept) >= 40
    assert 0.18 < kept[-1] / sum(counts.values()) < 0.22
    assert kept[0] < 60
    assert any(count < 50 for count in counts.values())
    assert set(counts) <= set(COUNTRIES)


def test_shares_fall_and_add_up() -> None:
    shares = country_shares()
    assert shares.sum() == pytest.approx(1)
    assert all(shares[:-1] >= shares[1:])


def test_the_dirt_of_real_exports_is_there(users: pa.Table, plays: pa.Table) -> None:
    labels = set(users["country"].to_pylist())
    assert {None, "", "none", "Atlantis", "Russian Federation", "Viet Nam"} <= labels
    assert {"Korea, Republic of", "Macedonia"} <= labels
    assert users["total_scrobbles"].null_count > 0

    counts = plays["playcount"].to_pylist()
    assert None in counts
    assert {"n/a", "", "-1", "NaN"} <= set(counts)
    names = plays["artist_name"].to_pylist()
    assert any("Ã" in name for name in names)
    assert any("√" in name for name in names)
    folded = Counter(
        zip(plays["user_id"].to_pylist(), (name.strip().casefold() for name in names), strict=True)
    )
    assert max(folded.values()) > 1


def test_scenes_have_names_in_their_scripts(plays: pa.Table) -> None:
    names = plays["artist_name"].unique().to_pylist()
    letters = {unicodedata.name(name[0], "?").split()[0] for name in names}
    assert {"LATIN", "CYRILLIC", "HANGUL", "CJK", "GREEK", "ARABIC"} <= letters


def test_ranks_count_from_one_by_falling_plays(plays: pa.Table) -> None:
    ranks = plays["rank"].to_pylist()
    users = plays["user_id"].to_pylist()
    numbers = [int(c) if c and c.isdigit() else None for c in plays["playcount"].to_pylist()]
    before: tuple[str, int, int | None] = ("", 0, None)
    for user, rank, count in zip(users, ranks, numbers, strict=True):
        if user != before[0]:
            assert rank == 1
        elif count is not None and before[2] is not None:
            assert rank >= before[1]
            assert count <= before[2]
        before = (user, rank, count)


def test_it_is_marked_synthetic(folder: Path) -> None:
    assert '"listeners": 10000' in (folder / SYNTHETIC).read_text()


def test_the_same_seed_gives_the_same_tables(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, listeners=600, artists=1_000, seed=seed)
    tables = {n: pq.read_table(tmp_path / n / "top_artists.parquet") for n in "abc"}
    assert tables["a"].equals(tables["b"])
    assert not tables["a"].equals(tables["c"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"listeners": 10}, "500 to 320,000 listeners, not 10"),
        ({"listeners": 320_001}, "not 320,001"),
        ({"artists": 5}, "at least 1,000 artists"),
        ({"artists_per_listener": 0}, "1 to 200 artists"),
    ],
)
def test_sizes_out_of_range_are_refused(
    tmp_path: Path, arguments: dict[str, int], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        write_sample(tmp_path / "sample", **arguments)
    assert not (tmp_path / "sample").exists()
