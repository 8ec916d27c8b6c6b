"""Country's settings: where they are searched, and who judges them.

Each level gets a third of the time and is judged by the calibrated log loss on the validation
listeners (country models: of all regions together).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from country.chained import chain_tasks
from country.features import FeaturesManifest, Listeners, read_listeners
from country.fitting import Task, fit, flat_task
from country.recipe import DEFAULTS, Level, recipe_for
from hosts import Machine
from search import SEED, Found, Range, search

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEVELS: tuple[Level, ...] = ("region", "country", "flat")

RANGES = {
    "learning_rate": Range(0.01, 0.1, log=True),
    "num_leaves": Range(3, 31, log=True, whole=True),
    "min_data_in_leaf": Range(10, 200, log=True, whole=True),
    "lambda_l2": Range(1, 100, log=True),
    "path_smooth": Range(1, 100, log=True),
    "feature_fraction": Range(0.2, 1.0),
}


@dataclass(frozen=True)
class Data:
    """The listeners of a features run that tuning may see."""

    manifest: FeaturesManifest
    train: Listeners
    validation: Listeners

    @classmethod
    def read(cls, features: Path) -> Data:
        """Read a features run."""
        manifest = FeaturesManifest.read(features)
        train, validation = (
            read_listeners(features / "listeners" / f"split={split}", manifest.layout)
            for split in ("train", "validation")
        )
        return cls(manifest, train, validation)

    def tasks(self, level: Level) -> list[Task]:
        """Return the models of a level that have anything to tell apart."""
        regions, counts = self.manifest.regions, self.manifest.train_counts
        chain = chain_tasks(regions, counts)
        by_level = {"region": chain[:1], "country": chain[1:], "flat": [flat_task(regions, counts)]}
        return [task for task in by_level[level] if len(task.classes) > 1]

    def loss(self, level: Level, settings: Mapping[str, float]) -> float:
        """Return the mean validation log loss of a level's models under these settings."""
        total, listeners = 0.0, 0
        for task in self.tasks(level):
            own = tuple(task.class_of)
            recipe = recipe_for(
                level,
                listeners=int(task.counts.sum()),
                effective_classes=task.effective_classes,
                hyperparameters={name: str(value) for name, value in settings.items()},
            )
            training = fit(
                task,
                self.train.of(own),
                self.validation.of(own),
                layout=self.manifest.layout,
                recipe=recipe,
                seed=SEED,
                machine=Machine(num_threads=os.cpu_count() or 1),
            ).training
            total += training.log_loss * training.listeners["validation"]
            listeners += training.listeners["validation"]
        return total / listeners


def tune(features: Path, *, minutes: float, write: bool) -> None:
    """Search settings of each level, and print what was found.

    Parameters
    ----------
    features
        The folder of a features run.
    minutes
        The time budget.
    write
        Whether to replace the shipped settings.
    """
    data = Data.read(features)
    seconds = minutes * 60 / len(LEVELS)
    found = {level: tune_level(data, level, seconds=seconds) for level in LEVELS}
    for level, best in found.items():
        print(
            f"{level}: {best.shipped_loss:.5f} -> {best.loss:.5f} "
            f"in {best.trials} trials: {best.settings}"
        )
    if write:
        document = written(json.loads(DEFAULTS.read_bytes()), found, data, minutes)
        DEFAULTS.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        print(f"written to {DEFAULTS}")


def tune_level(data: Data, level: Level, *, seconds: float) -> Found:
    """Search settings of a level for so many seconds."""
    shipped = recipe_for(level, listeners=1, effective_classes=1).to_json()
    return search(
        level,
        RANGES,
        lambda settings: data.loss(level, settings),
        shipped={name: shipped[name] for name in RANGES},
        seconds=seconds,
    )


def written(
    document: dict[str, Any], found: Mapping[Level, Found], data: Data, minutes: float
) -> dict[str, Any]:
    """Return the defaults with what was found."""
    result = dict(document)
    for level, best in found.items():
        result[level] = {
            **document[level],
            "settings": {**document[level]["settings"], **best.settings},
        }
    result["found_by"] = {
        "command": "sagemaker/tuning.py",
        "features_run": data.manifest.run,
        "listeners": {"train": len(data.train), "validation": len(data.validation)},
        "synthetic": data.manifest.synthetic,
        "minutes": minutes,
        "levels": {
            level: {
                "log_loss": best.loss,
                "shipped_log_loss": best.shipped_loss,
                "trials": best.trials,
            }
            for level, best in found.items()
        },
    }
    return result
