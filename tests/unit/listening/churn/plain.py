"""What listeners did, drawn; and features of a date by plain Python, without a running sum."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from listening.churn.days import COUNTS, Activity
from listening.churn.features import (
    ACTIVE,
    FEATURES,
    HORIZONS,
    LOOK_BACK,
    WINDOWS,
)

Days = dict[int, dict[str, float]]
SILENCES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 21, 25, 30, 35, 45)


@dataclass
class Listener:
    """What one did by day, and when the account was made."""

    days: Days = field(default_factory=dict)
    came: float = math.nan


def drawn(seed: int, *, listeners: int = 4, first: int = 17_000, days: int = 150) -> list[Listener]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(listeners):
        n = int(rng.integers(0, 40))
        when = rng.choice(days, size=min(n, days), replace=False) + first
        rows = {
            int(day): {name: float(rng.integers(0, 4)) for name in COUNTS} for day in sorted(when)
        }
        for counts in rows.values():
            counts["plays"] += 1
        came = float(first - rng.integers(-20, 200)) if rng.random() < 0.5 else math.nan
        found.append(Listener(rows, came))
    return found


def activity(listeners: list[Listener]) -> Activity:
    rows = [(day, counts) for one in listeners for day, counts in sorted(one.days.items())]
    return Activity(
        first=np.cumsum([0, *(len(one.days) for one in listeners)]),
        day=np.array([day for day, _ in rows], dtype=np.int64),
        counts=np.array(
            [[counts[name] for name in COUNTS] for _, counts in rows], dtype=np.float64
        ).reshape(-1, len(COUNTS)),
        device=np.full(len(rows), -1),
        came=np.array([one.came for one in listeners]),
    )


def features(listener: Listener, date: int) -> list[float]:
    known = {day: counts for day, counts in listener.days.items() if day < date}
    found: dict[str, float] = {}
    for days in WINDOWS:
        for name in COUNTS:
            inside = (counts[name] for day, counts in known.items() if day >= date - days)
            found[f"{name}_{days}"] = sum(inside)
    for days in ACTIVE:
        found[f"active_{days}"] = sum(day >= date - days for day in known)
    plays = max(found["plays_30"], 1)
    found["full_share"] = found["full_30"] / plays
    found["skipped_share"] = found["skips_30"] / plays
    found["recency"] = recency = since(known, date)
    for kind in ("plays", "searches", "downloads"):
        of_kind = {day: counts for day, counts in known.items() if counts[kind]}
        found[f"recency_{kind}"] = since(of_kind, date)
    days = sorted(known)
    gaps = [later - day for day, later in zip(days, days[1:], strict=False)]
    found["mean_gap"] = float(np.mean(gaps)) if gaps else LOOK_BACK + 1
    found["longest_gap"] = max(gaps, default=LOOK_BACK + 1)
    found["deviation_of_gaps"] = float(np.std(gaps)) if gaps else 0.0
    found["recency_to_gap"] = math.log(recency / found["mean_gap"])

    def at_least(length: float) -> int:
        rounded = next((silence for silence in SILENCES if silence >= length), math.inf)
        return sum(gap >= rounded for gap in gaps)

    silent = at_least(recency)
    found["silence_share"] = silent / (len(gaps) + 2)
    for horizon in HORIZONS:
        found[f"gaps_of_{horizon}"] = at_least(horizon) / (len(gaps) + 2)
        found[f"stays_silent_{horizon}"] = at_least(recency + horizon) / (silent + 2)
    before = found["active_90"] - found["active_30"]
    found["trend"] = math.log((found["active_30"] + 1) / (before / 2 + 1))
    begun = [day for day in (listener.came, min(days, default=date)) if not math.isnan(day)]
    age = date - min(begun)
    found["life_rate"] = len(days) / max(age, 1)
    found["age"] = min(age, LOOK_BACK + 1)
    return [found[name] for name in FEATURES]


def since(known: Days, date: int) -> float:
    days = date - max(known, default=-math.inf)
    return days if days <= LOOK_BACK else LOOK_BACK + 1
