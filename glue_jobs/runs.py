"""Runs of other jobs of a system, which a job reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listening.errors import DataError
from listening.resources import LATEST, MANIFEST, output

if TYPE_CHECKING:
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
