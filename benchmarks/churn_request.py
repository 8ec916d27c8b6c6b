"""One request for `churn.py`: the endpoint's handler beside scikit-learn's way to the same answer.

The other side is what one would write with pandas and scikit-learn: a frame of the listener's days,
the same features by windows of it, once, and for each horizon a pipeline of the standardised
features, their squares and the same logistic regression.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402

from inference.churn.handler import ChurnHandler  # noqa: E402
from listening.archive import ArchiveWriter, load  # noqa: E402
from listening.churn.bundle import BUNDLE, Horizon, Parts  # noqa: E402
from listening.churn.days import COUNTS, Activity  # noqa: E402
from listening.churn.features import (  # noqa: E402
    ACTIVE,
    FEATURES,
    HORIZONS,
    LOOK_BACK,
    WINDOWS,
    Snapshots,
)
from listening.churn.models import Calibrated, Logistic, Recency, Standard  # noqa: E402

SILENCES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 21, 25, 30, 35, 45])
AS_OF = pd.Timestamp("2024-05-31")
TRAINING, WARM_UP = 3_000, 20
TOLERANCE = 2e-4


def features(frame: pd.DataFrame) -> np.ndarray:
    """Return the features of one listener's days, ``(1, n_features)``, by pandas."""
    days = frame[frame["day"] < AS_OF].sort_values("day")
    ago = (AS_OF - days["day"]).dt.days
    found: dict[str, float] = {}
    for window in WINDOWS:
        sums = days.loc[ago <= window, list(COUNTS)].sum()
        found |= {f"{name}_{window}": sums[name] for name in COUNTS}
    found |= {f"active_{window}": float((ago <= window).sum()) for window in ACTIVE}
    plays = max(found["plays_30"], 1)
    found["full_share"] = found["full_30"] / plays
    found["skipped_share"] = found["skips_30"] / plays
    found["recency"] = recency = since(ago)
    for kind in ("plays", "searches", "downloads"):
        found[f"recency_{kind}"] = since(ago[days[kind] > 0])
    gaps = days["day"].diff().dt.days.dropna()
    found["mean_gap"] = gaps.mean() if len(gaps) else LOOK_BACK + 1
    found["longest_gap"] = gaps.max() if len(gaps) else LOOK_BACK + 1
    found["deviation_of_gaps"] = gaps.std(ddof=0) if len(gaps) else 0.0
    found["recency_to_gap"] = np.log(recency / found["mean_gap"])

    def at_least(length: float) -> float:
        longer = SILENCES[length <= SILENCES]
        return float((gaps >= longer[0]).sum()) if len(longer) else 0.0

    silent = at_least(recency)
    found["silence_share"] = silent / (len(gaps) + 2)
    for days_ahead in HORIZONS:
        found[f"gaps_of_{days_ahead}"] = at_least(days_ahead) / (len(gaps) + 2)
        found[f"stays_silent_{days_ahead}"] = at_least(recency + days_ahead) / (silent + 2)
    before = found["active_90"] - found["active_30"]
    found["trend"] = np.log((found["active_30"] + 1) / (before / 2 + 1))
    age = ago.max() if len(ago) else 0
    found["life_rate"] = len(days) / max(age, 1)
    found["age"] = min(age, LOOK_BACK + 1)
    return np.array([[found[name] for name in FEATURES]], dtype=np.float64)


def since(ago: pd.Series) -> float:
    """Return the days since the last of some days."""
    return float(ago.min()) if len(ago) and ago.min() <= LOOK_BACK else LOOK_BACK + 1.0


def with_squares(values: np.ndarray) -> np.ndarray:
    """Return standardised values and their squares less one."""
    near = values.clip(-3, 3)
    return np.hstack([near, near**2 - 1])


def training_rows(rng: np.random.Generator) -> np.ndarray:
    """Return features of invented listeners, in number enough to fit on."""
    first, days, counts = [0], [], []
    for _ in range(TRAINING):
        own = np.flatnonzero(rng.random(30) < rng.beta(1, 2)) + 19_844
        days += own.tolist()
        first.append(len(days))
        counts += [[*rng.integers(0, 9, 3), 100, 1, 1, 1] for _ in own]
    activity = Activity(
        np.array(first), np.array(days), np.array(counts, float), np.full(len(days), -1),
        np.full(TRAINING, np.nan),
    )  # fmt: skip
    return Snapshots(activity).features(np.arange(TRAINING), 19_874)


def both(folder: Path) -> tuple[ChurnHandler, dict[int, Any]]:
    """Return the handler of a bundle, and pipelines of the same models."""
    rng = np.random.default_rng(0)
    rows = training_rows(rng)
    plain, pipelines, horizons = rows.astype(np.float64), {}, []
    # Linear standardisation on both sides: scikit-learn's scaler takes no logarithms.
    scaler = StandardScaler().fit(plain)
    standard = Standard(np.zeros(len(FEATURES), bool), scaler.mean_, scaler.scale_)
    recency = Calibrated("recency", Recency((1.0, 30.0), (-2.0, 1.0)))
    for days in HORIZONS:
        gone = rng.random(len(rows)) < 1 / (
            1 + np.exp(-(rows[:, FEATURES.index("recency")] - 9) / 9)
        )
        model = LogisticRegression(C=1 / 300, max_iter=500)
        pipeline = make_pipeline(scaler, FunctionTransformer(with_squares), model)
        model.fit(with_squares(scaler.transform(plain)), gone)
        linear, square = np.split(model.coef_[0], 2)
        own = Logistic(standard, linear, square, float(model.intercept_[0]))
        pipelines[days] = pipeline
        tenths = tuple(np.linspace(0.9, 0.1, 9).tolist())
        horizons.append(Horizon(days, Calibrated("logistic", own), recency, 0.2, tenths))
    writer = ArchiveWriter(folder)
    writer.finish(BUNDLE, Parts(tuple(horizons), (), 1e9).write(writer))
    return ChurnHandler(load(folder)), pipelines


def body(seed: int) -> bytes:
    """Return a request with 30 days of activity."""
    rng = np.random.default_rng(seed)
    days = pd.date_range(end=AS_OF - pd.Timedelta(days=1), periods=30).strftime("%Y-%m-%d")
    activity = [
        {"day": day, "plays": int(rng.integers(1, 40)), "searches": int(rng.integers(0, 3)),
         "downloads": 0, "seconds": float(rng.integers(60, 9_000)), "full": int(rng.integers(0, 9))}
        for day in days
    ]  # fmt: skip
    return json.dumps({"activity": activity, "as_of": str(AS_OF.date())}).encode()


def by_sklearn(pipelines: dict[int, Any], request: bytes) -> bytes:
    """Answer a request by the pipelines."""
    document = json.loads(request)
    frame = pd.DataFrame(document["activity"]).reindex(columns=["day", *COUNTS], fill_value=0)
    frame["day"] = pd.to_datetime(frame["day"])
    row = features(frame)
    return json.dumps(
        {days: float(one.predict_proba(row)[0, 1]) for days, one in pipelines.items()}
    ).encode()


def measure(*, requests: int) -> dict[str, Any]:
    """Time both sides on the same requests, alternating, and print it.

    Raises
    ------
    SystemExit
        They do not answer the same.
    """
    took: dict[str, list[float]] = {"ours": [], "sklearn": []}
    with tempfile.TemporaryDirectory() as folder:
        handler, pipelines = both(Path(folder))
        for seed in range(requests + WARM_UP):
            request = body(seed)
            begins = time.perf_counter()
            ours, _ = handler.answer(request, "application/json", "")
            middle = time.perf_counter()
            theirs = by_sklearn(pipelines, request)
            took["ours"].append(middle - begins)
            took["sklearn"].append(time.perf_counter() - middle)
            mine = {str(one["days"]): one["probability"] for one in json.loads(ours)["gone"]}
            other = json.loads(theirs)
            lowest = np.minimum.accumulate([other[days] for days in mine])
            if not np.allclose(list(mine.values()), lowest, atol=TOLERANCE):
                raise SystemExit(f"the handler says {mine}, scikit-learn's pipelines {other}")
    print(f"\nOne request of 30 days, JSON in and out, {requests} requests, alternating")
    sides = {}
    for name, every in took.items():
        p50, p95 = np.quantile(every[WARM_UP:], [0.5, 0.95]) * 1e3
        sides[name] = {"p50_ms": p50, "p95_ms": p95}
        print(f"{name:10s} p50 {p50:>7.2f} ms  p95 {p95:>7.2f} ms", flush=True)
    return sides
