"""Runs of jobs: those that a job reads, and how it makes its own known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listening.errors import DataError
from listening.resources import LATEST, MANIFEST, output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glue_jobs.job import Arguments
    from glue_jobs.storage import Storage


def finished_run(
    storage: Storage, arguments: Arguments, *, system: str, job: str
) -> dict[str, Any]:
    """Return the manifest of the run to read of a job.

    In a workflow it is the one of the same workflow run, else what argument ``<job>_run`` names,
    else the latest.

    Raises
    ------
    DataError
        There is no such run, or it was not finished.
    """
    runs = output(system, job)
    run = arguments.workflow_run_id or arguments.get(f"{job}_run", "latest")
    if run == "latest":
        latest = storage.read_json(runs + LATEST)
        if latest is None:
            raise DataError(
                f"{storage.uri(runs + LATEST)}: no finished run of the {job} job; run it first"
            )
        run = latest["run"]
    manifest: dict[str, Any] | None = storage.read_json(f"{runs}{run}/{MANIFEST}")
    if manifest is None:
        raise DataError(
            f"{storage.uri(f'{runs}{run}/{MANIFEST}')}: this run of the {job} job is "
            "not there or was not finished; name one that was, or run the job"
        )
    return manifest


def publish(storage: Storage, runs: str, run: str, document: Mapping[str, Any]) -> None:
    """Write a run's manifest, which makes it one for every reader, then name it as the latest.

    Parameters
    ----------
    storage
        The data bucket.
    runs
        The prefix of the job's runs.
    run
        The run's id.
    document
        What the manifest holds beside it.
    """
    storage.write_json(f"{runs}{run}/{MANIFEST}", {"format_version": 1, "run": run, **document})
    storage.write_json(runs + LATEST, {"run": run})
