from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.country.artist_table import ArtistTable
from listening.country.layout import Block, FeatureLayout
from listening.country.listeners import ListenerBatch, RawListener, clean_plays, listener_features
from listening.errors import LayoutError

MBID = "b1570544-93ab-4b2b-8398-131735394202"
NAN = float("nan")
COUNTRIES = ("DE", "FR", "US")
LAYOUT = FeatureLayout(
    (
        Block("vector", 2),
        Block("affinity", 3, COUNTRIES),
        Block("region_affinity", 2, ("europe", "america")),
        Block("evidence", 1),
        Block("log_list_length", 1),
        Block("log_total_scrobbles", 1),
    )
)


def table(artists: int = 30, seed: int = 0) -> ArtistTable:
    rng = np.random.default_rng(seed)
    return ArtistTable.build(
        keys=[f"artist {i}" for i in range(artists)],
        names=[f"Artist {i}" for i in range(artists)],
        mbids=[MBID, *[None] * (artists - 1)],
        listeners=np.ones(artists),
        salience=rng.uniform(1, 5, artists),
        matrix=rng.normal(size=(artists, 5)),
        affinity_bias=rng.normal(size=3),
        region_starts=[0, 2],
    )


def cleaned(codes: list[int], counts: list[float]) -> tuple[list[int], list[float], list[int]]:
    clean = clean_plays([0, len(codes)], codes, counts)
    dropped = [int(n[0]) for n in (clean.negative, clean.unnamed, clean.merged, clean.filled)]
    return clean.kept.tolist(), clean.playcounts.tolist(), dropped


def test_missing_counts_come_from_the_neighbours_in_rank() -> None:
    kept, counts, dropped = cleaned([0, 1, 2, 3, 4, 5], [NAN, 100, NAN, NAN, 40, float("inf")])
    assert kept == [0, 1, 2, 3, 4, 5]
    assert counts == [100, 100, 70, 70, 40, 40]
    assert dropped == [0, 0, 0, 4]


def test_negative_counts_are_unusable_and_fill_nothing() -> None:
    kept, counts, dropped = cleaned([0, 1, 2], [-999, NAN, 10])
    assert (kept, counts) == ([1, 2], [10, 10])
    assert dropped == [1, 0, 0, 1]


def test_repeated_artists_merge_at_the_better_rank() -> None:
    kept, counts, dropped = cleaned([7, 3, 7, -1, 3], [5, 4, 3, 2, 1])
    assert (kept, counts) == ([0, 1], [8, 5])
    assert dropped == [0, 1, 2, 0]


def test_without_any_number_there_are_no_counts() -> None:
    kept, counts, _ = cleaned([1, 2], [NAN, NAN])
    assert kept == [0, 1]
    assert np.isnan(counts).all()


plays = st.lists(
    st.tuples(
        st.integers(-1, 4),
        st.one_of(st.just(NAN), st.integers(-2, 1000).map(float)),
    ),
    max_size=8,
)


@given(st.lists(plays, min_size=1, max_size=5))
def test_cleaning_accounts_for_every_play_and_looks_at_no_other_listener(
    listeners: list[list[tuple[int, float]]],
) -> None:
    bounds = np.cumsum([0, *map(len, listeners)])
    flat = [play for listener in listeners for play in listener]
    codes, counts = [c for c, _ in flat], [n for _, n in flat]
    clean = clean_plays(bounds, np.array(codes, dtype=int), np.array(counts, dtype=float))
    lengths = np.diff(clean.indptr)
    dropped = clean.negative + clean.unnamed + clean.merged
    assert (np.diff(bounds) == lengths + dropped).all()
    for i, (start, stop) in enumerate(pairwise(bounds)):
        alone = cleaned(codes[start:stop], counts[start:stop])
        mine = slice(clean.indptr[i], clean.indptr[i + 1])
        assert (clean.kept[mine] - start).tolist() == alone[0]
        assert np.array_equal(clean.playcounts[mine], alone[1], equal_nan=True)


def test_weights_are_of_mean_one_and_rank_stands_in() -> None:
    artists = table()
    raw = [
        RawListener(["Artist 1", "Artist 2", "who?"], [999, 99, 9]),
        RawListener(["Artist 1", "Artist 2", "who?"]),
        RawListener(["Artist 1", "Artist 2"], [0, 0]),
    ]
    batch = ListenerBatch.from_raw(raw, artists)
    assert np.allclose(batch.weights[:3], [1.5, 1.0, 0.5])
    standing_in = 3.44 - 0.63 * np.log10([1, 2, 3])
    assert np.allclose(batch.weights[3:6], standing_in / standing_in.mean())
    assert np.allclose(batch.weights[6:].mean(), 1)
    assert batch.known.tolist() == [2, 2, 2]
    assert batch.unknown.tolist() == [1, 1, 0]


def test_raw_listeners_are_cleaned_like_the_jobs_do() -> None:
    batch = ListenerBatch.from_raw(
        [
            RawListener(
                ["ARTIST 2", "artist  2", "stranger", "Stranger", None, " "],
                [10, 5, 3, None, 7, 7],
                mbids=[None, None, None, None, MBID, None],
                total_scrobbles=100,
            )
        ],
        table(),
    )
    assert batch.artist_ids.tolist() == [2, -1, 0]
    assert batch.playcounts.tolist() == [15, 8, 7]
    assert batch.total_scrobbles.tolist() == [100]


def test_features_are_what_they_are_documented_to_be() -> None:
    artists = table()
    names = ["Artist 3", "Artist 4", "nobody"]
    batch = ListenerBatch.from_raw([RawListener(names, [9, 99, 999], total_scrobbles=500)], artists)
    x = batch.weights[:2] * artists.salience[[3, 4]]
    sums = batch.weights[:2] @ artists.matrix[[3, 4]]
    energy = (x**2).sum()
    logits = sums[2:] / energy**0.3 + artists.affinity_bias
    shares = np.exp(logits) / np.exp(logits).sum()
    features = listener_features(batch, artists, LAYOUT)[0]
    assert np.allclose(features[:2], sums[:2] / np.sqrt(energy), rtol=1e-5)
    assert np.allclose(features[2:5], np.log(shares), rtol=1e-4)
    assert np.allclose(features[5:7], np.log([shares[:2].sum(), shares[2]]), rtol=1e-4)
    assert np.allclose(features[7:], np.log1p([energy, 3, 500]), rtol=1e-5)


def test_a_listener_of_strangers_has_features_all_the_same() -> None:
    artists = table()
    batch = ListenerBatch.from_raw([RawListener(["nobody"]), RawListener([])], artists)
    features = listener_features(batch, artists, LAYOUT)
    assert np.isfinite(features[:, :-1]).all()
    assert np.isnan(features[:, -1]).all()
    assert (features[:, :2] == 0).all()


names = st.integers(0, 40).map("Artist {}".format)
raw_listeners = st.builds(
    lambda rows, counted, total: RawListener(
        [name for name, _ in rows], [n for _, n in rows] if counted else None, None, total
    ),
    st.lists(st.tuples(names, st.one_of(st.none(), st.integers(0, 10**6))), max_size=20),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 10**7)),
)


@given(st.lists(raw_listeners, min_size=1, max_size=6))
def test_a_batch_gives_the_bits_that_its_listeners_give_alone(raw: list[RawListener]) -> None:
    artists = table()
    together = listener_features(ListenerBatch.from_raw(raw, artists), artists, LAYOUT)
    alone = [listener_features(ListenerBatch.from_raw([r], artists), artists, LAYOUT) for r in raw]
    assert np.array_equal(together, np.concatenate(alone), equal_nan=True)


def test_listeners_can_be_taken_from_a_batch() -> None:
    artists = table()
    raw = [RawListener([f"Artist {i + j}" for j in range(i + 1)]) for i in range(4)]
    batch = ListenerBatch.from_raw(raw, artists)
    rows = np.array([2, 0])
    expected = listener_features(batch, artists, LAYOUT)[rows]
    taken = listener_features(batch.take(rows), artists, LAYOUT)
    assert np.array_equal(taken, expected, equal_nan=True)


def test_an_unknown_block_is_refused() -> None:
    layout = FeatureLayout((*LAYOUT.blocks, Block("horoscope", 1)))
    batch = ListenerBatch.from_raw([RawListener(["Artist 1"])], table())
    with pytest.raises(LayoutError, match="'horoscope'"):
        listener_features(batch, table(), layout)
