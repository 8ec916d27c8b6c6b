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

from churn.data import FeaturesManifest, read_snapshots
from churn.single import TRAINING, log_loss
from hyperparameters import check_ranges, overridden, refuse_unknown, seed_of
from listening.archive import ArchiveWriter
from listening.churn.bundle import PREDICTIONS
from listening.churn.days import KINDS
from listening.churn.features import FEATURES, WINDOWS
from listening.systems import validation_metric

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    Channels: ``features`` (the manifest), ``train``, ``validation`` and ``test``. Hyperparameters:
    those of `Budget`.
    """
    refuse_unknown(job, ["most_rows"])
    manifest = FeaturesManifest.read(job.channel("features"))
    budget, seed = overridden(Budget(), job.hyperparameters), seed_of(job)
    train, *asked = (
        read_snapshots(job.channel(name), manifest) for name in ("train", "validation", "test")
    )
    train = train.take(~train.is_bot)
    rows = np.arange(len(train))
    if len(rows) > budget.most_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, budget.most_rows, replace=False))
    some = train.take(rows)
    archive = ArchiveWriter(job.model_folder)
    told: dict[str, Any] = {"name": PEERS, "rows": len(rows), "of": len(train), "models": {}}
    files: dict[str, str] = {}
    for name, model in models(seed).items():
        begins = time.process_time()
        model.fit(theirs(some), some.gone[:, -1])
        seconds = time.process_time() - begins
        said = [model.predict_proba(theirs(one))[:, 1] for one in asked]
        files[name] = archive.array(f"{name}.npy", np.concatenate(said))
        loss = float(log_loss(asked[0].gone[:, -1], said[0]).mean())
        told["models"][name] = {"cpu_seconds": seconds, "log_loss": loss}
    content = {"name": PEERS, "files": files, "rows": [len(one) for one in asked]}
    archive.finish(
        PREDICTIONS,
        content,
        created_from={"features_run": manifest.run},
        synthetic=manifest.synthetic,
    )
    (job.model_folder / TRAINING).write_text(json.dumps(told, indent=1), "utf-8")
    best = min(one["log_loss"] for one in told["models"].values())
    print(f"{PEERS}: {validation_metric('log_loss')[0]}={best:.5f};")


def predictions_of_test(content: Mapping[str, Any], array: Any) -> dict[str, Floats]:
    """Return what the peers say of the test rows, by name.

    Parameters
    ----------
    content
        Of their archive.
    array
        Reads one of its arrays by name.
    """
    first = int(content["rows"][0])
    return {name: np.asarray(array(file))[first:] for name, file in content["files"].items()}


TASKS = {"churn.peers": train_peers}
"""By system and the name in its entry."""
