"""A batch of plays on its way to a judged bundle, as shipped: Glue jobs, training, the judge."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from processes import Ended, in_glue
from sessions_judging import matched

import entry
from hosts import Machine
from job import Job
from listening.archive import load, pack, write_prior
from listening.resources import EVALUATION
from listening.sessions.bundle import QuantileModel, SessionsBundle
from listening.sessions.forecast import MEDIAN, seconds
from listening.sessions.state import FEATURES
from listening.systems import ASSEMBLE, SYSTEMS
from sessions.baselines import running_quantiles, training_means
from sessions.data import Sessions, joined, moments, read_sessions
from sessions.fitting import Data, Recipe, fit

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from listening.systems import Channel
    from sessions.data import Floats

SYSTEM = SYSTEMS["sessions"]
PARTS = ("train", "validation", "test")
FINISHED = "seconds.json"


def run_jobs(folder: Path) -> dict[str, Ended]:
    """Run both Glue jobs on the one ready batch of a bucket's folder."""
    return {
        job.name: in_glue(
            *(f"glue_jobs/{SYSTEM.script(job)}", "--JOB_RUN_ID", f"jr_{job.name}"),
            *("--data_uri", folder.as_uri()),
        )
        for job in SYSTEM.workflow
    }


def quality_of(folder: Path, job: str) -> dict[str, Any]:
    """Return what a job counted."""
    found: dict[str, Any] = json.loads(
        (folder / SYSTEM.output(job) / f"jr_{job}" / "quality.json").read_text()
    )
    return found


@dataclass(frozen=True)
class Way:
    """A bucket's folder that went all the way.

    Parameters
    ----------
    folder
        The bucket's.
    """

    folder: Path

    @classmethod
    def walk(cls, folder: Path) -> Way:
        """Take the ready batch of a bucket's folder all the way, unless it went before."""
        way = cls(folder)
        if (folder / FINISHED).exists():
            return way
        took: dict[str, float] = {name: one.seconds for name, one in run_jobs(folder).items()}
        for task in SYSTEM.trained():
            begins = time.perf_counter()
            way._run(task.name, task.channels, {})
            pack(way.models / task.name, way.archives / task.name / "output" / "model.tar.gz")
            took[task.name] = time.perf_counter() - begins
        write_prior(folder / "prior", system=SYSTEM.name)
        pack(folder / "prior", folder / "champion" / "bundle.tar.gz")
        begins = time.perf_counter()
        others = {"models": way.archives, "champion": folder / "champion"}
        way._run(ASSEMBLE, SYSTEM.assemble, others)
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
                hyperparameters={"task": f"{SYSTEM.name}.{task}"},
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
        job = SYSTEM.features.name
        return self.folder / SYSTEM.output(job) / f"jr_{job}"

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

    @cached_property
    def bundle(self) -> SessionsBundle:
        """The bundle that was judged."""
        return SessionsBundle(load(self.models / ASSEMBLE))

    @cached_property
    def sessions(self) -> dict[str, Sessions]:
        """The sessions of each split; none of listeners held out where there are none."""
        found = {part: read_sessions(self.features / f"sessions/split={part}") for part in PARTS}
        held = self.features / "sessions/split=held_out"
        return found | ({"held_out": read_sessions(held)} if held.is_dir() else {})

    @cached_property
    def before(self) -> Sessions:
        """All sessions of who is not held out, in order of listener and time."""
        return joined([self.sessions[part] for part in PARTS])

    @cached_property
    def is_test(self) -> npt.NDArray[np.bool_]:
        """Which of `before` are test sessions, in the order of these."""
        test, all_ = self.sessions["test"], self.before
        owners = (s.user_ids[s.listener] for s in (all_, test))
        place = matched(*zip(owners, (all_.start, test.start), strict=True))
        if not np.array_equal(place[place >= 0], np.arange(len(test))):
            raise SystemExit("test sessions are not those at the end of each listener's")
        found: npt.NDArray[np.bool_] = place >= 0
        return found

    def lengths(self, sessions: Sessions) -> Floats:
        """Return the bundle's quantiles of lengths, (n, 9)."""
        clusters = self.bundle.clusters.nearest(sessions.summary)
        return self.bundle.lengths(sessions.features, clusters.tolist())

    @property
    def everyone(self) -> Floats:
        """The quantiles of all training sessions, (9,)."""
        return np.array(self.bundle.everyone)

    def own_quantiles(self) -> Floats:
        """Return the quantiles of each test session's listener so far, (n, 9)."""
        before = self.before
        return running_quantiles(before.listener, before.length, self.everyone)[self.is_test]

    def own_means(self) -> Floats:
        """Return the training mean of each test session's listener, (n,); all's for the unseen."""
        test, train = self.sessions["test"], self.sessions["train"]
        means, of_all = training_means(train), float(train.length.mean())
        return np.array([means.get(u, of_all) for u in test.user_ids.tolist()])[test.listener]

    def remaining(self, play: int) -> tuple[Floats, Floats, npt.NDArray[Any]]:
        """Return errors of what remains after so many plays of test sessions.

        Returns
        -------
        ours, theirs, listener
            Of the bundle's median, and of the median of what remained of the listener's earlier
            sessions that had as many plays; each ``(n,)``.
        """
        train = moments(self.sessions["train"], (play,))
        every = moments(self.before, (play,))
        stand_in = np.array([np.median(train.remaining)])
        listener = self.before.listener[every.session]
        own = running_quantiles(listener, every.remaining, stand_in, levels=(0.5,))[:, 0]
        asked = self.is_test[every.session]
        true = every.remaining[asked]
        said = self.bundle.remaining(np.ascontiguousarray(every.features[asked]))[:, MEDIAN]
        return np.abs(said - true), np.abs(own[asked] - true), listener[asked]

    def first_sessions_unseen(
        self, *, few: int, folds: int
    ) -> tuple[Floats, Floats, npt.NDArray[Any]]:
        """Return errors of each listener's first sessions, by models that never saw the listener.

        They are those of a session's start, trained as shipped but for clusters' own.

        Returns
        -------
        ours, theirs, listener
            Of the model's median and of that of all training sessions; each ``(n,)``.
        """
        found = []
        fold = {user: i % folds for i, user in enumerate(self.before.user_ids.tolist())}
        for one in range(folds):
            rest = {}
            for part in ("train", "validation"):
                some = self.sessions[part]
                kept = np.array([fold[user] != one for user in some.user_ids.tolist()])
                rest[part] = kept[some.listener]
            datas = {
                part: Data(self.sessions[part].features[rows], self.sessions[part].roots[rows])
                for part, rows in rest.items()
            }
            fitted = fit(
                datas["train"],
                datas["validation"],
                recipe=Recipe(),
                seed=1,
                machine=Machine(num_threads=1),
            )
            mine = np.array([fold[user] == one for user in self.before.user_ids.tolist()])
            asked = np.flatnonzero(mine[self.before.listener] & (self.before.number < few))
            model = QuantileModel(fitted.trees, name="start", width=len(FEATURES))
            said = seconds(model.roots(np.ascontiguousarray(self.before.features[asked])))
            length = self.before.length[asked]
            of_all = np.median(self.sessions["train"].length[rest["train"]])
            owner = self.before.user_ids[self.before.listener[asked]]
            found.append((np.abs(length - said[:, MEDIAN]), np.abs(length - of_all), owner))
        ours, theirs, listener = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return ours, theirs, listener

    def recipe_frame(self) -> pd.DataFrame:
        """Return the sessions with what the recipe knows of them, see `sessions_recipe`."""
        before, job = self.before, SYSTEM.workflow[0].name
        rows = pd.DataFrame(
            {
                "user_id": before.user_ids[before.listener],
                "listener": before.listener,
                "start": before.start,
                "length": before.length,
            }
        )
        owner, begins = rows["user_id"].to_numpy(), rows["start"].to_numpy()
        rows["part"] = ""
        for part in PARTS:
            some = self.sessions[part]
            place = matched((owner, begins), (some.user_ids[some.listener], some.start))
            rows.loc[place >= 0, "part"] = part
        folder = self.folder / SYSTEM.output(job) / f"jr_{job}" / "listeners"
        people = ds.dataset(folder, format="parquet").to_table().to_pandas()
        rows = rows.merge(people, "left", on="user_id")
        country = rows["country"].astype("category").cat.codes + 1
        gender = rows["gender"].astype(float).fillna(-1).astype(int)
        return rows.assign(country=country, gender=gender).drop(columns="user_id")
