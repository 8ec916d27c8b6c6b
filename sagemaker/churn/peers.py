"""The task ``churn.peers``: the recipe's four models on its own features, as scikit-learn has them.

They are no text and no array, so they are not served: what they say of the validation and the test
rows is all that is handed over, for the report.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from churn.data import read_snapshots
from churn.single import TRAINING, Given, log_loss
from hyperparameters import check_ranges, overridden, refuse_unknown, seed_of
from listening.archive import ArchiveWriter
from listening.churn.bundle import PREDICTIONS
from listening.churn.days import KINDS
from listening.churn.features import FEATURES, WINDOWS
from listening.systems import validation_metric

if TYPE_CHECKING:
    from churn.data import Floats, Snapshots
    from job import Job

PEERS = "peers"
COUNTED = (*KINDS, "seconds", "full")
THEIRS = (
    *(f"{count}_{days}" for count in COUNTED for days in WINDOWS),
    *("recency", *(f"recency_{kind}" for kind in KINDS)),
)
"""The recipe's features; the device beside them."""


@dataclass(frozen=True)
class Budget:
    """What each may take: training rows, drawn where there are more."""

    most_rows: int = 100_000

    def __post_init__(self) -> None:
        """Refuse a value outside its range."""
        check_ranges(self, {"most_rows": self.most_rows >= 100})


def models(seed: int) -> dict[str, Any]:
    """Return the recipe's models as it has them."""
    return {
        "recipe_logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "recipe_forest": RandomForestClassifier(
            n_estimators=50, max_depth=20, min_samples_leaf=20, random_state=seed
        ),
        "recipe_boosting": GradientBoostingClassifier(
            n_estimators=100, max_depth=5, learning_rate=0.1, random_state=seed
        ),
        "recipe_network": make_pipeline(
            StandardScaler(), MLPClassifier((5, 5), max_iter=500, random_state=seed)
        ),
    }


def theirs(snapshots: Snapshots) -> Floats:
    """Return the recipe's features of all rows, (n, width)."""
    places = [FEATURES.index(name) for name in THEIRS]
    used = snapshots.rows[:, len(FEATURES) :]
    return np.hstack([snapshots.rows[:, places], used]).astype(np.float64)


def train_peers(job: Job) -> None:
    """Fit the recipe's models for the longest horizon.

    Channels as `Given`, and ``test``. Hyperparameters: those of `Budget`.
    """
    refuse_unknown(job, ["most_rows"])
    given, seed = Given.of(job), seed_of(job)
    most = overridden(Budget(), job.hyperparameters).most_rows
    test = read_snapshots(job.channel("test"), given.manifest)
    archive = ArchiveWriter(job.model_folder)
    tried, served = (_some(rows, most, seed) for rows in (given.train, given.everything))
    found: dict[str, dict[str, float]] = {}
    files: dict[str, str] = {}
    for name, model in models(seed).items():
        model.fit(theirs(tried), tried.gone[:, -1])
        said = model.predict_proba(theirs(given.validation))[:, 1]
        loss = float(log_loss(given.validation.gone[:, -1], said).mean())
        begins = time.process_time()
        model.fit(theirs(served), served.gone[:, -1])
        found[name] = {"cpu_seconds": time.process_time() - begins, "log_loss": loss}
        files[name] = archive.array(f"{name}.npy", model.predict_proba(theirs(test))[:, 1])
    archive.finish(
        PREDICTIONS,
        {"name": PEERS, "on_test": files},
        created_from={"features_run": given.manifest.run},
        synthetic=given.manifest.synthetic,
    )
    told = {"name": PEERS, "rows": len(served), "of": len(given.everything), "models": found}
    (job.model_folder / TRAINING).write_text(json.dumps(told, indent=1), "utf-8")
    best = min(one["log_loss"] for one in found.values())
    print(f"{PEERS}: {validation_metric('log_loss')[0]}={best:.5f};")


def _some(rows: Snapshots, most: int, seed: int) -> Snapshots:
    """Return at most so many of the rows, drawn."""
    if len(rows) <= most:
        return rows
    return rows.take(np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False)))


TASKS = {"churn.peers": train_peers}
"""By system and the name in its entry."""
