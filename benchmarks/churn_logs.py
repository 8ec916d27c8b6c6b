"""Logs of any size for `churn.py`, day by day as an app writes them.

Listeners come with log-normal frequency and leave at a constant rate; they listen in sessions of
six plays, and do something else once for ten plays. Nothing else of them is invented.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

DAYS = 30 + 9 + 14 + 1
"""Ten dates, a day apart, 30 days before the first and 14 after the last; 44 were published."""
BEGINS = 1_490_832_000  # 2017-03-30, as the published log
DAY_S = 86_400
PLAYS_PER_SESSION = 6
EVENTS = 0.1
"""Searches and downloads for each play."""
SPREAD = 1.0
"""Deviation of the logarithm of a listener's frequency."""
STAY_DAYS = 150.0
"""How long listeners stay on average."""
TRACKS = 200_000
ARTISTS = 20_000
ROWS_PER_PART = 2_000_000


def write_log(folder: Path, *, listeners: int, rows: int, seed: int = 0) -> None:
    """Write plays, events and tracks as a ready batch, in parts that follow each other in time."""
    rng = np.random.default_rng(seed)
    share = np.cumsum(rng.lognormal(0, SPREAD, listeners))
    leaves = rng.exponential(STAY_DAYS, listeners) * DAY_S
    plays = round(rows / (1 + EVENTS))
    parts = -(-plays // ROWS_PER_PART)
    names = pa.array([f"{number:09x}" for number in range(listeners)])
    for table in ("plays", "events"):
        (folder / table).mkdir(parents=True)
    for part in range(parts):
        wanted = plays // parts + (part < plays % parts)
        owner, start = _sessions(wanted, (part, parts), share, leaves, rng)
        at = start + np.tile(np.arange(PLAYS_PER_SESSION) * 240.0, len(start) // PLAYS_PER_SESSION)
        owner, at = owner[:wanted], at[:wanted]
        pq.write_table(
            _plays(names, owner, at, rng), folder / "plays" / f"part-{part:05d}.parquet",
            compression="zstd",
        )  # fmt: skip
        some = rng.random(wanted) < EVENTS
        pq.write_table(
            _events(names, owner[some], at[some] + 30, rng),
            folder / "events" / f"part-{part:05d}.parquet",
            compression="zstd",
        )
    numbers = np.arange(TRACKS)
    tracks = {"track_id": _text(numbers), "length_s": (numbers * 7 % 240 + 120).astype(float)}
    pq.write_table(pa.table(tracks), folder / "tracks.parquet")
    (folder / "_READY").touch()


def _sessions(
    plays: int,
    part: tuple[int, int],
    share: npt.NDArray[np.float64],
    leaves: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[Integers, npt.NDArray[np.float64]]:
    """Return listeners and starts of at least so many plays' sessions within a part of the time."""
    low, high = (DAYS * DAY_S * edge / part[1] for edge in (part[0], part[0] + 1))
    owners, starts, found = [], [], 0
    while found < plays:
        n = plays // PLAYS_PER_SESSION + 1
        start = np.sort(rng.uniform(low, high, n))
        owner = np.searchsorted(share, rng.random(n) * share[-1])
        there = leaves[owner] > start
        owners.append(np.repeat(owner[there], PLAYS_PER_SESSION))
        starts.append(np.repeat(start[there], PLAYS_PER_SESSION))
        found += len(owners[-1])
    return np.concatenate(owners), np.concatenate(starts)


def _plays(
    names: pa.Array, owner: Integers, at: npt.NDArray[np.float64], rng: np.random.Generator
) -> pa.Table:
    track = (TRACKS * rng.random(len(owner)) ** 3).astype(np.int64)
    device = pa.array(["ar", "ip"]).take(pa.array(owner % 4 // 3))
    return pa.table(
        {
            "user_id": names.take(pa.array(owner)),
            "played_at": _instant(at),
            "track_id": _text(track),
            "artist_name": _text(track % ARTISTS),
            "played_s": rng.uniform(5, 240, len(owner)).round(1),
            "device": device,
        }
    )


def _events(
    names: pa.Array, owner: Integers, at: npt.NDArray[np.float64], rng: np.random.Generator
) -> pa.Table:
    kind = pa.array(["search", "download"]).take(pa.array(rng.integers(0, 2, len(owner))))
    return pa.table({"user_id": names.take(pa.array(owner)), "at": _instant(at), "kind": kind})


def _instant(at: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(((BEGINS + at) * 1e6).astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))


def _text(numbers: Integers) -> pa.Array:
    return pa.array(numbers).cast(pa.string())
