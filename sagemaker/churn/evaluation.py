"""How a bundle tells who is gone on the test rows, beside everyone else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.single import log_loss
from listening.churn.answer_profile import answer_profile
from listening.churn.bundle import TENTHS
from listening.churn.features import FEATURES
from listening.churn.models import with_devices
from listening.intervals import Interval, bootstrap
from ranking import Ranking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from churn.data import FeaturesManifest, Flags, Floats, Integers, Snapshots
    from listening.churn.bundle import ChurnBundle
    from listening.drift import Profile

BUNDLE, RECENCY, BASE_RATE, CHAMPION = "bundle", "recency", "base_rate", "champion"
METRICS = ("auc", "average_precision", "log_loss", "brier", "ece", "gain_top_tenth")
TENURES = (0, 30, 90, 365)
"""Days since the account was made or first used, where ranges begin."""
INTERVAL_IN_ERRORS = 2 * 1.96
"""Standard errors between the ends of a 95% interval."""
ACTIVE = (1, 2, 5, 10, 20)
"""Active days of the last 30, where ranges begin."""


@dataclass(frozen=True)
class Judged:
    """Risks of the same rows, to be averaged with listeners' weights.

    Parameters
    ----------
    listener
        Number of each row's listener, (n,).
    gone
        What came, (n,).
    risk
        What was said, (n,).
    """

    listener: Integers
    gone: Flags
    risk: Floats

    def __len__(self) -> int:
        """Return how many listeners there are."""
        return int(self.listener.max()) + 1 if len(self.listener) else 0

    @cached_property
    def ranking(self) -> Ranking:
        """The rows by risk."""
        return Ranking(self.risk, self.gone, self.listener)

    @cached_property
    def sums(self) -> Floats:
        """Sums of log loss and squared error and the number of rows by listener."""
        error = (self.gone - self.risk) ** 2
        columns = (log_loss(self.gone, self.risk), error, np.ones(len(self.gone)))
        return np.column_stack([np.bincount(self.listener, c, len(self)) for c in columns])

    @cached_property
    def tenths(self) -> Integers:
        """Which tenth of the rows by risk each is in, the lowest first, (n,)."""
        rank = np.empty(len(self.risk), dtype=np.int64)
        rank[np.argsort(self.risk, kind="stable")] = np.arange(len(self.risk))
        return rank * TENTHS // max(len(self.risk), 1)

    def ece(self, weights: Floats | None = None) -> float:
        """Return the expected calibration error over tenths of the rows."""
        each = np.ones(len(self.risk)) if weights is None else weights[self.listener]
        said, came = (np.bincount(self.tenths, each * v, TENTHS) for v in (self.risk, self.gone))
        return float(np.abs(said - came).sum() / each.sum())


def summary(judged: Judged, weights: Floats | None) -> dict[str, float]:
    """Return `METRICS`, each listener counted by its weight."""
    total = judged.sums.sum(axis=0) if weights is None else weights @ judged.sums
    return {
        "auc": judged.ranking.auc(weights),
        "average_precision": judged.ranking.average_precision(weights),
        "log_loss": float(total[0] / total[2]),
        "brier": float(total[1] / total[2]),
        "ece": judged.ece(weights),
        "gain_top_tenth": judged.ranking.gain(1 / TENTHS, weights),
    }


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged, on what, and beside whom.

    Parameters
    ----------
    peers
        Risks of the test rows for the longest horizon, by name.
    """

    manifest: FeaturesManifest
    bundle: ChurnBundle
    test: Snapshots
    peers: Mapping[str, Floats]
    champion: ChurnBundle | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How the bundle did, for the longest horizon where none is named.

    Parameters
    ----------
    intervals
        Metrics with intervals over listeners, by who said it.
    differences
        The bundle's metrics minus another's, paired.
    against_champion
        The same minus the champion's.
    by_horizon
        Metrics of the bundle and of recency alone, by days.
    by_date, by_tenure, by_activity
        Rows: a name, rows, share gone, mean risk, and AUC and log loss of bundle and recency.
    tenths
        From the riskiest: share of the rows that was gone, mean risk, and share of all gone so far.
    curves
        ROC curves by who said it.
    bots
        Test rows that are flagged, and counted all the same.
    answers
        Profile of the answers.
    """

    intervals: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Interval]]
    against_champion: dict[str, Interval]
    by_horizon: dict[int, dict[str, dict[str, float]]]
    by_date: list[dict[str, Any]]
    by_tenure: list[dict[str, Any]]
    by_activity: list[dict[str, Any]]
    tenths: list[dict[str, float]]
    curves: dict[str, tuple[list[float], list[float]]]
    bots: int
    answers: Profile

    @property
    def metrics(self) -> dict[str, float]:
        """The bundle's figures on test, those of the gate among them."""
        own = {name: interval.value for name, interval in self.intervals[BUNDLE].items()}
        shorter = {
            f"{metric}_{days}_days": value
            for days, found in self.by_horizon.items()
            for metric, value in found[BUNDLE].items()
        }
        return own | shorter


def evaluate(subject: Subject) -> Evaluation:
    """Judge a bundle on the test rows."""
    test, bundle = subject.test, subject.bundle
    risks = bundle.risks(test.rows)
    said = {
        BUNDLE: risks.probability[:, -1],
        RECENCY: risks.recency_alone[:, -1],
        BASE_RATE: np.full(len(test), bundle.horizons[-1].base_rate),
        **subject.peers,
    }
    if subject.champion is not None:
        said[CHAMPION] = champions_risks(subject.champion, test, bundle.horizons[-1].days)
    _, listener = np.unique(test.listener, return_inverse=True)
    judged = {name: Judged(listener, test.gone[:, -1], risk) for name, risk in said.items()}
    intervals, differences = bootstrap(
        judged, summary, against=[(BUNDLE, name) for name in judged if name != BUNDLE]
    )
    found = {other: d for (_, other), d in differences.items()}
    own, alone = judged[BUNDLE], judged[RECENCY]
    by_horizon = {
        horizon.days: {
            name: summary(Judged(listener, test.gone[:, place], told[:, place]), None)
            for name, told in ((BUNDLE, risks.probability), (RECENCY, risks.recency_alone))
        }
        for place, horizon in enumerate(bundle.horizons)
    }
    return Evaluation(
        intervals=intervals,
        differences={other: d for other, d in found.items() if other != CHAMPION},
        against_champion=found.get(CHAMPION, {}),
        by_horizon=by_horizon,
        by_date=_by(test.date, own, alone, lambda date: str(np.datetime64(date, "D"))),
        by_tenure=_by(_ranges(test.feature("age"), TENURES), own, alone, _name_of(TENURES)),
        by_activity=_by(_ranges(test.feature("active_30"), ACTIVE), own, alone, _name_of(ACTIVE)),
        tenths=_tenths(own),
        curves={name: one.ranking.curve() for name, one in judged.items() if name != BASE_RATE},
        bots=int(test.is_bot.sum()),
        answers=answer_profile(
            risk=risks.probability[:, -1], recency=test.feature("recency").astype(np.int64)
        ),
    )


def champions_risks(champion: ChurnBundle, test: Snapshots, days: int) -> Floats:
    """Return what another bundle with this horizon says of the same rows, by its own devices."""
    places = {name: place for place, name in enumerate(champion.devices)}
    device = np.array([places.get(name, -1) for name in test.device.tolist()])
    features = np.ascontiguousarray(test.rows[:, : len(FEATURES)])
    place = [horizon.days for horizon in champion.horizons].index(days)
    return champion.risks(with_devices(features, device, len(places))).probability[:, place]


def _ranges(values: Floats, begins: tuple[int, ...]) -> Integers:
    return np.searchsorted(begins, values, side="right") - 1


def _name_of(begins: tuple[int, ...]) -> Any:
    def name(place: int) -> str:
        low = begins[max(place, 0)]
        if place + 1 == len(begins):
            return f"{low} or more"
        high = begins[place + 1] - 1
        return str(low) if low == high else f"{low} to {high}"

    return name


def _by(groups: Integers, own: Judged, alone: Judged, name: Any) -> list[dict[str, Any]]:
    rows = []
    for group in np.unique(groups).tolist():
        some = groups == group
        gone, listener = own.gone[some], np.arange(int(some.sum()))
        pair = (Ranking(one.risk[some], gone, listener).auc() for one in (own, alone))
        losses = (float(log_loss(gone, one.risk[some]).mean()) for one in (own, alone))
        auc, auc_of_recency = (None if np.isnan(value) else value for value in pair)
        loss, loss_of_recency = losses
        rows.append(
            {
                "name": name(group),
                "rows": int(some.sum()),
                "gone": float(gone.mean()),
                "risk": float(own.risk[some].mean()),
                "auc": auc,
                "auc_of_recency": auc_of_recency,
                "log_loss": loss,
                "log_loss_of_recency": loss_of_recency,
            }
        )
    return rows


def _tenths(judged: Judged) -> list[dict[str, float]]:
    tenths, so_far = [], 0.0
    for tenth in range(TENTHS)[::-1]:
        some = judged.tenths == tenth
        so_far += float(judged.gone[some].sum())
        tenths.append(
            {
                "rows": int(some.sum()),
                "gone": float(judged.gone[some].mean()) if some.any() else 0.0,
                "risk": float(judged.risk[some].mean()) if some.any() else 0.0,
                "gain": so_far / max(float(judged.gone.sum()), 1.0),
            }
        )
    return tenths


def choose(
    said: Mapping[str, Floats], gone: Flags, listener: Integers
) -> tuple[str, list[dict[str, Any]]]:
    """Return the family that answers, and how each did: the best by log loss, or a simpler one.

    The simplest is taken whose loss is beyond the best one's by less than a standard error of the
    difference, paired, over listeners (the rule of Breiman et al. 1984).

    Parameters
    ----------
    said
        Risks of the validation rows by family, the simplest first, (n,) each.
    gone
        What came, (n,).
    listener
        Of each row, (n,).
    """
    _, owner = np.unique(listener, return_inverse=True)
    count = np.bincount(owner).astype(np.float64)
    sums = {
        name: np.column_stack([np.bincount(owner, log_loss(gone, risk)), count])
        for name, risk in said.items()
    }

    def mean(of: Floats, weights: Floats | None) -> dict[str, float]:
        loss, rows = of.sum(axis=0) if weights is None else weights @ of
        return {"log_loss": float(loss / rows)}

    best = min(sums, key=lambda name: mean(sums[name], None)["log_loss"])
    alone, differences = bootstrap(sums, mean, against=[(name, best) for name in sums])
    tried: list[dict[str, Any]] = [
        {
            "family": name,
            "log_loss": alone[name]["log_loss"].value,
            "beyond_best": differences[name, best]["log_loss"].to_json(),
        }
        for name in sums
    ]

    def is_tied(one: dict[str, Any]) -> bool:
        beyond = one["beyond_best"]
        error = (beyond["high"] - beyond["low"]) / INTERVAL_IN_ERRORS
        return bool(beyond["value"] <= error)

    return next(one["family"] for one in tried if is_tied(one)), tried
