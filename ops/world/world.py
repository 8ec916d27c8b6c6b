"""The whole log of the invented world, written in parts by several processes.

Each part holds some listeners with all that they do, drawn from its own stream of random numbers:
how many processes write does not change what is written. Memory does not grow with the number of
listeners.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.world.best import (
    HORIZONS,
    LOOK_BACK,
    Forecast,
    forecast_leaving,
    forecast_lengths,
)
from ops.world.habits import (
    DAY_S,
    LEAVING,
    RHO,
    SIGMA,
    Listeners,
    Sessions,
    draw_sessions,
)
from ops.world.plays import (
    NOISE,
    Likings,
    Plays,
    best_rating,
    draw_events,
    draw_plays,
    draw_ratings,
)
from ops.world.sample import LEAST_LISTENERS, country_labels
from ops.world.tastes import (
    COUNTRIES,
    Artists,
    Floats,
    Integers,
    country_shares,
    draw_lists,
    invent_artists,
)
from ops.world.tracks import Tracks, invent_tracks, track_ids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST_LISTENERS = 600_000
BEGINS = np.datetime64("2024-01-01", "us")
LISTENERS_PER_PART = 1_000
ARTISTS_PER_LISTENER = 50
PLAYS_PER_SESSION = 19.3
"""What the laws of habits come to; a test holds it."""
STAYING = 0.55
"""Share of listeners' days on which they are there, as the laws come to at 180 days."""
FIRST_DATE = 60  # no listener is judged before so many days of log
TOP = 100
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
BINS = 4_000
BOTS = 0.001  # of listeners
BOT_PLAYS = 3_000
DIRT = {"repeated": 0.002, "negative_length": 0.0005, "before_2000": 0.0005, "over_a_day": 0.0005}
"""Shares of plays that are added once more, or damaged, on top of what was drawn."""
PLANTED = "planted"
WORLD = "planted.json"
DEVICES = ("phone", "desktop", "speaker", "car")


@dataclass(frozen=True, kw_only=True)
class World:
    """What decides the invented world.

    Parameters
    ----------
    listeners, artists
        How many.
    days
        How long the log is.
    plays
        How many about; what is written says how many exactly.
    seed
        Of all that is drawn.
    """

    listeners: int
    artists: int
    days: int
    plays: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        for name, value, least, most in (
            ("listeners", self.listeners, LEAST_LISTENERS, MOST_LISTENERS),
            ("artists", self.artists, 1_000, 200_000),
            ("days", self.days, FIRST_DATE + max(HORIZONS) + 1, 3_650),
            ("plays", self.plays, self.listeners, 200_000_000),
        ):
            if not least <= value <= most:
                raise DataError(f"a world has {least:,} to {most:,} {name}, not {value:,}")

    @property
    def mean_rate(self) -> float:
        """Sessions of a listener on a mean day at the log's beginning."""
        days = self.listeners * self.days * STAYING
        return self.plays / (days * PLAYS_PER_SESSION)


def write_world(  # noqa: PLR0913 - what a world is made of
    folder: Path,
    *,
    listeners: int = 2_000,
    artists: int = 5_000,
    days: int = 180,
    plays: int | None = None,
    seed: int = 20,
    processes: int | None = None,
) -> dict[str, Any]:
    """Write the tables of the log, and beside them what was planted.

    Parameters
    ----------
    folder
        Where to; made if it is not there.
    listeners
        500 to 600,000.
    artists
        1,000 to 200,000.
    days
        Length of the log, at least 75.
    plays
        About how many, up to 200 million; None for 300 a listener.
    seed
        Seed of everything that is drawn.
    processes
        How many write; None for one a core.

    Returns
    -------
    dict
        The content of ``planted.json``.

    Raises
    ------
    DataError
        A number is outside its range.

    Examples
    --------
    >>> write_world(Path("world"), listeners=10_000, plays=5_000_000)  # doctest: +SKIP
    """
    world = World(
        listeners=listeners,
        artists=artists,
        days=days,
        plays=300 * listeners if plays is None else plays,
        seed=seed,
    )
    for table in ("users", "top_artists", "plays", "events", "ratings"):
        (folder / table).mkdir(parents=True, exist_ok=True)
    for table in ("churn", "sessions"):
        (folder / PLANTED / table).mkdir(parents=True, exist_ok=True)
    known, tracks = _catalogue(world)
    pq.write_table(tracks.table(known), folder / "tracks.parquet", compression="zstd")
    pq.write_table(_hot(tracks, days), folder / PLANTED / "hot.parquet", compression="zstd")
    starts = range(0, listeners, LISTENERS_PER_PART)
    jobs = [(world, folder, part, start) for part, start in enumerate(starts)]
    workers = min(processes or os.cpu_count() or 1, len(jobs))
    if workers == 1:
        total = _sum(_write_part(*job) for job in jobs)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            total = _sum(pool.map(_write_part, *zip(*jobs, strict=True)))
    planted = _planted(world, total)
    (folder / WORLD).write_text(json.dumps(planted, indent=1) + "\n", "utf-8")
    (folder / SYNTHETIC).write_text(json.dumps(asdict(world)) + "\n", "utf-8")
    return planted


@cache
def _catalogue(world: World) -> tuple[Artists, Tracks]:
    artist_rng, track_rng = np.random.default_rng(world.seed).spawn(2)
    artists = invent_artists(world.artists, artist_rng)
    return artists, invent_tracks(artists, days=world.days, rng=track_rng)


def _hot(tracks: Tracks, days: int) -> pa.Table:
    """Return the tracks that are hot by the law in each week, the hottest first."""
    shares = np.diff(tracks.hot[: -(-days // 7)], axis=1, prepend=0)
    best = np.argsort(-shares, axis=1)[:, :TOP]
    weeks = np.repeat(np.arange(len(best)), best.shape[1])
    return pa.table(
        {
            "week": weeks,
            "rank": np.tile(np.arange(1, best.shape[1] + 1), len(best)),
            "track_id": track_ids(len(tracks)).take(pa.array(best.ravel())),
            "share": shares[weeks, best.ravel()],
        }
    )


def _write_part(world: World, folder: Path, part: int, start: int) -> dict[str, Any]:
    """Draw and write some listeners; return sums for what is planted."""
    artists, tracks = _catalogue(world)
    n = min(LISTENERS_PER_PART, world.listeners - start)
    rng = np.random.default_rng([world.seed, 1, part])
    country = rng.choice(len(COUNTRIES), n, p=country_shares())
    lists = draw_lists(artists, country, ARTISTS_PER_LISTENER, rng)
    laws = Listeners.draw(n, days=world.days, mean_rate=world.mean_rate, rng=rng)
    sessions = draw_sessions(laws, days=world.days, rng=rng)
    plays = draw_plays(sessions, tracks, lists, rng)
    events = draw_events(sessions, plays, rng)
    ratings = draw_ratings(plays, tracks, Likings.draw(n, rng), rng)
    ids = pa.array([f"listener-{number:06d}" for number in range(start, start + n)])
    names = track_ids(len(tracks))

    def write(table: pa.Table, name: str) -> None:
        path = folder / name / f"part-{part:05d}.parquet"
        pq.write_table(table, path, compression="zstd", store_schema=False)

    write(_users(laws, country, plays, ids, rng), "users")
    write(_top_artists(plays, tracks, artists, ids), "top_artists")
    raw, counts = _with_dirt(world, plays, ids, names, rng)
    write(raw, "plays")
    write(
        pa.table(
            {
                "user_id": ids.take(pa.array(events.listener)),
                "at": _instants(events.at),
                "kind": pa.array(np.where(events.track < 0, "search", "download")),
                "track_id": _taken(names, events.track),
            }
        ),
        "events",
    )
    write(
        pa.table(
            {
                "user_id": ids.take(pa.array(ratings.listener)),
                "track_id": names.take(pa.array(ratings.track)),
                "rating": ratings.rating,
                "rated_at": _instants(ratings.at),
            }
        ),
        "ratings",
    )
    churn = _churn(world, sessions, laws.arrived)
    write(_with_ids(churn, ids), f"{PLANTED}/churn")
    forecast = forecast_lengths(sessions)
    write(_planted_sessions(sessions, forecast, ids), f"{PLANTED}/sessions")
    floor = ratings.rating - best_rating(ratings.mean)
    losses = {f"loss{h}": _log_loss(churn[f"p{h}"], churn[f"gone{h}"]) for h in HORIZONS}
    ranks = {f"ranks{h}": _ranks(churn[f"p{h}"], churn[f"gone{h}"]) for h in HORIZONS}
    return {
        "plays": len(plays.track),
        "sessions": len(sessions.start),
        "searches": int((events.track < 0).sum()),
        "downloads": int((events.track >= 0).sum()),
        "ratings": len(ratings.rating),
        "squared_error_of_ratings": float((floor**2).sum()),
        "absolute_error_of_lengths": 2 * _pinball(sessions, forecast, 0.5),
        "judged": len(churn["day"]),
        **{f"gone{h}": float(churn[f"gone{h}"].sum()) for h in HORIZONS},
        **losses,
        **ranks,
        **{f"pinball{q}": _pinball(sessions, forecast, q) for q in QUANTILES},
        **counts,
    }


def _users(
    laws: Listeners, country: Integers, plays: Plays, ids: pa.Array, rng: np.random.Generator
) -> pa.Table:
    n = len(ids)
    registered = BEGINS + (laws.arrived * DAY_S * 1e6).astype("timedelta64[us]")
    gender = rng.choice(3, n, p=[0.35, 0.45, 0.2])
    before = np.maximum(-laws.arrived, 0) * laws.rate * PLAYS_PER_SESSION
    return pa.table(
        {
            "user_id": ids,
            "country": pa.array(country_labels()).take(pa.array(country)),
            "gender": _taken(pa.array(["f", "m"]), np.where(gender < 2, gender, -1)),
            "age": pa.array(rng.normal(29, 9, n).clip(13, 90).round(), mask=rng.random(n) < 0.3),
            "registered_at": pa.array(registered).cast(pa.timestamp("us", tz="UTC")),
            "total_scrobbles": np.bincount(plays.listener, minlength=n) + before.astype(np.int64),
        }
    )


def _top_artists(plays: Plays, tracks: Tracks, artists: Artists, ids: pa.Array) -> pa.Table:
    """Return each listener's most played artists, as the plays have them."""
    pair, counts = np.unique(
        plays.listener * len(artists.mbids) + tracks.artist[plays.track], return_counts=True
    )
    listener, artist = np.divmod(pair, len(artists.mbids))
    order = np.lexsort((artist, -counts, listener))
    listener, artist, counts = listener[order], artist[order], counts[order]
    first = np.searchsorted(listener, listener)
    rank = np.arange(len(listener)) - first + 1
    top = rank <= ARTISTS_PER_LISTENER
    return pa.table(
        {
            "user_id": ids.take(pa.array(listener[top])),
            "rank": rank[top],
            "artist_name": artists.names.take(pa.array(artist[top])),
            "playcount": counts[top],
            "mbid": artists.mbids.take(pa.array(artist[top])),
        }
    )


def _with_dirt(
    world: World, plays: Plays, ids: pa.Array, names: pa.Array, rng: np.random.Generator
) -> tuple[pa.Table, dict[str, int]]:
    """Return the table of plays with rows added that cleaning drops, and with bots, and counts."""
    n = len(plays.track)
    added = {reason: np.flatnonzero(rng.random(n) < share) for reason, share in DIRT.items()}
    rows = np.concatenate([np.arange(n), *added.values()])
    start, heard = plays.start[rows].copy(), plays.heard[rows].copy()
    reason = np.repeat(np.arange(-1, len(added)), [n, *map(len, added.values())])
    place = {name: number for number, name in enumerate(added)}
    heard[reason == place["negative_length"]] *= -1
    heard[reason == place["over_a_day"]] += DAY_S
    start[reason == place["before_2000"]] -= 30 * 365 * DAY_S
    listener = plays.listener[rows]
    bots = np.flatnonzero(rng.random(len(ids)) < BOTS)
    spam = np.repeat(np.arange(len(bots)), BOT_PLAYS)
    every = np.tile(np.arange(BOT_PLAYS) * DAY_S / BOT_PLAYS, len(bots))
    bot_ids = pa.array([f"bot-{ids[int(bot)].as_py()}" for bot in bots], pa.string())
    device = rng.integers(0, len(DEVICES), len(ids))
    table = pa.table(
        {
            "user_id": pa.concat_arrays(
                [ids.take(pa.array(listener)), bot_ids.take(pa.array(spam))]
            ),
            "played_at": _instants(np.concatenate([start, every + DAY_S * (world.days - 1)])),
            "track_id": names.take(
                pa.array(np.concatenate([plays.track[rows], np.zeros(len(spam), dtype=np.int64)]))
            ),
            "played_s": np.concatenate([heard, np.full(len(spam), 20.0)]).round(3),
            "device": pa.array(DEVICES).take(
                pa.array(np.concatenate([device[listener], np.zeros(len(spam), dtype=np.int64)]))
            ),
        }
    )
    counts = {name: len(where) for name, where in added.items()}
    return table, counts | {"bots": len(bots), "plays_of_bots": len(spam)}


def _churn(world: World, sessions: Sessions, arrived: Integers) -> dict[str, Any]:
    """Return the best forecast of who stays away, and who did, at weekly dates."""
    dates = np.arange(FIRST_DATE, world.days - max(HORIZONS), 7)
    found = forecast_leaving(
        sessions, arrived, mean_rate=world.mean_rate, days=world.days, dates=dates
    )
    active = np.zeros((len(arrived), world.days + 1), dtype=np.int64)
    np.add.at(active, (sessions.listener, (sessions.start // DAY_S).astype(np.int64) + 1), 1)
    until = np.cumsum(active, axis=1)
    who, day = found["listener"].astype(np.int64), found["day"].astype(np.int64)
    for horizon in HORIZONS:
        found[f"gone{horizon}"] = until[who, day + horizon] == until[who, day]
    return found


def _with_ids(churn: dict[str, Any], ids: pa.Array) -> pa.Table:
    listener = pa.array(churn["listener"].astype(np.int64))
    columns = {name: churn[name] for name in churn if name not in ("listener", "day")}
    at = _instants(churn["day"].astype(np.float64) * DAY_S)
    return pa.table({"user_id": ids.take(listener), "at": at, **columns})


def _planted_sessions(sessions: Sessions, forecast: Forecast, ids: pa.Array) -> pa.Table:
    return pa.table(
        {
            "user_id": ids.take(pa.array(sessions.listener)),
            "started_at": _instants(sessions.start),
            "length_s": sessions.length.round(3),
            "log_mean": forecast.mean.astype(np.float32),
            "log_sd": forecast.sd.astype(np.float32),
        }
    )


def _log_loss(p: Floats, happened: Any) -> float:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return float(-np.where(happened, np.log(p), np.log1p(-p)).sum())


def _taken(values: pa.Array, numbers: Integers) -> pa.Array:
    """Return values by number, null below 0."""
    return values.take(pa.array(numbers, mask=numbers < 0))


def _instants(seconds: Floats) -> pa.Array:
    micros = BEGINS.astype(np.int64) + np.round(seconds * 1e3).astype(np.int64) * 1000
    return pa.array(micros).cast(pa.timestamp("us", tz="UTC"))


def _ranks(p: Floats, happened: Any) -> Floats:
    """Return how many who went and who stayed have a probability in each of `BINS`, (2, BINS)."""
    found = [np.histogram(p[happened == went], BINS, (0, 1))[0] for went in (True, False)]
    return np.array(found, dtype=np.float64)


def _auc(ranks: Floats) -> float:
    """Return the area under the curve of histograms; who is in one bin counts half."""
    went, stayed = ranks
    below = np.cumsum(stayed) - stayed / 2
    return float((went * below).sum() / max(went.sum() * stayed.sum(), 1))


def _pinball(sessions: Sessions, forecast: Forecast, quantile: float) -> float:
    """Return the sum of the pinball losses of the best forecast's quantile."""
    missed = sessions.length - forecast.quantile(quantile)
    return float(np.where(missed >= 0, quantile * missed, (quantile - 1) * missed).sum())


def _sum(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of what the parts tell."""
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total[name] + value if name in total else value
    return total


def _planted(world: World, total: dict[str, Any]) -> dict[str, Any]:
    judged = max(total["judged"], 1)
    return {
        "world": asdict(world),
        "rows": {
            name: int(total[name])
            for name in ("plays", "sessions", "searches", "downloads", "ratings")
        },
        "dirt": {name: int(total[name]) for name in (*DIRT, "bots", "plays_of_bots")},
        "ratings": {
            "noise": NOISE,
            "best_rmse": (total["squared_error_of_ratings"] / max(total["ratings"], 1)) ** 0.5,
        },
        "sessions": {
            "rho": RHO,
            "sigma": SIGMA,
            "best_mae": total["absolute_error_of_lengths"] / max(total["sessions"], 1),
            "best_pinball": {
                str(q): total[f"pinball{q}"] / max(total["sessions"], 1) for q in QUANTILES
            },
        },
        "churn": {
            "hazard": dict(zip("abc", LEAVING, strict=True)),
            "look_back_days": LOOK_BACK,
            "judged": int(total["judged"]),
            **{
                f"{horizon}_days": {
                    "gone": total[f"gone{horizon}"] / judged,
                    "best_log_loss": total[f"loss{horizon}"] / judged,
                    "best_auc": _auc(total[f"ranks{horizon}"]),
                }
                for horizon in HORIZONS
            },
        },
    }
