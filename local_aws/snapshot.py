"""The emulator's state on disk, and back.

Kept: S3 objects (their current versions), SSM parameters, the records of Glue runs, workflow
runs, training jobs, executions with their history, model packages, and log lines. Not kept: what
CDK deploys. So the stacks are deployed again first, and the state is restored into them; no event
is sent meanwhile, or an uploaded batch would start a second workflow.
"""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from local_aws import executions, glue_records, logs, parameters, registry, training_records
from local_aws.errors import LocalAwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from local_aws.runtime import Runtime

log = logging.getLogger(__name__)

FORMAT = 1
Record = dict[str, Any]


class Snapshot:
    """Writes and restores the folder ``<state>/snapshot``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.folder = runtime.settings.state / "snapshot"
        # A state that was found but never restored must not be overwritten by an empty one.
        self._safe_to_write = not self.folder.exists()

    def describe(self) -> Record:
        """Say whether there is a snapshot and whether it was restored."""
        return {"exists": self.folder.exists(), "restored": self._safe_to_write}

    def write_at_exit(self) -> None:
        """Write the state, unless that would lose one that was never restored."""
        if self._safe_to_write:
            self.write()
        else:
            log.warning("the snapshot in %s was never restored, so it is kept", self.folder)

    def _parts(
        self, folder: Path
    ) -> Mapping[str, tuple[Callable[[], Iterable[Record]], Callable[[Record], None]]]:
        store, content = self._runtime.objects, folder / "objects"
        return {
            "objects": (partial(store.save, content), partial(store.restore, content)),
            "parameters": (parameters.save, parameters.restore),
            "workflow_runs": (glue_records.save_workflow_runs, glue_records.restore_workflow_run),
            "job_runs": (glue_records.save_job_runs, glue_records.restore_job_run),
            "training_jobs": (training_records.save, training_records.restore),
            "model_packages": (registry.save, registry.restore),
            "executions": (executions.save, executions.restore),
            "logs": (logs.save, logs.restore),
        }

    def write(self) -> Record:
        """Write the state; returns how many records of each kind."""
        new = self.folder.with_name("snapshot.partial")
        shutil.rmtree(new, ignore_errors=True)
        (new / "objects").mkdir(parents=True)
        content = {kind: list(save()) for kind, (save, _) in self._parts(new).items()}
        document = {"format": FORMAT, "written": datetime.now(UTC), **content}
        text = json.dumps(document, default=_to_json, indent=1)
        (new / "state.json").write_text(text, encoding="utf-8")
        old = self.folder.with_name("snapshot.old")
        shutil.rmtree(old, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(old)
        new.rename(self.folder)
        shutil.rmtree(old, ignore_errors=True)
        self._safe_to_write = True
        return {kind: len(records) for kind, records in content.items()}

    def restore(self) -> Record:
        """Bring the written state back; returns how many records of each kind.

        Raises
        ------
        LocalAwsError
            If there is none, or it has another format.
        """
        path = self.folder / "state.json"
        if not path.exists():
            raise LocalAwsError(f"there is no snapshot in {self.folder}: nothing to restore")
        document = json.loads(path.read_text(encoding="utf-8"), object_hook=_from_json)
        if document["format"] != FORMAT:
            raise LocalAwsError(
                f"{path} has format {document['format']}, this emulator reads {FORMAT}: "
                "remove the state folder"
            )
        parts = self._parts(self.folder)
        for kind, (_, restore) in parts.items():
            for record in document[kind]:
                restore(record)
        self._safe_to_write = True
        return {kind: len(document[kind]) for kind in parts}


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, set):
        return sorted(value)
    return str(value)


def _from_json(value: Record) -> Any:
    return datetime.fromisoformat(value["$time"]) if value.keys() == {"$time"} else value
