"""Finding better settings for a system's models, in a time budget.

    python sagemaker/tuning.py --features FOLDER --minutes 30 [--write] [--system country]

FOLDER is a features run (``<system>/features/<run>/``, downloaded). Optuna's TPE sampler proposes
settings, starting from those that are shipped, and each is judged on validation. With ``--write``
they replace those in the system's ``defaults.json``, with the run that found them.

    python sagemaker/tuning.py --like TRAINING_JOB --minutes 120

prints the request of a SageMaker tuning job instead, for ``aws sagemaker
create-hyper-parameter-tuning-job --cli-input-json``: the image, role, channels and machines of that
training job, the same training script, the same ranges, the metric that the script prints.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from country import tuning as country
from listening.errors import DataError, ListeningError
from listening.systems import SYSTEMS, validation_metric
from search import SEED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from search import Range

TUNERS = {"country": country.tune}
"""What searches the settings of a system's models on a features run."""

RANGES: dict[str, Mapping[str, Range]] = {
    f"country.{level}": country.RANGES for level in country.LEVELS
}
"""Where the settings of a task's model are searched, as the training script names the task."""

PARALLEL_JOBS = 4
"""Training jobs of a tuning job at once: more learn less from each other."""


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
        Nothing is searched for the training job's task.
    """
    settings = job.get("HyperParameters", {})
    task = settings.get("task")
    if task not in RANGES:
        raise DataError(
            f"training job '{job['TrainingJobName']}' has task '{task}'; name one "
            f"that trained a model: its task is {', '.join(RANGES)}"
        )
    system, name = task.split(".")
    (trained,) = (one for one in SYSTEMS[system].train if one.name == name)
    metric, pattern = validation_metric(trained.metric)
    ranges: dict[str, list[dict[str, str]]] = {
        "IntegerParameterRanges": [],
        "ContinuousParameterRanges": [],
    }
    for setting, where in RANGES[task].items():
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
        "HyperParameterTuningJobName": f"{name}-{time.strftime('%Y%m%d-%H%M%S')}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": metric},
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
                setting: value for setting, value in settings.items() if setting not in RANGES[task]
            },
            "AlgorithmSpecification": {
                "TrainingImage": algorithm["TrainingImage"],
                "TrainingInputMode": algorithm["TrainingInputMode"],
                "MetricDefinitions": [{"Name": metric, "Regex": pattern}],
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


def main(argv: list[str] | None = None) -> int:
    """Tune and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", choices=TUNERS, default="country")
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
        else:
            TUNERS[arguments.system](
                arguments.features, minutes=arguments.minutes, write=arguments.write
            )
    except ListeningError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
