"""Finding better settings for both levels of the chain and for the flat model, in a time budget.

    python sagemaker/tuning.py --features FOLDER --minutes 30 [--write]

FOLDER is a features run (``features/<run>/``, downloaded). Each level gets a third of the time:
Optuna's TPE sampler proposes settings, starting from those that are shipped, and each is judged by
the calibrated log loss on the validation listeners (country models: of all regions together). With
``--write`` they replace those in ``defaults.json``, with the run that found them.

    python sagemaker/tuning.py --like TRAINING_JOB --minutes 120

prints the request of a SageMaker tuning job instead, for ``aws sagemaker
create-hyper-parameter-tuning-job --cli-input-json``: the image, role, channels and machines of that
training job, the same training script, the same ranges, the metric that the script prints.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from country.chained import chain_tasks
from country.features import FeaturesManifest, Listeners, read_listeners
from country.fitting import Machine, Task, fit, flat_task
from country.recipe import DEFAULTS, Level, recipe_for
from listening.errors import DataError, ListeningError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import optuna

LEVELS: tuple[Level, ...] = ("region", "country", "flat")
SEED = 1
PARALLEL_JOBS = 4
"""Training jobs of a tuning job at once: more learn less from each other."""
METRIC = {"Name": "validation:log_loss", "Regex": r"validation:log_loss=([0-9.]+);"}


@dataclass(frozen=True)
class Range:
    """Where a setting is searched."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Return a trial's value."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return round(trial.suggest_float(name, self.low, self.high, log=self.log), 4)


RANGES = {
    "learning_rate": Range(0.01, 0.1, log=True),
    "num_leaves": Range(3, 31, log=True, whole=True),
    "min_data_in_leaf": Range(10, 200, log=True, whole=True),
    "lambda_l2": Range(1, 100, log=True),
    "path_smooth": Range(1, 100, log=True),
    "feature_fraction": Range(0.2, 1.0),
}


def request(job: Mapping[str, Any], *, fields: Collection[str], seconds: int) -> dict[str, Any]:
    """Return the request of a SageMaker tuning job that searches the settings of one model.

    Its archives go beside those of the executions, where no execution takes them for its own.

    Parameters
    ----------
    job
        The description of a training job of that model.
    fields
        What a tuning job's ``TrainingJobDefinition`` may hold.
    seconds
        The time budget.

    Raises
    ------
    DataError
        The training job trained no model of a level.
    """
    settings = job.get("HyperParameters", {})
    if settings.get("task") not in LEVELS:
        raise DataError(
            f"training job '{job['TrainingJobName']}' has task '{settings.get('task')}'; name one "
            f"that trained a model: its task is {', '.join(LEVELS)}"
        )
    ranges: dict[str, list[dict[str, str]]] = {
        "IntegerParameterRanges": [],
        "ContinuousParameterRanges": [],
    }
    for setting, where in RANGES.items():
        kind = "IntegerParameterRanges" if where.whole else "ContinuousParameterRanges"
        ranges[kind].append(
            {
                "Name": setting,
                "MinValue": f"{where.low:g}",
                "MaxValue": f"{where.high:g}",
                "ScalingType": "Logarithmic" if where.log else "Linear",
            }
        )
    algorithm, output = job["AlgorithmSpecification"], job["OutputDataConfig"]
    executions = output["S3OutputPath"].rstrip("/").rpartition("/")[0]
    return {
        "HyperParameterTuningJobName": f"{settings['task']}-{time.strftime('%Y%m%d-%H%M%S')}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC["Name"]},
            "ResourceLimits": {
                "MaxParallelTrainingJobs": PARALLEL_JOBS,
                "MaxRuntimeInSeconds": seconds,
            },
            "ParameterRanges": ranges,
            "RandomSeed": SEED,
        },
        "TrainingJobDefinition": {
            **{field: job[field] for field in sorted(fields & job.keys())},
            "StaticHyperParameters": {
                setting: value for setting, value in settings.items() if setting not in RANGES
            },
            "AlgorithmSpecification": {
                "TrainingImage": algorithm["TrainingImage"],
                "TrainingInputMode": algorithm["TrainingInputMode"],
                "MetricDefinitions": [METRIC],
            },
            "OutputDataConfig": {**output, "S3OutputPath": f"{executions}/tuning/"},
        },
    }


def request_like(training_job: str, *, seconds: int) -> dict[str, Any]:
    """Return `request` for a training job of the account that the environment names."""
    import boto3  # noqa: PLC0415 - the image has none
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        client = boto3.client("sagemaker")
        job = client.describe_training_job(TrainingJobName=training_job)
    except (BotoCoreError, ClientError) as error:
        raise DataError(f"training job '{training_job}' cannot be described: {error}") from error
    definition = client.meta.service_model.shape_for("HyperParameterTrainingJobDefinition")
    return request(job, fields=definition.members.keys(), seconds=seconds)


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

    def loss(self, level: Level, settings: dict[str, Any]) -> float:
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


def tune(data: Data, level: Level, *, seconds: float) -> dict[str, Any]:
    """Search settings of a level.

    Parameters
    ----------
    data
        Who is learned from.
    level
        Which models.
    seconds
        The time budget; the trial that runs when it is over is finished.

    Returns
    -------
    dict
        ``settings`` (the shipped ones if none was better), ``log_loss``, ``shipped_log_loss`` and
        ``trials``.
    """
    import optuna  # noqa: PLC0415 - a development tool: the image has none

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    shipped = recipe_for(level, listeners=1, effective_classes=1).to_json()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.enqueue_trial({name: shipped[name] for name in RANGES})

    def objective(trial: optuna.Trial) -> float:
        settings = {name: where.suggest(trial, name) for name, where in RANGES.items()}
        trial.set_user_attr("settings", settings)
        loss = data.loss(level, settings)
        print(f"{level} trial {trial.number}: {loss:.5f} with {settings}", flush=True)
        return loss

    study.optimize(objective, timeout=seconds)
    return {
        "settings": study.best_trial.user_attrs["settings"],
        "log_loss": study.best_value,
        "shipped_log_loss": study.trials[0].value,
        "trials": len(study.trials),
    }


def written(
    document: dict[str, Any], found: Mapping[Level, dict[str, Any]], data: Data, minutes: float
) -> dict[str, Any]:
    """Return the defaults with what was found."""
    result = dict(document)
    for level, best in found.items():
        result[level] = {
            **document[level],
            "settings": {**document[level]["settings"], **best["settings"]},
        }
    result["found_by"] = {
        "command": "sagemaker/tuning.py",
        "features_run": data.manifest.run,
        "listeners": {"train": len(data.train), "validation": len(data.validation)},
        "synthetic": data.manifest.synthetic,
        "minutes": minutes,
        "levels": {
            level: {name: value for name, value in best.items() if name != "settings"}
            for level, best in found.items()
        },
    }
    return result


def main(argv: list[str] | None = None) -> int:
    """Tune and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, help="folder of a features run")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--write", action="store_true", help="replace the shipped defaults")
    parser.add_argument("--like", help="print SageMaker's request instead, after this training job")
    arguments = parser.parse_args(argv)
    if (arguments.features is None) == (arguments.like is None):
        parser.error("give --features, a features run's folder, or --like, a training job's name")
    try:
        if arguments.like:
            asked = request_like(arguments.like, seconds=round(arguments.minutes * 60))
            print(json.dumps(asked, indent=1))
            return 0
        data = Data.read(arguments.features)
        found = {
            level: tune(data, level, seconds=arguments.minutes * 60 / len(LEVELS))
            for level in LEVELS
        }
    except ListeningError as error:
        print(error, file=sys.stderr)
        return 1
    for level, best in found.items():
        print(
            f"{level}: {best['shipped_log_loss']:.5f} -> {best['log_loss']:.5f} "
            f"in {best['trials']} trials: {best['settings']}"
        )
    if arguments.write:
        document = written(json.loads(DEFAULTS.read_bytes()), found, data, arguments.minutes)
        DEFAULTS.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        print(f"written to {DEFAULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
