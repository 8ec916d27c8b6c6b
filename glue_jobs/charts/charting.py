"""What listeners heard to parts by place, parts to lists, lists to how they do."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from glue_jobs.arrow import column, floats, group_bounds
from glue_jobs.charts.hearing import Hearing, whole
from listening.charts.bundle import WORLD
from listening.charts.judging import DEPTHS, MEASURES, judged
from listening.charts.parts import PARTS, WINDOWS, parts_before
from listening.charts.scores import METHODS, best, enough, score, shrunk, trend
from listening.regions import default_regions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt
    from pyspark.sql import DataFrame

    from listening.charts.parts import Floats
    from listening.charts.scores import Flags


LONGEST = 200
"""Tracks of a list."""
WEEK = 7  # days

PLACED = "date int, window string, place string, track string, " + ", ".join(
    f"{name} double" for name in PARTS
)
"""Schema of parts: ``place`` is `WORLD`, a region's slug or a country's code; of the row without a
track ``listeners`` are those of the place in the window."""
LISTED = f"{PLACED}, method string, is_judged boolean, rank int, score double, trend double"
"""Schema of lists, ``rank`` from 1; those that are judged are shorter, and of the world alone."""
JUDGED = "date int, window string, method string, listener bigint, " + ", ".join(
    f"{name} double" for name in MEASURES
)
"""Schema of judged weeks: a row a listener, null where there was nothing to meet."""


@dataclass(frozen=True)
class Plan:
    """What lists are made.

    Parameters
    ----------
    end
        The date of the lists that are published, days since 1970.
    weeks
        Dates of the lists that are judged by the week that follows each.
    method
        Of the lists that are published.
    least
        Listeners that a track must have.
    half_lives
        Days, by window.
    """

    end: int
    weeks: tuple[int, ...]
    method: str
    least: int
    half_lives: Mapping[str, float]

    @property
    def published(self) -> tuple[int, int]:
        """The dates at which every place has its list: now, and a week before."""
        return self.end, self.end - WEEK

    @property
    def dates(self) -> tuple[int, ...]:
        """Every date once, rising."""
        return tuple(sorted({*self.published, *self.weeks}))


def placed_parts(heard: DataFrame, plan: Plan) -> DataFrame:
    """Return the parts of tracks by date, window and place, of schema `PLACED`."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = whole(batches)
        if table is not None:
            hearing = Hearing.of(table)
            for date in plan.dates:
                for window in WINDOWS:
                    yield from _parts(hearing, plan, date, window).to_batches()

    sums = (F.sum(name).alias(name) for name in PARTS)
    rows = heard.drop("number").mapInArrow(run, PLACED)
    return rows.groupBy("date", "window", "place", "track").agg(*sums)


def _parts(hearing: Hearing, plan: Plan, date: int, window: str) -> pa.Table:
    """Return the parts of one partition's listeners, and how many they are at each place."""
    heard = hearing.heard
    pairs, parts = parts_before(
        heard, date, window=WINDOWS[window], half_life=plan.half_lives[window]
    )
    rows = heard.firsts[pairs]
    owner, track = heard.owner[rows], heard.track[rows]
    places, codes = [WORLD], [np.zeros(len(hearing.users), dtype=np.int64)]
    if date in plan.published:
        country = column(hearing.users, "country").dictionary_encode()
        own = country.indices.fill_null(-1).to_numpy().astype(np.int64)
        names = country.dictionary.to_pylist()
        region_of = default_regions().region_of
        regions = sorted({region_of[name] for name in names})
        of_country = np.array([regions.index(region_of[name]) for name in names] + [-1])
        codes += [np.where(of_country[own] >= 0, of_country[own] + 1, -1)]
        codes += [np.where(own >= 0, own + 1 + len(regions), -1)]
        places += [*regions, *names]
    # A row a place, track and its sums; the track after the last stands for the place itself.
    width = len(hearing.tracks) + 1
    active = np.unique(owner[parts[:, PARTS.index("listeners")] > 0])
    keys, sums = [], []
    for code in codes:
        is_there = code[owner] >= 0
        keys.append(code[owner][is_there] * width + track[is_there])
        sums.append(parts[is_there])
        here = code[active][code[active] >= 0]
        of_place = np.zeros((len(here), len(PARTS)))
        of_place[:, PARTS.index("listeners")] = 1
        keys.append(here * width + width - 1)
        sums.append(of_place)
    found, row = np.unique(np.concatenate(keys), return_inverse=True)
    every = np.concatenate(sums)
    place, number = np.divmod(found, width)
    return pa.table(
        {
            "date": pa.array(np.full(len(found), date), pa.int32()),
            "window": pa.array([window] * len(found), pa.string()),
            "place": pa.array(places, pa.string()).take(pa.array(place)),
            "track": hearing.tracks.take(pa.array(number, mask=number == width - 1)),
            **{name: np.bincount(row, every[:, i], len(found)) for i, name in enumerate(PARTS)},
        }
    )


def lists(parts: DataFrame, plan: Plan) -> DataFrame:
    """Return lists of schema `LISTED`: every place's as published, the world's by each method.

    Parameters
    ----------
    parts
        Of schema `PLACED`.
    plan
        Which.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = whole(batches)
        if table is None:
            return
        table = table.sort_by(
            [(name, "ascending") for name in ("date", "window", "place", "track")]
        ).combine_chunks()
        keys = pc.binary_join_element_wise(
            column(table, "date").cast(pa.string()), column(table, "window"), " "
        )
        bounds = group_bounds(keys).tolist()
        for start, stop in pairwise(bounds):
            some = table.slice(start, stop - start).combine_chunks()
            for found in _lists(some, plan, column(some, "date")[0].as_py()):
                yield from found.to_batches()

    return parts.repartition("date").mapInArrow(run, LISTED)


@dataclass(frozen=True)
class _Place:
    """The tracks of a place: their own parts, and those that are scored.

    Parameters
    ----------
    name
        See `PLACED`.
    track
        Keys, (n,).
    own, parts
        As counted, and pulled to the place above, (n, 8).
    listeners
        How many the place has.
    """

    name: str
    track: pa.Array
    own: Floats
    parts: Floats
    listeners: float

    @classmethod
    def of(cls, name: str, rows: pa.Table) -> _Place:
        """Read the rows of a place."""
        is_track = pc.is_valid(rows["track"])
        total = rows.filter(pc.invert(is_track))
        tracks = rows.filter(is_track).combine_chunks()
        own = np.column_stack([floats(column(tracks, part)) for part in PARTS])
        listeners = float(floats(column(total, "listeners")).sum())
        return cls(name, column(tracks, "track"), own, own, listeners)

    def pulled(self, above: _Place) -> _Place:
        """Return the place with the tracks of the one above, its parts pulled to theirs."""
        own = np.zeros_like(above.parts)
        own[pc.index_in(self.track, value_set=above.track).to_numpy()] = self.own
        of_parent = max(above.listeners, 1.0)
        parts = shrunk(own, self.listeners, above.parts, of_parent)
        return _Place(self.name, above.track, own, parts, self.listeners)

    def list(self, date: int, window: str, method: str, may: Flags, *, judged: bool) -> pa.Table:
        """Return the place's list, of schema `LISTED`."""
        scores = score(self.parts, method)
        rows = best(self.parts, scores, may, most=max(DEPTHS) if judged else LONGEST)
        n = len(rows)
        return pa.table(
            {
                "date": pa.array([date] * n, pa.int32()),
                "window": pa.array([window] * n, pa.string()),
                "place": pa.array([self.name] * n, pa.string()),
                "track": self.track.take(pa.array(rows)),
                **{part: self.own[rows, i] for i, part in enumerate(PARTS)},
                "method": pa.array([method] * n, pa.string()),
                "is_judged": pa.array([judged] * n, pa.bool_()),
                "rank": pa.array(np.arange(1, n + 1), pa.int32()),
                "score": scores[rows],
                "trend": trend(self.parts)[rows],
            }
        )


def _lists(table: pa.Table, plan: Plan, date: int) -> Iterator[pa.Table]:
    """Yield the lists of one date and window, from the world to its countries."""
    window, names = column(table, "window")[0].as_py(), column(table, "place")
    where = {
        names[start].as_py(): _Place.of(names[start].as_py(), table.slice(start, stop - start))
        for start, stop in pairwise(group_bounds(names).tolist())
    }
    world = where[WORLD]
    if date in plan.weeks:
        for method in METHODS:
            may = enough(world.own, method=method, least=plan.least)
            yield world.list(date, window, method, may, judged=True)
    if date in plan.published:
        may = enough(world.own, method=plan.method, least=plan.least)
        region_of, found = default_regions().region_of, {WORLD: world}
        # Regions before countries: each is pulled to what is above it.
        for name in sorted(where, key=lambda name: (name in region_of, name)):
            if name != WORLD:
                found[name] = where[name].pulled(found[region_of.get(name, WORLD)])
        for place in found.values():
            yield place.list(date, window, plan.method, may, judged=False)


@dataclass(frozen=True)
class Judging:
    """Judges lists by what listeners hear in the week that follows.

    Parameters
    ----------
    ranks
        From a track to its rank, from 0, by date, window and method.
    """

    ranks: Mapping[tuple[int, str, str], Mapping[str, int]]

    def __call__(self, hearing: Hearing) -> Iterator[pa.Table]:
        """Yield rows of schema `JUDGED`."""
        heard, numbers = hearing.heard, column(hearing.users, "number").to_numpy()
        names = hearing.tracks.to_pylist()
        first_played = np.full(len(heard.firsts), np.iinfo(np.int64).max)
        is_play = heard.plays > 0
        np.minimum.at(first_played, heard.pair[is_play], heard.day[is_play])
        for date in sorted({date for date, _, _ in self.ranks}):
            next_week = is_play & (heard.day >= date) & (heard.day < date + WEEK)
            pairs = np.unique(heard.pair[next_week])
            rows = heard.firsts[pairs]
            who, owner = np.unique(heard.owner[rows], return_inverse=True)
            track, is_new = heard.track[rows], first_played[pairs] >= date
            for (day, window, method), ranks in self.ranks.items():
                if day == date and len(who):
                    rank = np.array([ranks.get(names[t], -1) for t in track.tolist()])
                    found = judged(owner, rank, is_new, len(who))
                    yield _judged(date, window, method, numbers[who], found)


def _judged(
    date: int, window: str, method: str, listener: npt.NDArray[np.int64], found: Floats
) -> pa.Table:
    n = len(listener)
    return pa.table(
        {
            "date": pa.array(np.full(n, date), pa.int32()),
            "window": pa.array([window] * n, pa.string()),
            "method": pa.array([method] * n, pa.string()),
            "listener": pa.array(listener, pa.int64()),
            **{
                name: pa.array(found[:, i], pa.float64(), from_pandas=True)
                for i, name in enumerate(MEASURES)
            },
        }
    )


def judge(heard: DataFrame, judging: Judging, *, most_listeners: int) -> DataFrame:
    """Return how lists do for listeners, or for so many about of them, of schema `JUDGED`."""
    listeners = heard.select("number").distinct().count()
    share = min(1.0, most_listeners / max(listeners, 1))
    # xxhash64 is even: its numbers below a bound are a draw.
    bound = int(share * 2**63)
    some = heard.where(F.col("number").bitwiseAND(2**63 - 1) < bound) if share < 1 else heard

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = whole(batches)
        if table is not None:
            for found in judging(Hearing.of(table)):
                yield from found.to_batches(max_chunksize=100_000)

    return some.mapInArrow(run, JUDGED)


def turnover(
    ranks: Mapping[tuple[int, str, str], Mapping[str, int]],
) -> dict[str, dict[str, float]]:
    """Return the share of the first ten that is new since last week, by window and method."""
    found: dict[str, dict[str, list[float]]] = {}
    for (date, window, method), now in ranks.items():
        before = ranks.get((date - WEEK, window, method))
        first = {track for track, rank in now.items() if rank < DEPTHS[0]}
        if before is not None and first:
            new = sum(before.get(track, DEPTHS[0]) >= DEPTHS[0] for track in first)
            found.setdefault(window, {}).setdefault(method, []).append(new / len(first))
    return {w: {m: float(np.mean(v)) for m, v in by.items()} for w, by in found.items()}
