"""The training script: trains one model of the chain, or assembles all models into a bundle.

SageMaker's training toolkit runs it (``SAGEMAKER_PROGRAM``) with hyperparameters:

task
    ``region``, ``country``, ``flat`` or ``assemble``.
region
    The region's slug; for ``country`` only.
seed
    Default 1.

Those of `recipe.Recipe` override the settings of a model, those of `gate.Rules` the gate's. Input
channels are described with each task's function. A failure is told in one sentence, which SageMaker
shows as the job's failure reason.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

# Before numpy: on matrices as small as these, its threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import assembling
from country import single
from job import Job
from listening.errors import DataError, ListeningError

TASKS = {
    "region": single.train_region,
    "country": single.train_country,
    "flat": single.train_flat,
    "assemble": assembling.assemble,
}


def run(job: Job) -> None:
    """Do a job's task.

    Raises
    ------
    ListeningError
        The job's hyperparameters or channels cannot be worked with.
    """
    task = job.hyperparameters.get("task")
    if task not in TASKS:
        raise DataError(f"hyperparameter 'task' must be one of {', '.join(TASKS)}, got {task!r}")
    TASKS[task](job)


def main() -> int:
    """Run as SageMaker does; return the exit code."""
    try:
        run(Job.from_environment())
    except ListeningError as error:
        reason = " ".join(str(error).split())
    except Exception as error:  # noqa: BLE001 - the job's failure reason is all that a user sees
        traceback.print_exc()
        reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    else:
        return 0
    print(reason, file=sys.stderr)
    # The toolkit keeps a failure file that exists; its own would only name the exit code.
    if folder := os.environ.get("SM_OUTPUT_DIR"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "failure").write_text(reason, "utf-8")
    return 1


if __name__ == "__main__":
    sys.exit(main())
