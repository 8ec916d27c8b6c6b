"""A batch on its way to a judged bundle, as shipped: Glue jobs, training, the judge."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from processes import Ended, in_glue

import entry
from job import Job
from listening.archive import pack, write_prior
from listening.resources import EVALUATION
from listening.systems import ASSEMBLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from listening.systems import Channel, System

FINISHED = "seconds.json"


def run_jobs(
    folder: Path, system: System, arguments: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Ended]:
    """Run a system's workflow on the one ready batch of a bucket's folder.

    Parameters
    ----------
    folder
        The bucket's.
    system
        Whose jobs.
    arguments
        Of the jobs, by their names.
    """
    return {
        job.name: in_glue(
            *(f"glue_jobs/{system.script(job)}", "--JOB_RUN_ID", f"jr_{job.name}"),
            *("--data_uri", folder.as_uri(), *(arguments or {}).get(job.name, ())),
        )
        for job in system.workflow
    }


def quality_of(folder: Path, system: System, job: str) -> dict[str, Any]:
    """Return what a job counted."""
    found: dict[str, Any] = json.loads(
        (folder / system.output(job) / f"jr_{job}" / "quality.json").read_text()
    )
    return found


@dataclass(frozen=True)
class AsShipped:
    """A bucket's folder that went all the way.

    Parameters
    ----------
    folder
        The bucket's.
    """

    system: ClassVar[System]
    folder: Path

    @classmethod
    def walk(cls, folder: Path, arguments: Mapping[str, Sequence[str]] | None = None) -> Self:
        """Take the ready batch of a bucket's folder all the way, unless it went before.

        Parameters as `run_jobs`.
        """
        way = cls(folder)
        if (folder / FINISHED).exists():
            return way
        jobs = run_jobs(folder, cls.system, arguments)
        took: dict[str, float] = {name: one.seconds for name, one in jobs.items()}
        for task in cls.system.trained():
            begins = time.perf_counter()
            way._run(task.name, task.channels, {})
            pack(way.models / task.name, way.archives / task.name / "output" / "model.tar.gz")
            took[task.name] = time.perf_counter() - begins
        write_prior(folder / "prior", system=cls.system.name)
        pack(folder / "prior", folder / "champion" / "bundle.tar.gz")
        begins = time.perf_counter()
        others = {"models": way.archives, "champion": folder / "champion"}
        way._run(ASSEMBLE, cls.system.assemble, others)
        took[ASSEMBLE] = time.perf_counter() - begins
        (folder / FINISHED).write_text(json.dumps(took), "utf-8")
        return way

    def _run(self, task: str, channels: tuple[Channel, ...], others: dict[str, Path]) -> None:
        """Run a training task on one thread."""
        prefixes = {c.name: self.features / c.prefix for c in channels}
        prefixes["features"] = self.features
        shutil.rmtree(self.models / task, ignore_errors=True)
        for place in (self.models / task, self.folder / "output" / task):
            place.mkdir(parents=True, exist_ok=True)
        entry.run(
            Job(
                hyperparameters={"task": f"{self.system.name}.{task}"},
                channels={**prefixes, **others},
                model_folder=self.models / task,
                output_folder=self.folder / "output" / task,
            )
        )

    @property
    def models(self) -> Path:
        """Folder of what each task trained."""
        return self.folder / "models"

    @property
    def archives(self) -> Path:
        """Folder of the same, packed."""
        return self.folder / "archives"

    @property
    def features(self) -> Path:
        """Folder of the features run."""
        job = self.system.features.name
        return self.folder / self.system.output(job) / f"jr_{job}"

    @property
    def seconds(self) -> dict[str, float]:
        """What each step took."""
        found: dict[str, float] = json.loads((self.folder / FINISHED).read_text())
        return found

    @property
    def judged(self) -> dict[str, Any]:
        """The judge's own document."""
        path = self.folder / "output" / ASSEMBLE / EVALUATION
        found: dict[str, Any] = json.loads(path.read_text())
        return found
