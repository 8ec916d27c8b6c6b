"""Why a listener's risk is what it is: exact contributions to the log odds, by topic, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from listening.churn.features import FEATURES, LOOK_BACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listening.churn.days import Floats
    from listening.churn.models import Rows

DEVICE = "device"
"""Begins the name of a device's column."""
MOST = 4
"""So many topics are told."""


@dataclass(frozen=True)
class Reason:
    """What a topic adds to the log odds.

    Parameters
    ----------
    text
        What is the case, in words.
    log_odds
        By how much it raises, or below 0 lowers, the log odds of being gone.
    """

    text: str
    log_odds: float

    def __str__(self) -> str:
        """Return both, such as ``last active 9 days ago, usually every 2: +1.8``."""
        return f"{self.text}: {self.log_odds:+.1f}"


def topic_of(column: str) -> str:
    """Return the topic of a model's column."""
    if column.startswith(f"{DEVICE} "):
        return DEVICE
    for topic, beginnings in _TOPICS.items():
        if column.startswith(beginnings):
            return topic
    raise KeyError(column)


_TOPICS: Mapping[str, tuple[str, ...]] = {
    "search": ("searches", "recency_searches"),
    "download": ("downloads", "recency_downloads"),
    "silence": ("recency", "silence_share", "stays_silent"),
    "heard": ("seconds", "full", "skip", "artists"),
    "regular": ("mean_gap", "longest_gap", "deviation_of_gaps", "gaps_of"),
    "trend": ("trend",),
    "life": ("life", "age"),
    "recent": ("plays", "active"),
}
"""By topic, what the names of its columns begin with; the first topic that fits counts."""


class Reasoner:
    """Tells reasons by the columns of a model.

    Parameters
    ----------
    columns
        Their names.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        topics = [topic_of(column) for column in columns]
        self._topics = sorted(set(topics))
        self._place = np.array([self._topics.index(topic) for topic in topics])
        self._devices = list(columns[len(FEATURES) :])

    def reasons(self, row: Rows, contributions: Floats) -> list[Reason]:
        """Return the topics that move the log odds most, the strongest first.

        Parameters
        ----------
        row
            Of the columns, (width,).
        contributions
            What each column adds, (width,).
        """
        added = np.bincount(self._place, contributions, len(self._topics)).round(4)
        told = dict(zip(FEATURES, row.tolist(), strict=False))
        strongest = np.argsort(-np.abs(added), kind="stable")[:MOST]
        return [
            Reason(self._words(self._topics[topic], told, row), float(added[topic]))
            for topic in strongest.tolist()
            if added[topic]
        ]

    def _words(self, topic: str, told: Mapping[str, float], row: Rows) -> str:
        if topic != DEVICE:
            return _WORDS[topic](told)
        used = [
            name
            for name, is_used in zip(self._devices, row[len(FEATURES) :], strict=True)
            if is_used
        ]
        return used[0] if used else f"another {DEVICE}"


def _silence(told: Mapping[str, float]) -> str:
    if told["recency"] > LOOK_BACK:
        return f"not active in {LOOK_BACK} days"
    usual = f", usually every {told['mean_gap']:.2g}" if told["mean_gap"] <= LOOK_BACK else ""
    return f"last active {_days(told['recency'])} ago{usual}"


def _last(told: Mapping[str, float], what: str, kind: str) -> str:
    days = told[f"recency_{kind}"]
    return (
        f"no {what} in {LOOK_BACK} days" if days > LOOK_BACK else f"last {what} {_days(days)} ago"
    )


def _days(days: float) -> str:
    return "a day" if days == 1 else f"{days:.0f} days"


def _plays(plays: float) -> str:
    return "1 play" if plays == 1 else f"{plays:,.0f} plays"


def _age(days: float) -> str:
    return f"over {LOOK_BACK} days" if days > LOOK_BACK else _days(days)


_WORDS: Mapping[str, Callable[[Mapping[str, float]], str]] = {
    "search": lambda told: _last(told, "search", "searches"),
    "download": lambda told: _last(told, "download", "downloads"),
    "silence": _silence,
    "heard": lambda told: (
        f"{told['seconds_30'] / 3600:.1f} hours heard in 30 days, "
        f"{told['skipped_share']:.0%} of plays skipped"
    ),
    "regular": lambda told: (
        f"longest silence so far {_days(told['longest_gap'])}"
        if told["mean_gap"] <= LOOK_BACK or told["gaps_of_14"]  # without gaps it is as long
        else "no silence known yet"
    ),
    "trend": lambda told: (
        f"active on {told['active_30']:.0f} of the last 30 days, on "
        f"{(told['active_90'] - told['active_30']):.0f} of the 60 before"
    ),
    "life": lambda told: f"known for {_age(told['age'])}, active on {told['life_rate']:.0%} of all",
    "recent": lambda told: (
        f"{_plays(told['plays_30'])} in 30 days, {told['plays_7']:,.0f} in the last 7"
    ),
}
