"""How a bundle forecasts the test sessions, beside what everybody could say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from listening.intervals import Interval, bootstrap
from listening.sessions.answer_profile import answer_profile
from listening.sessions.forecast import HOUR, LEVELS, MEDIAN, longer_than
from ranking import Ranking
from sessions.baselines import running_quantiles, training_means
from sessions.data import Sessions, joined, moments
from sessions.fitting import pinball
from sessions.recurrent_task import sequences

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from listening.drift import Profile
    from listening.sessions.bundle import SessionsBundle
    from sessions.data import FeaturesManifest, Floats, Integers

BUNDLE, HISTORY, EVERYONE, MEAN, CHAMPION = (
    *("bundle", "own_history", "everyone", "own_mean"),
    "champion",
)
LONG_S = HOUR / 2
"""A session over it is long: how well that is told apart is an AUC."""
REMAINING_AT = (1, 3, 8, 21, 55)
"""Plays after which the time that remains is judged."""
FEW = 5  # sessions
HISTORIES = (0, 1, 5, 20, 100, 400)
"""Where ranges of the number of known sessions begin."""

METRICS = (
    *("pinball", "mae", "median_error", "mae_log", "rmse", "auc"),
    *(f"below_{level}" for level in LEVELS),
    "within_10_90",
)


@dataclass(frozen=True)
class Judged:
    """Forecasts of the same sessions, to be averaged with listeners' weights.

    Parameters
    ----------
    listener
        Place of each session's listener, 0 to n_listeners - 1, (n,).
    length
        What came, in seconds, (n,).
    quantiles
        What was forecast, in seconds, (n, 9).
    longer
        Forecast probability of a long session, (n,).
    """

    listener: Integers
    length: Floats
    quantiles: Floats
    longer: Floats

    def __len__(self) -> int:
        """Return how many listeners there are."""
        return int(self.listener.max()) + 1 if len(self.listener) else 0

    @classmethod
    def of(cls, sessions: Sessions, quantiles: Floats) -> Judged:
        """Judge forecasts of sessions."""
        _, listener = np.unique(sessions.listener, return_inverse=True)
        longer = np.array([longer_than(row, LONG_S) for row in quantiles.tolist()])
        return cls(listener, sessions.length, quantiles, longer)

    def take(self, rows: npt.NDArray[Any]) -> Judged:
        """Return some of the sessions."""
        _, listener = np.unique(self.listener[rows], return_inverse=True)
        return Judged(listener, self.length[rows], self.quantiles[rows], self.longer[rows])

    @cached_property
    def columns(self) -> dict[str, Floats]:
        """What is averaged over the sessions, by name."""
        median = self.quantiles[:, MEDIAN]
        error = np.abs(self.length - median)
        below = self.length[:, None] <= self.quantiles
        return {
            "pinball": pinball(self.length, self.quantiles),
            "mae": error,
            "mae_log": np.abs(np.log1p(self.length) - np.log1p(median)),
            "rmse": error**2,
            **{f"below_{level}": below[:, i].astype(float) for i, level in enumerate(LEVELS)},
            "within_10_90": (below[:, -1] & ~below[:, 0]).astype(float),
        }

    @cached_property
    def sums(self) -> tuple[list[str], Floats]:
        """Names, and sums of the columns and the number of sessions by listener."""
        names = list(self.columns)
        by = [np.bincount(self.listener, self.columns[name], len(self)) for name in names]
        count = np.bincount(self.listener, minlength=len(self)).astype(np.float64)
        return names, np.column_stack([*by, count])

    @cached_property
    def ranking(self) -> Ranking:
        """The sessions by forecast probability of long."""
        return Ranking(self.longer, self.length > LONG_S, self.listener)


def summary(judged: Judged, weights: Floats | None) -> dict[str, float]:
    """Return the metrics, each listener counted by its weight; the median error is left out."""
    names, sums = judged.sums
    total = sums.sum(axis=0) if weights is None else weights @ sums
    found = dict(zip(names, (total[:-1] / total[-1]).tolist(), strict=True))
    found["rmse"] = float(np.sqrt(found["rmse"]))
    return found | {"auc": judged.ranking.auc(weights)}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged, and on what."""

    manifest: FeaturesManifest
    bundle: SessionsBundle
    train: Sessions
    validation: Sessions
    test: Sessions
    held_out: Sessions | None
    champion: SessionsBundle | None


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """Mean absolute errors of what remains after so many plays, in seconds.

    ``within_10_90`` is the share that ended within the bundle's 10 to 90% quantiles.
    """

    play: int
    sessions: int
    bundle: float
    own_median: float
    start_less_elapsed: float
    within_10_90: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How the bundle did.

    Parameters
    ----------
    intervals
        Metrics with intervals over listeners, by who forecast.
    ratios
        The bundle's mean absolute error over another's, and pinball loss over the listener's own
        quantiles', on the test sessions.
    differences
        The bundle's metrics minus another's, paired.
    against_champion
        The same minus the champion's.
    by_history, by_cluster, by_hour
        Rows: a name, sessions, mean absolute error of the bundle and of the listener's own median.
    held_out
        The same figures as `ratios` on listeners that were held out, and of their first sessions.
    remaining
        By number of plays.
    answers
        Profile of the answers to the test sessions.
    """

    intervals: dict[str, dict[str, Interval]]
    ratios: dict[str, float]
    differences: dict[str, dict[str, Interval]]
    against_champion: dict[str, Interval]
    by_history: list[dict[str, Any]]
    by_cluster: list[dict[str, Any]]
    by_hour: list[dict[str, Any]]
    held_out: dict[str, float]
    remaining: list[Remaining]
    answers: Profile

    @property
    def metrics(self) -> dict[str, float]:
        """The bundle's figures on test, those of the gate among them."""
        own = {name: interval.value for name, interval in self.intervals[BUNDLE].items()}
        held = {f"held_out_{name}": value for name, value in self.held_out.items()}
        left = {
            f"remaining_{one.play}_vs_own_median": one.bundle / one.own_median
            for one in self.remaining
            if one.own_median
        }
        return own | self.ratios | held | left


def evaluate(subject: Subject) -> Evaluation:
    """Judge a bundle on the test sessions and on the listeners that were held out."""
    test = subject.test
    everyone = np.array(subject.bundle.everyone)
    before = joined([subject.train, subject.validation, test])
    is_test = _rows_of(before, test)
    history = running_quantiles(before.listener, before.length, everyone)[is_test]
    means = training_means(subject.train)
    mean = np.array([means.get(u, np.nan) for u in test.user_ids.tolist()])[test.listener]
    mean = np.where(np.isnan(mean), subject.train.length.mean(), mean)
    earlier = {"train": subject.train, "validation": subject.validation}
    forecasts = {
        BUNDLE: _lengths(subject.bundle, test, earlier),
        HISTORY: history,
        EVERYONE: np.tile(everyone, (len(test), 1)),
        MEAN: np.tile(mean[:, None], (1, len(LEVELS))),
    }
    if subject.champion:
        forecasts[CHAMPION] = _lengths(subject.champion, test, earlier)
    judged = {name: Judged.of(test, quantiles) for name, quantiles in forecasts.items()}
    intervals, differences = bootstrap(
        judged, summary, against=[(BUNDLE, name) for name in judged if name != BUNDLE]
    )
    for name, one in judged.items():
        middle = float(np.median(one.columns["mae"]))
        intervals[name]["median_error"] = Interval(middle, middle, middle)
    found = {other: d for (_, other), d in differences.items()}
    own, theirs = judged[BUNDLE], judged[HISTORY]
    clusters = subject.bundle.clusters.nearest(test.summary)
    hours = (test.start % (24 * HOUR) // HOUR).astype(np.int64)
    known = np.searchsorted(HISTORIES, test.number, side="right") - 1
    return Evaluation(
        intervals=intervals,
        ratios=_ratios(intervals),
        differences={other: d for other, d in found.items() if other != CHAMPION},
        against_champion=found.get(CHAMPION, {}),
        by_history=_by(known, own, theirs, _history_name),
        by_cluster=_by(clusters, own, theirs, str),
        by_hour=_by(hours, own, theirs, "{}:00".format),
        held_out=_held_out(subject, everyone),
        remaining=_remaining(subject, before, is_test, forecasts[BUNDLE]),
        answers=answer_profile(medians=forecasts[BUNDLE][:, MEDIAN], sessions_used=test.number),
    )


def _lengths(bundle: SessionsBundle, sessions: Sessions, before: Mapping[str, Sessions]) -> Floats:
    """Return forecasts of sessions, given the splits that hold what came before them."""
    if bundle.recurrent is not None:
        told = sequences({**before, "asked": sessions})["asked"]
        return bundle.recurrent.quantiles_of(told.steps, told.lengths, sessions.features)
    clusters = bundle.clusters.nearest(sessions.summary)
    return bundle.lengths(sessions.features, clusters.tolist())


def _rows_of(before: Sessions, some: Sessions) -> npt.NDArray[np.bool_]:
    """Return which sessions of all are these, which keep their order."""
    first = dict(
        zip(some.user_ids[some.listener][::-1].tolist(), some.number[::-1].tolist(), strict=True)
    )
    begins = np.array([first.get(u, np.iinfo(np.int64).max) for u in before.user_ids.tolist()])
    rows: npt.NDArray[np.bool_] = before.number >= begins[before.listener]
    return rows


def _ratios(intervals: Mapping[str, Mapping[str, Interval]]) -> dict[str, float]:
    own, theirs = intervals[BUNDLE], intervals[HISTORY]
    return {
        "mae_vs_running_median": own["mae"].value / theirs["mae"].value,
        "mae_vs_own_mean": own["mae"].value / intervals[MEAN]["mae"].value,
        "mae_vs_everyones_median": own["mae"].value / intervals[EVERYONE]["mae"].value,
        "pinball_vs_own_quantiles": own["pinball"].value / theirs["pinball"].value,
    }


def _held_out(subject: Subject, everyone: Floats) -> dict[str, float]:
    held = subject.held_out
    if held is None:
        return {}
    own = Judged.of(held, _lengths(subject.bundle, held, {})).columns
    history = running_quantiles(held.listener, held.length, everyone)
    theirs = Judged.of(held, history).columns
    alike = Judged.of(held, np.tile(everyone, (len(held), 1))).columns
    later, few = held.number > 0, held.number < FEW
    return {
        "listeners": float(len(held.user_ids)),
        "sessions": float(len(held)),
        "mae_vs_running_median": _ratio(own["mae"][later], theirs["mae"][later]),
        "pinball_vs_own_quantiles": _ratio(own["pinball"][later], theirs["pinball"][later]),
        "few_sessions_vs_everyones_median": _ratio(own["mae"][few], alike["mae"][few]),
        "within_10_90": float(own["within_10_90"].mean()),
    }


def _ratio(first: Floats, second: Floats) -> float:
    return float(first.mean() / second.mean()) if len(first) and second.mean() else float("nan")


def _by(groups: Integers, own: Judged, theirs: Judged, name: Any) -> list[dict[str, Any]]:
    rows = []
    for group in np.unique(groups).tolist():
        some = groups == group
        rows.append(
            {
                "name": name(group),
                "sessions": int(some.sum()),
                "bundle": float(own.columns["mae"][some].mean()),
                "own_median": float(theirs.columns["mae"][some].mean()),
                "within_10_90": float(own.columns["within_10_90"][some].mean()),
            }
        )
    return rows


def _history_name(place: int) -> str:
    low = HISTORIES[place]
    high = HISTORIES[place + 1] - 1 if place + 1 < len(HISTORIES) else None
    return f"{low} or more" if high is None else str(low) if high == low else f"{low} to {high}"


def _remaining(
    subject: Subject, before: Sessions, is_test: npt.NDArray[np.bool_], starts: Floats
) -> list[Remaining]:
    train = moments(subject.train, REMAINING_AT)
    every = moments(before, REMAINING_AT)
    place = np.cumsum(is_test) - 1
    rows = []
    for play in REMAINING_AT:
        at = every.play == play
        session, remaining = every.session[at], every.remaining[at]
        of_train = train.remaining[train.play == play]
        if not len(of_train) or not is_test[session].any():
            continue
        own = running_quantiles(
            before.listener[session], remaining, np.array([np.median(of_train)]), levels=(0.5,)
        )[:, 0]
        asked = is_test[session]
        start = starts[place[session[asked]]][:, MEDIAN]
        features = np.ascontiguousarray(every.features[at][asked])
        elapsed = every.elapsed[at][asked]
        quantiles = subject.bundle.remaining(features)
        median, true = quantiles[:, MEDIAN], remaining[asked]
        rows.append(
            Remaining(
                play=play,
                sessions=len(true),
                bundle=float(np.abs(median - true).mean()),
                own_median=float(np.abs(own[asked] - true).mean()),
                start_less_elapsed=float(np.abs(np.maximum(start - elapsed, 0) - true).mean()),
                within_10_90=float(((quantiles[:, 0] <= true) & (true <= quantiles[:, -1])).mean()),
            )
        )
    return rows
