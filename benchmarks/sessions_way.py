"""A batch of plays on its way to a judged bundle of sessions, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from sessions_judging import matched
from way import AsShipped

from hosts import Machine
from listening.archive import load
from listening.sessions.bundle import QuantileModel, SessionsBundle
from listening.sessions.forecast import MEDIAN, seconds
from listening.sessions.state import FEATURES
from listening.systems import ASSEMBLE, SYSTEMS
from sessions.baselines import running_quantiles, training_means
from sessions.data import Sessions, joined, moments, read_sessions
from sessions.fitting import Data, Recipe, fit

if TYPE_CHECKING:
    import numpy.typing as npt

    from sessions.data import Floats

SYSTEM = SYSTEMS["sessions"]
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Way(AsShipped):
    """A bucket's folder of sessions that went all the way."""

    system = SYSTEM

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
