"""Logs of any size for `sessions.py`, and what its jobs reckon without Spark, beside the recipe's.

The listeners have log-normally many plays, in sessions of 19 on average; nothing else of them is
invented, so that 19 million plays are written in seconds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sessions_recipe

from glue_jobs.plays import PLAYS, _marked
from glue_jobs.sessions.cutting import _sessions
from glue_jobs.sessions.folding import Splitting, fold
from listening.log.plays import BOT_PLAYS_A_DAY
from listening.sessions.cut import GAP_S

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

PLAYS_PER_SESSION = 19
SPREAD = 1.0
"""Deviation of the logarithm of a listener's number of plays."""
TRACKS = 200_000
ROWS_PER_PART = 1_000_000
BEGINS = 1_262_304_000.0  # 2010
DAYS = 4 * 365  # in which a listener begins
HOUR_S = 60 * 60.0


def plays_of_listeners(listeners: int, plays: int, rng: np.random.Generator) -> Integers:
    """Return how many plays each listener has, at least one, ``(listeners,)``, in all ``plays``."""
    weight = rng.lognormal(0, SPREAD, listeners)
    bounds = np.round(np.cumsum(weight) / weight.sum() * (plays - listeners)).astype(np.int64)
    return np.diff(bounds, prepend=0) + 1


def draw(sizes: Integers, rng: np.random.Generator, *, first: int = 0) -> pa.Table:
    """Return the plays of some listeners, numbered from ``first``."""
    n = int(sizes.sum())
    own = np.cumsum(sizes) - sizes
    played = rng.normal(220, 60, n).clip(40, 600).round(3)
    played[rng.random(n) < 0.15] *= 0.1
    wait = rng.exponential(5.0, n)
    new = rng.random(n) < 1 / PLAYS_PER_SESSION
    wait[new] = GAP_S + 60 + rng.exponential(8 * HOUR_S, int(new.sum()))
    since = np.cumsum(wait + np.append(0.0, played[:-1]))
    begins = BEGINS + rng.random(len(sizes)) * DAYS * 24 * HOUR_S
    start = since + np.repeat(begins - since[own], sizes)
    ids = pa.array([f"user_{number:06d}" for number in range(first, first + len(sizes))])
    tracks = pa.array([f"track-{number:06d}" for number in range(TRACKS)])
    return pa.table(
        {
            "user_id": ids.take(pa.array(np.repeat(np.arange(len(sizes)), sizes))),
            "played_at": pa.array((start * 1e3).astype(np.int64)).cast(
                pa.timestamp("ms", tz="UTC")
            ),
            "track_id": tracks.take(pa.array((TRACKS * rng.random(n) ** 3).astype(np.int64))),
            "played_s": played,
        }
    )


def write_log(folder: Path, *, listeners: int, plays: int, seed: int = 0) -> None:
    """Write a table of plays as a ready batch, in parts of whole listeners."""
    rng = np.random.default_rng(seed)
    sizes = plays_of_listeners(listeners, plays, rng)
    part = (np.cumsum(sizes) - sizes) // ROWS_PER_PART
    (folder / "plays").mkdir(parents=True)
    for number in np.unique(part).tolist():
        own = np.flatnonzero(part == number)
        table = draw(sizes[own], rng, first=int(own[0]))
        pq.write_table(table, folder / "plays" / f"part-{number:05d}.parquet", compression="zstd")
    (folder / "_READY").touch()


def arithmetic(plays: pa.Table) -> tuple[float, int, int]:
    """Clean, cut and fold plays in this process, as the jobs' functions on Spark's workers do.

    Returns
    -------
    float, int, int
        Seconds, plays that are left and sessions.
    """
    nothing = pa.table(
        {"track_id": pa.array([], pa.string()), "length_s": pa.array([], pa.float64())}
    )
    raw = _with_columns(plays)
    begins = time.process_time()
    clean = _marked(raw, datetime.now(UTC), BOT_PLAYS_A_DAY)
    clean = clean.filter(clean["reason"].is_null())
    middle = time.process_time()
    sessions = _sessions(clean, nothing, GAP_S)
    absent = pa.nulls(len(sessions), pa.float64())
    for name in ("gender", "age", "registered"):
        sessions = sessions.append_column(name, absent)
    fold(sessions, Splitting(held_out=0.1, log_ends=float("inf"), gap_s=GAP_S))
    return middle - begins, time.process_time() - middle, len(sessions)


def _with_columns(plays: pa.Table) -> pa.Table:
    """Return raw plays with every column that cleaning reads, null where the log has none."""
    raw = plays.append_column("listener", plays["user_id"])
    for column in PLAYS.split(", "):
        name = column.split(" ")[0]
        if column.endswith(" string") and name not in raw.column_names:
            raw = raw.append_column(name, pa.nulls(len(raw), pa.string()))
    micros = pa.timestamp("us", tz="UTC")
    place = raw.column_names.index("played_at")
    raw = raw.set_column(place, "played_at", raw["played_at"].cast(micros))
    return raw.append_column("ended_at", pa.nulls(len(raw), micros)).combine_chunks()


def recipe_loop(plays: pa.Table) -> tuple[float, int]:
    """Return CPU seconds of the recipe's loop over the same plays, and its sessions."""
    frame = plays.select(["user_id", "played_s"]).to_pandas()
    frame = frame.rename(columns={"user_id": "user", "played_s": "length"})
    frame["start"] = plays["played_at"].cast(pa.int64()).to_numpy() / 1e3
    frame["user"] = frame["user"].factorize()[0]
    begins = time.process_time()
    sessions = sessions_recipe.published_loop(frame)
    return time.process_time() - begins, len(sessions)


def features_vs_recipe(*, listeners: int, plays: int, repeats: int = 3) -> dict[str, Any]:
    """Time both sides on the same plays, alternating; medians, in CPU seconds of one thread."""
    rng = np.random.default_rng(1)
    log = draw(plays_of_listeners(listeners, plays, rng), rng)
    cleaned, ours, theirs = [], [], []
    sessions = found = 0
    for _ in range(repeats):
        cleaning, seconds, sessions = arithmetic(log)
        cleaned.append(cleaning)
        ours.append(seconds)
        seconds, found = recipe_loop(log)
        theirs.append(seconds)
    cleaning, own, other = (float(np.median(times)) for times in (cleaned, ours, theirs))
    return {
        "plays": len(log),
        "listeners": listeners,
        "ours_s": own,
        "cleaning_s": cleaning,
        "recipe_s": other,
        "sessions": {"ours": sessions, "recipe": found},
        "ratio": other / own,
        "ratio_with_cleaning": other / (own + cleaning),
    }
