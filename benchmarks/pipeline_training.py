"""From features to an evaluated bundle, on either side, in the environment of the training image.

`pipeline.py` starts it: ``pipeline_training.py <ours | original | flat> <data folder>``. Ours are
the training job's own tasks, on the channels that the state machine gives them; ``flat`` is the
model that the chain is judged against, alone. What each part cost is written to
``<side>-training.json``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker")]

import numpy as np  # noqa: E402
import original  # noqa: E402

import entry  # noqa: E402
from country.chained import chain_tasks  # noqa: E402
from country.features import FeaturesManifest, Listeners, read_listeners  # noqa: E402
from country.fitting import Machine, Task, fit, flat_task  # noqa: E402
from job import Job  # noqa: E402
from listening.archive import pack, write_prior  # noqa: E402
from listening.country.chain import log_softmax  # noqa: E402
from listening.metrics import Outcomes, Population, by_class, summary  # noqa: E402
from listening.resources import LATEST, MANIFEST  # noqa: E402
from listening.systems import SYSTEMS  # noqa: E402

if TYPE_CHECKING:
    import numpy.typing as npt

    from listening.country.predictor import Model

    FloatArray = npt.NDArray[np.float64]

METRICS = ("accuracy", "top5", "macro_f1", "log_loss")
UNVISITED = float(np.log(1e-12))
"""Log-probability of a country whose region was not visited."""


def features_run(data: Path) -> Path:
    """Return the folder of the run that the Glue jobs left."""
    features = data / SYSTEMS["country"].output("features")
    return features / str(json.loads((features / LATEST).read_text())["run"])


def job(data: Path, task: str, region: str = "") -> Job:
    """Return a training job with the channels that the state machine gives it."""
    run = features_run(data)
    folder = data / "training" / (region or task)
    for name in ("manifest", "model", "output"):
        (folder / name).mkdir(parents=True)
    (folder / "manifest" / MANIFEST).write_bytes((run / MANIFEST).read_bytes())

    def listeners(split: str) -> Path:
        place = run / "listeners" / f"split={split}"
        return place / f"region={region}" if region else place

    channels = {
        "features": folder / "manifest",
        "train": listeners("train"),
        "validation": listeners("validation"),
    }
    if task == "assemble":
        channels |= {
            "artists": run / "artists",
            "test": listeners("test"),
            "plays": run / "plays" / "split=test",
            "models": data / "models",
            "champion": data / "champion",
        }
    return Job(
        hyperparameters={"task": f"country.{task}", **({"item": region} if region else {})},
        channels=channels,
        model_folder=folder / "model",
        output_folder=folder / "output",
    )


def train(data: Path, task: str, region: str = "") -> None:
    """Train one model and put its archive where `assemble` looks for it."""
    one = job(data, task, region)
    entry.run(one)
    pack(one.model_folder, data / "models" / (region or task) / "model.tar.gz")


def ours(data: Path) -> dict[str, float]:
    """Train the chain and assemble the bundle; return its metrics on test."""
    manifest = FeaturesManifest.read(features_run(data))
    train(data, "region")
    for region in manifest.regions.regions:
        train(data, "country", region.slug)
    prior = data / "prior"
    write_prior(prior, system="country")
    pack(prior, data / "champion" / "bundle.tar.gz")
    assemble = job(data, "assemble")
    entry.run(assemble)
    found = json.loads((assemble.output_folder / "evaluation.json").read_text())["metrics"]
    return {name: found[name] for name in METRICS}


def originals(data: Path) -> dict[str, float]:
    """Train the original's chain and evaluate it on every split, as its report does."""
    folder = data / "original"
    manifest = FeaturesManifest.read(folder)
    splits = {
        name: read_listeners(folder / "listeners" / f"split={name}", manifest.layout)
        for name in ("train", "validation", "test")
    }
    tasks = chain_tasks(manifest.regions, manifest.train_counts)
    models = [_original(task, splits, manifest) for task in tasks]
    everyone = flat_task(manifest.regions, manifest.train_counts)
    population = Population(everyone.counts)
    metrics = {}
    for name, listeners in splits.items():
        answers = _joint(models, listeners.features)
        outcomes = Outcomes.of(answers, everyone.labels(listeners.countries))
        metrics[name] = summary(outcomes, population)
        by_class(outcomes, len(everyone.classes))
    return {name: metrics["test"][name] for name in METRICS}


def _original(task: Task, splits: dict[str, Listeners], manifest: FeaturesManifest) -> Model:
    each = task.counts.sum() / len(task.classes)
    recipe = original.REGION if task.level == "region" else original.country(float(each))
    own = tuple(task.class_of)
    return fit(
        task,
        splits["train"].of(own),
        splits["validation"].of(own),
        layout=manifest.layout,
        recipe=recipe,
        seed=1,
        machine=Machine(),
    ).loaded()


def _joint(models: list[Model], features: npt.NDArray[np.float32]) -> FloatArray:
    """Return log P(country) the original's way: softened regions, the likeliest of them visited."""
    region, *countries = models
    scores = region.raw_scores(features)
    assert scores is not None
    softened = log_softmax(log_softmax(scores) / original.TEMPERATURE)
    visited = softened >= np.sort(softened, axis=1)[:, -original.VISITED, None]
    parts = []
    for place, model in enumerate(countries):
        rows = visited[:, place]
        part = np.full((len(features), len(model.spec.classes)), UNVISITED)
        raw = model.raw_scores(features[rows])
        part[rows] = softened[rows, place, None] + (0.0 if raw is None else log_softmax(raw))
        parts.append(part)
    return np.hstack(parts)


def main() -> None:
    """Do one side and write what it reached."""
    side, data = sys.argv[1], Path(sys.argv[2])
    before = time.process_time()
    found: dict[str, Any] = {}
    if side == "flat":
        train(data, "flat")
    else:
        found["test"] = (ours if side == "ours" else originals)(data)
    found["cpu_seconds"] = time.process_time() - before
    (data / f"{side}-training.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
