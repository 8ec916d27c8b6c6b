"""How good lists of what is hot are: ``python benchmarks/charts.py --json FILE``.

    --data FOLDER    a real log

For each week of the log lists are made of what half of the listeners played before it, and judged
by what the others play in it, then the other way round; each method a row, tracks and artists.
Intervals are of 95% and draw listeners. Beside it: what one account and five can do, the weights of
the published score, chosen on the first half of the weeks, and one request.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402

from inference.charts.handler import ChartsHandler  # noqa: E402
from listening.archive import ArchiveWriter, load  # noqa: E402
from listening.charts.bundle import BUNDLE, Lists, Track  # noqa: E402
from listening.charts.judging import MEASURES, judged  # noqa: E402
from listening.charts.parts import HALF_LIVES, PARTS, WINDOWS, Heard, parts_before  # noqa: E402
from listening.charts.scores import (  # noqa: E402
    DECAYED,
    LISTENERS,
    METHODS,
    PLAYS,
    PUBLISHED,
    best,
    enough,
    score,
)
from listening.intervals import Interval, bootstrap  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

WINDOW = "month"
FEWEST = 20  # listeners of a week
DAYS_BEFORE = 60
HALF_LIVES_TRIED = (7.0, 14.0, 30.0, 60.0, 120.0)
WEIGHTS_TRIED = (0.0, 1.0, 3.0)
SPAM = 100  # plays
ACCOUNTS = (1, 5)
LEAST = 6  # listeners, against five accounts
REQUESTS = 300


@dataclass(frozen=True)
class Week:
    """A week: parts of what each half played before it, and what each listener plays in it.

    Parameters
    ----------
    parts
        By half of the listeners that lists are made of: tracks, and their parts.
    owner, track, is_new
        What is played in the week, a row a listener and track; whether it is new to them.
    """

    date: int
    parts: tuple[tuple[Integers, Floats], ...]
    owner: Integers
    track: Integers
    is_new: npt.NDArray[np.bool_]


def read(folder: Path, column: str) -> Heard:
    """Return what the listeners of a log heard, by tracks or artists."""
    table = ds.dataset(folder, format="parquet").to_table()
    when = "ended_at" if "ended_at" in table.column_names else "played_at"
    days = table[when].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() // 86_400_000_000
    names = [
        name
        for name in (column, f"{column.removesuffix('_id')}_name")
        if name in table.column_names
    ]
    owner, track = (
        pc.dictionary_encode(table[name]).combine_chunks().indices.to_numpy().astype(np.int64)
        for name in ("user_id", names[0])
    )
    seconds = (
        table["ms_played"].to_numpy() / 1e3
        if "ms_played" in table.column_names
        else np.zeros(len(table))
    )
    none = np.zeros(len(table))
    return Heard.of(
        owner=owner,
        track=track,
        day=days,
        plays=none + 1,
        seconds=seconds,
        searches=none,
        downloads=none,
    )


def weeks(heard: Heard, half: Integers, *, half_life: float) -> Iterator[Week]:
    """Yield the weeks with enough listeners."""
    first_played = heard.day[heard.firsts]
    for date in range(int(heard.day.min()) + DAYS_BEFORE, int(heard.day.max()) - 6, 7):
        inside = np.unique(heard.pair[(heard.day >= date) & (heard.day < date + 7)])
        owner = heard.owner[heard.firsts[inside]]
        if len(np.unique(owner)) < FEWEST:
            continue
        pairs, parts = parts_before(heard, date, window=WINDOWS[WINDOW], half_life=half_life)
        rows = heard.firsts[pairs]
        sides = []
        for side in (0, 1):
            some = half[heard.owner[rows]] == side
            track, place = np.unique(heard.track[rows][some], return_inverse=True)
            sums = [np.bincount(place, parts[some, i], len(track)) for i in range(len(PARTS))]
            sides.append((track, np.column_stack(sums)))
        yield Week(
            date,
            tuple(sides),
            owner,
            heard.track[heard.firsts[inside]],
            first_played[inside] >= date,
        )


@dataclass(frozen=True)
class Judged:
    """Figures of listeners: sums over weeks and how many, (n_listeners, 8)."""

    sums: Floats
    counts: Floats

    def __len__(self) -> int:
        """Return how many listeners there are."""
        return len(self.sums)


def summary(of: Judged, weights: Floats | None) -> dict[str, float]:
    """Return the means of the figures."""
    each = np.ones(len(of)) if weights is None else weights
    return dict(
        zip(MEASURES, (each @ of.sums / np.maximum(each @ of.counts, 1)).tolist(), strict=True)
    )


def judge(found: list[Week], half: Integers, scores: Callable[[Floats], Floats]) -> Judged:
    """Judge lists of each half by the other."""
    n = len(half)
    sums, counts = np.zeros((n, len(MEASURES))), np.zeros((n, len(MEASURES)))
    for week in found:
        for side, (track, parts) in enumerate(week.parts):
            rows = best(parts, scores(parts), np.ones(len(track), dtype=bool), most=50)
            listed = track[rows]
            order = np.argsort(listed)
            place = np.searchsorted(listed, week.track, sorter=order).clip(max=len(listed) - 1)
            is_in = listed[order[place]] == week.track
            rank = np.where(is_in, order[place], -1)
            other = half[week.owner] != side
            who, owner = np.unique(week.owner[other], return_inverse=True)
            told = judged(owner, rank[other], week.is_new[other], len(who))
            sums[who] += np.nan_to_num(told)
            counts[who] += ~np.isnan(told)
    return Judged(sums, counts)


def row(name: str, metrics: dict[str, Interval]) -> None:
    """Print a method."""
    told = "  ".join(
        f"{metrics[m].value:.3f} [{metrics[m].low:.3f}, {metrics[m].high:.3f}]"
        for m in ("hit10", "ndcg10", "hit50", "hit10_new")
    )
    print(f"{name:34s} {told}", flush=True)


def quality(log: Path, told: dict[str, Any]) -> None:
    """Judge every method by halves."""
    for what, column in (("tracks", "track_id"), ("artists", "artist_id")):
        heard = read(log, column)
        listeners = int(heard.owner.max()) + 1
        half = np.random.default_rng(0).permutation(np.arange(listeners) % 2)
        found = list(weeks(heard, half, half_life=HALF_LIVES[WINDOW]))
        print(
            f"\n{what}, the {WINDOW}'s lists: {len(found)} weeks of {FEWEST} and more of "
            f"{listeners} listeners, halves\n"
            f"{'':34s} {'hit@10':^21s}  {'NDCG@10':^20s}  {'hit@50':^20s}  hit@10, not heard before"
        )
        sides = {
            method: judge(found, half, lambda parts, m=method: score(parts, m))
            for method in METHODS
        }
        intervals, differences = bootstrap(
            sides, summary, against=[(DECAYED, PLAYS), (DECAYED, PUBLISHED), (LISTENERS, PLAYS)]
        )
        for method, metrics in intervals.items():
            row(method, metrics)
        for (a, b), metrics in differences.items():
            row(f"{a} minus {b}", metrics)
        for days in HALF_LIVES_TRIED:
            again = list(weeks(heard, half, half_life=days))
            alone, _ = bootstrap(
                {"d": judge(again, half, lambda parts: score(parts, DECAYED))}, summary
            )
            row(f"decayed, half-life {days:.0f}", alone["d"])
        own = {m: metrics["hit10"].value for m, metrics in intervals.items()}
        told["bars"][f"hit10_{what}"] = own[DECAYED]
        if what == "tracks":
            told["bars"]["hit10_vs_plays"] = own[DECAYED] / own[PLAYS]
            told["bars"]["hit10_vs_published"] = own[DECAYED] / own[PUBLISHED]
            reweigh(found, half, told)
        told["sides"][what] = {
            name: {m: one.to_json() for m, one in metrics.items()}
            for name, metrics in intervals.items()
        }


def reweigh(found: list[Week], half: Integers, told: dict[str, Any]) -> None:
    """Choose the published score's weights on the first half of the weeks, judge on the second.

    The log has no searches and no downloads, so two of the four weights are left.
    """
    first, second = found[: len(found) // 2], found[len(found) // 2 :]
    tried = {}
    for rating, plays in itertools.product(WEIGHTS_TRIED, WEIGHTS_TRIED):
        if not rating and not plays:
            continue
        weights = (rating, plays, 1.0, 1.0)
        of_first = judge(first, half, lambda parts, w=weights: score(parts, PUBLISHED, weights=w))
        tried[rating, plays] = summary(of_first, None)["hit10"]
    rating, plays = max(tried, key=lambda pair: tried[pair])
    weights = (rating, plays, 1.0, 1.0)
    later = {
        "as published": judge(second, half, lambda parts: score(parts, PUBLISHED)),
        "reweighed": judge(second, half, lambda parts: score(parts, PUBLISHED, weights=weights)),
        DECAYED: judge(second, half, lambda parts: score(parts, DECAYED)),
    }
    intervals, _ = bootstrap(later, summary)
    print(
        f"\nWeights of the published score by the first {len(first)} weeks: rating {rating:g}, "
        f"plays {plays:g}; on the {len(second)} weeks after them"
    )
    for name, metrics in intervals.items():
        row(name, metrics)
    told["sides"]["reweighed"] = {
        "rating": rating,
        "plays": plays,
        **{name: metrics["hit10"].to_json() for name, metrics in intervals.items()},
    }


def resistance(log: Path, told: dict[str, Any]) -> None:
    """Say where a track gets that one account, or five, play a hundred times before each week."""
    heard = read(log, "track_id")
    everyone = np.zeros(int(heard.owner.max()) + 1, dtype=np.int64)
    found = list(weeks(heard, everyone, half_life=HALF_LIVES[WINDOW]))
    print(f"\nMedian rank of a track that accounts play {SPAM} times each on the day before, world")
    ranks: dict[str, dict[str, float]] = {}
    for accounts in ACCOUNTS:
        spam = dict.fromkeys(PARTS, 0.0) | {
            "plays": SPAM * accounts, "listeners": accounts, "capped": 5 * accounts,
            "decayed": accounts * 0.5 ** (1 / HALF_LIVES[WINDOW]), "rating": accounts,
        }  # fmt: skip
        added = np.array([[spam[name] for name in PARTS]])
        for method in METHODS:
            places = []
            for week in found:
                parts = np.concatenate([week.parts[0][1], added])
                rows = best(parts, score(parts, method), np.ones(len(parts), bool), most=len(parts))
                places.append(int(np.flatnonzero(rows == len(parts) - 1)[0]) + 1)
            ranks.setdefault(method, {})[f"{accounts} accounts"] = float(np.median(places))
            ranks[method][f"{accounts} accounts, best"] = float(np.min(places))
        out = np.concatenate([week.parts[0][1] for week in found[:1]] + [added])
        ranks.setdefault("kept out", {})[f"{accounts} accounts"] = float(
            not enough(out, method=DECAYED, least=LEAST)[-1]
        )
    for method, by in ranks.items():
        print(f"{method:12s} " + "  ".join(f"{name} {rank:,.0f}" for name, rank in by.items()))
    print(f"kept out: 1 where at least {LEAST} listeners are asked for")
    told["sides"]["resistance"] = ranks


def request(told: dict[str, Any]) -> None:
    """Time a request for ten tracks that a listener has not heard, from lists of 120 countries."""
    tracks = tuple(
        Track(f"t{i}", f"Artist {i}", f"Song {i}", 200.0 - i, dict.fromkeys(PARTS, 1.0))
        for i in range(200)
    )
    places = ("world", *(f"P{i}" for i in range(120)))
    lists = Lists(
        {w: dict.fromkeys(places, tracks) for w in WINDOWS}, DECAYED, HALF_LIVES, 19_000, WINDOWS
    )
    with tempfile.TemporaryDirectory() as folder:
        writer = ArchiveWriter(Path(folder))
        writer.finish(BUNDLE, lists.write(writer))
        begins = time.perf_counter()
        handler = ChartsHandler(load(Path(folder)))
        loaded = time.perf_counter() - begins
    body = json.dumps(
        {"country": "DE", "not_heard_by": [f"t{i}" for i in range(0, 40, 2)]}
    ).encode()
    took = []
    for _ in range(REQUESTS):
        begins = time.perf_counter()
        handler.answer(body, "application/json", "")
        took.append(time.perf_counter() - begins)
    p50, p95 = np.quantile(took, [0.5, 0.95]) * 1e3
    print(
        f"\nOne request from memory: p50 {p50:.3f} ms, p95 {p95:.3f} ms; loaded in {loaded:.2f} s"
    )
    told["sides"]["request"] = {"p50_ms": p50, "p95_ms": p95, "load_s": loaded}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("LISTENING_DATA", "data")) / "listening_log"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    told: dict[str, Any] = {"bars": {}, "sides": {}}
    if options.data.is_dir():
        log = options.data / "plays.parquet"
        log = log if log.exists() else options.data / "plays"
        quality(log, told)
        resistance(log, told)
    else:
        print(f"quality: left out, no log at {options.data} (--data or LISTENING_DATA)")
    request(told)
    told["at_least"], told["at_most"] = list(told["bars"]), []
    print("\n" + "  ".join(f"{name} {value:.3f}" for name, value in told["bars"].items()))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1), "utf-8")


if __name__ == "__main__":
    main()
