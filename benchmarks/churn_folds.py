"""Every listener judged by models that never saw them: the shipped fits, listeners in rotation.

The jobs divide listeners once, 60, 20 and 20 in a hundred, and the test is a fifth of few people.
Here fifths of the listeners take turns: three are trained on, one chooses the family, one is
judged, each at the dates that the job gives its part.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker"), str(ROOT / "benchmarks" / "stand_in")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402

from churn.data import FeaturesManifest, Snapshots  # noqa: E402
from churn.evaluation import choose  # noqa: E402
from churn.fitting import (  # noqa: E402
    Growing,
    Recipe,
    best_rounds,
    fit_logistic,
    fit_recency,
    fit_trees,
)  # noqa: E402
from churn.peers import models, theirs  # noqa: E402
from churn.single import Given, Penalty, said_to_choose  # noqa: E402
from glue_jobs.churn.snapshotting import EACH, Listeners  # noqa: E402
from hosts import Machine  # noqa: E402
from listening.churn.features import FEATURES  # noqa: E402
from listening.churn.features import Snapshots as Known  # noqa: E402
from listening.churn.models import LOGISTIC, RECENCY, TREES, probability, with_devices  # noqa: E402

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn.data import Floats, Integers
    from listening.churn.days import Activity

FIFTHS = 5
SEED = 1
OURS = "ours"


@dataclass(frozen=True)
class Everyone:
    """All listeners at all dates of a run, and at which dates each part is looked at.

    ``law`` is what a law of purchases reads of each row, (n, 3): repeated active days, days from
    the first to the last, and days since the first.
    """

    snapshots: Snapshots
    law: Floats
    manifest: FeaturesManifest
    by_time: bool

    @classmethod
    def of(cls, bucket: Path, *, run: str, by_time: bool = True) -> Everyone:
        """Read what the job `activity` made, and reckon as `snapshots` does, of all listeners.

        Parameters
        ----------
        bucket
            The data bucket's folder.
        run
            The run of `snapshots` whose dates and horizons are taken.
        by_time
            Whether test dates are later than all others; else every part has every date.
        """
        folder = bucket / "churn" / "snapshots" / run
        manifest = FeaturesManifest.read(folder)
        activity = bucket / "churn" / "activity" / manifest.document["activity_run"]
        days = (
            ds.dataset(activity / "days")
            .to_table()
            .sort_by([("user_id", "ascending"), ("day", "ascending")])
        )
        days = days.append_column("came", pa.nulls(len(days), pa.float64())).combine_chunks()
        people = Listeners.of(days)
        known = Known(people.activity)
        dates = manifest.document["dates"]
        parts: list[dict[str, Any]] = []
        for date in sorted({d for part in dates if part != "by_time" for d in dates[part]}):
            owner = known.population(date)
            if manifest.document["parameters"]["log_ends"] == EACH:
                owner = owner[known.last_day(owner) >= date + max(manifest.horizons)]
            features = known.features(owner, date)
            parts.append(
                {
                    "listener": owner,
                    "date": np.full(len(owner), date),
                    "rows": with_devices(features, np.full(len(owner), -1), 0),
                    "gone": np.column_stack(
                        [known.gone(owner, date, h) for h in manifest.horizons]
                    ),
                    "is_bot": features[:, FEATURES.index("plays_30")]
                    > manifest.bots_above.get(date, np.inf),
                    "device": np.full(len(owner), ""),
                    "law": _law(people.activity, owner, date),
                }
            )
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((columns["date"], columns["listener"]))
        law = columns.pop("law")[order]
        return cls(
            Snapshots(
                user_ids=np.array(people.user_ids.to_pylist()),
                **{name: values[order] for name, values in columns.items()},
            ),
            law,
            manifest,
            by_time,
        )

    def rotations(self, *, seed: int = 0) -> list[Turn]:
        """Return the rows of each turn."""
        found = self.snapshots
        rng = np.random.default_rng(seed)
        fifth = rng.permutation(np.arange(len(found.user_ids)) % FIFTHS)[found.listener]
        dates = self.manifest.document["dates"]
        is_at = {
            part: np.isin(found.date, dates[part]) if self.by_time else np.full(len(found), True)
            for part in ("train", "validation", "rest", "test")
        }
        turns = []
        for turn in range(FIFTHS):
            is_test, is_asked = fifth == turn, fifth == (turn + 1) % FIFTHS
            is_before = is_at["rest"] if dates["rest"] else is_at["train"]
            is_known = ~is_test & is_before & ~found.is_bot
            is_judged = is_test & is_at["test"]
            # A law of purchases is fitted on one history of each listener, the longest.
            last = np.flatnonzero(is_known)
            last = last[np.append(np.diff(found.listener[last]) != 0, True)]
            turns.append(
                Turn(
                    train=found.take(~is_test & ~is_asked & is_at["train"] & ~found.is_bot),
                    validation=found.take(is_asked & is_at["validation"] & ~found.is_bot),
                    rest=found.take(np.zeros(len(found), dtype=bool)),
                    everything=found.take(is_known),
                    test=found.take(is_judged),
                    law=(self.law[last], self.law[is_judged]),
                )
            )
        return turns


@dataclass(frozen=True)
class Turn:
    """What a family is chosen on, what is served learns from, and what it is judged on.

    ``law`` is `Everyone.law` of rows to fit and to judge.
    """

    train: Snapshots
    validation: Snapshots
    rest: Snapshots
    everything: Snapshots
    test: Snapshots
    law: tuple[Floats, Floats]


def _law(activity: Activity, owner: Integers, date: int) -> Floats:
    """Return `Everyone.law` of listeners who did something before a date."""
    rows = []
    for one in owner.tolist():
        days = activity.day[activity.first[one] : activity.first[one + 1]]
        days = days[days < date]
        rows.append((len(days) - 1, days[-1] - days[0], date - days[0]))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


@dataclass(frozen=True)
class Said:
    """Risks of all test rows of all turns.

    Parameters
    ----------
    gone
        What came, (n,).
    listener
        Whose each row is, (n,).
    risks
        By who said it, (n,) each: ours is what a bundle would say.
    families
        Which family was chosen at each turn.
    law
        `Turn.law` of each turn.
    """

    gone: npt.NDArray[np.bool_]
    listener: npt.NDArray[np.int64]
    risks: dict[str, Floats]
    families: list[str]
    law: list[tuple[Floats, Floats]]


def rotate(everyone: Everyone, days: int) -> Said:
    """Train, choose and judge at each turn, for one horizon."""
    manifest = everyone.manifest
    place = manifest.horizons.index(days)
    how = Growing(
        columns=manifest.columns, recipe=Recipe(), seed=SEED, machine=Machine(num_threads=2)
    )
    turns, families = everyone.rotations(), []
    risks: dict[str, list[Floats]] = {}
    for turn in turns:
        rounds, _ = best_rounds(turn.train, place, how)

        fits = {
            RECENCY: partial(fit_recency, place=place, days=days),
            LOGISTIC: partial(fit_logistic, place=place, days=days, penalty=Penalty().penalty),
            TREES: partial(fit_trees, place=place, days=days, how=how, rounds=rounds),
        }
        given = Given(manifest, turn.train, turn.validation, turn.rest)
        rows = given.rows_to_choose(place)
        tried = {name: said_to_choose(fit, given, place) for name, fit in fits.items()}
        family, _ = choose(tried, rows.gone[:, place], rows.listener)
        served = {name: fit(turn.everything) for name, fit in fits.items()}
        said = {n: probability(m.log_odds(turn.test.rows)) for n, m in served.items()}
        said = {OURS: said[family], **said}
        for name, model in models(SEED).items():
            model.fit(theirs(turn.everything), turn.everything.gone[:, place])
            said[name] = model.predict_proba(theirs(turn.test))[:, 1]
        families.append(family)
        for name, risk in said.items():
            risks.setdefault(name, []).append(risk)
    return Said(
        np.concatenate([turn.test.gone[:, place] for turn in turns]),
        np.concatenate([turn.test.listener for turn in turns]),
        {name: np.concatenate(every) for name, every in risks.items()},
        families,
        [turn.law for turn in turns],
    )
