"""The training script: trains one model of a system, or assembles its models into a bundle.

SageMaker's training toolkit runs it (``SAGEMAKER_PROGRAM``) with hyperparameters:

task
    ``<system>.<task>``, of `TASKS`.
item
    For a task that is mapped over a list: the slug of the item.
seed
    Default 1.

Further ones, and the input channels, are described with each task's function; an entry of
`listening.systems` names them. A failure is told in one sentence, which SageMaker
shows as the job's failure reason.
"""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# Before numpy: on matrices as small as these, its threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from assembling import assemble
from charts.judging import judge as judge_charts
from churn.judging import judge as judge_churn
from churn.peers import TASKS as PEERS
from churn.single import TASKS as CHURN
from country.judging import judge as judge_country
from country.single import TASKS as COUNTRY
from job import Job
from listening.errors import DataError, ListeningError
from listening.systems import ASSEMBLE, SYSTEMS
from sessions.judging import judge as judge_sessions
from sessions.recurrent_task import TASKS as RECURRENT
from sessions.single import TASKS as SESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from judgement import Judge

JUDGES: dict[str, Judge] = {
    "country": judge_country,
    "sessions": judge_sessions,
    "churn": judge_churn,
    "charts": judge_charts,
}
"""Who judges a system's bundles."""

TASKS: dict[str, Callable[[Job], None]] = {
    **COUNTRY,
    **SESSIONS,
    **RECURRENT,
    **CHURN,
    **PEERS,
    **{
        f"{name}.{ASSEMBLE}": partial(assemble, system=SYSTEMS[name], judge=judge)
        for name, judge in JUDGES.items()
    },
}
"""What a training job can be asked to do."""


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
