"""Every listener judged by models that never saw them: the shipped fits, listeners in rotation.

The jobs divide listeners once, 60, 20 and 20 in a hundred, and the test is a fifth of few people.
Here fifths of the listeners take turns: three are trained on, one chooses the family, one is
judged, each at the dates that the job gives its part.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker"), str(ROOT / "benchmarks" / "stand_in")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402

from churn.data import FeaturesManifest, Snapshots  # noqa: E402
from churn.evaluation import choose  # noqa: E402
from churn.fitting import Recipe, fit_logistic, fit_recency, fit_trees  # noqa: E402
from churn.peers import models, theirs  # noqa: E402
from churn.single import Penalty  # noqa: E402
from glue_jobs.churn.snapshotting import EACH, Listeners  # noqa: E402
from hosts import Machine  # noqa: E402
from listening.churn.features import FEATURES  # noqa: E402
from listening.churn.features import Snapshots as Known  # noqa: E402
from listening.churn.models import LOGISTIC, RECENCY, TREES, probability, with_devices  # noqa: E402

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn.data import Floats

FIFTHS = 5
SEED = 1
OURS = "ours"


@dataclass(frozen=True)
class Everyone:
    """All listeners at all dates of a run, and at which dates each part is looked at."""

    snapshots: Snapshots
    manifest: FeaturesManifest

    @classmethod
    def of(cls, bucket: Path, *, run: str) -> Everyone:
        """Read what the job `activity` made, and reckon as `snapshots` does, of all listeners."""
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
                }
            )
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((columns["date"], columns["listener"]))
        return cls(
            Snapshots(
                user_ids=np.array(people.user_ids.to_pylist()),
                **{name: values[order] for name, values in columns.items()},
            ),
            manifest,
        )

    def rotations(self, *, seed: int = 0) -> list[tuple[Snapshots, Snapshots, Snapshots]]:
        """Return training, validation and test rows of each turn."""
        found = self.snapshots
        rng = np.random.default_rng(seed)
        fifth = rng.permutation(np.arange(len(found.user_ids)) % FIFTHS)[found.listener]
        dates = self.manifest.document["dates"]
        at = {part: np.isin(found.date, dates[part]) for part in ("train", "validation", "test")}
        turns = []
        for turn in range(FIFTHS):
            other = (turn + 1) % FIFTHS
            rest = (fifth != turn) & (fifth != other)
            turns.append(
                (
                    found.take(rest & at["train"] & ~found.is_bot),
                    found.take((fifth == other) & at["validation"] & ~found.is_bot),
                    found.take((fifth == turn) & at["test"]),
                )
            )
        return turns


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
    """

    gone: npt.NDArray[np.bool_]
    listener: npt.NDArray[np.int64]
    risks: dict[str, Floats]
    families: list[str]


def rotate(everyone: Everyone, days: int, *, peers: bool = True) -> Said:
    """Train, choose and judge at each turn, for one horizon."""
    manifest = everyone.manifest
    place = manifest.horizons.index(days)
    gone, listener, families = [], [], []
    risks: dict[str, list[Floats]] = {}
    for train, validation, test in everyone.rotations():
        fitted = {
            RECENCY: fit_recency(train, place, days),
            LOGISTIC: fit_logistic(train, place, days, penalty=Penalty().penalty),
            TREES: fit_trees(
                train,
                place,
                days,
                columns=manifest.columns,
                recipe=Recipe(),
                seed=SEED,
                machine=Machine(num_threads=2),
            ).model,
        }
        held = {n: probability(m.log_odds(validation.rows)) for n, m in fitted.items()}
        family, _ = choose(held, validation.gone[:, place], validation.listener)
        said = {n: probability(m.log_odds(test.rows)) for n, m in fitted.items()}
        said = {OURS: said[family], **said}
        if peers:
            for name, model in models(SEED).items():
                model.fit(theirs(train), train.gone[:, place])
                said[name] = model.predict_proba(theirs(test))[:, 1]
        families.append(family)
        gone.append(test.gone[:, place])
        listener.append(test.listener)
        for name, risk in said.items():
            risks.setdefault(name, []).append(risk)
    return Said(
        np.concatenate(gone),
        np.concatenate(listener),
        {name: np.concatenate(every) for name, every in risks.items()},
        families,
    )
