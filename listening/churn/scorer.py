"""Risks at a date, as the endpoint and the scoring job both find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from listening.churn.bundle import PRIOR, ChurnBundle, Risks
from listening.churn.features import FEATURES, HORIZONS
from listening.churn.models import columns, with_devices
from listening.churn.reasons import Reasoner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.archive import Archive
    from listening.churn.days import Integers
    from listening.churn.features import Snapshots
    from listening.churn.models import Rows
    from listening.churn.reasons import Reason

_RECENCY, _PLAYS = FEATURES.index("recency"), FEATURES.index("plays_30")


@dataclass(frozen=True)
class Scored:
    """Listeners at a date.

    Parameters
    ----------
    rows
        What the models read, (n, width).
    risks
        What they say.
    is_bot
        Who has more plays than training has seen of people, (n,).
    """

    rows: Rows
    risks: Risks
    is_bot: np.ndarray[tuple[int], np.dtype[np.bool_]]


class Scorer:
    """Finds risks with an archive of any kind that answers; make it after forking.

    Raises
    ------
    ArchiveError
        The archive is damaged, or of other features.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._bundle = None if archive.kind == PRIOR else ChurnBundle(archive)
        self._reasoner = Reasoner(columns(self._bundle.devices if self._bundle else ()))

    @property
    def is_prior(self) -> bool:
        """Whether nothing was trained yet."""
        return self._bundle is None

    @property
    def days(self) -> tuple[int, ...]:
        """The horizons, rising."""
        return tuple(h.days for h in self._bundle.horizons) if self._bundle else HORIZONS

    @property
    def base_rates(self) -> tuple[float, ...] | None:
        """Share that was gone in training, by horizon; None before any."""
        return tuple(h.base_rate for h in self._bundle.horizons) if self._bundle else None

    def score(
        self, snapshots: Snapshots, owner: Integers, date: int, devices: Sequence[str]
    ) -> Scored:
        """Return the risks of listeners at the beginning of a date.

        Parameters
        ----------
        snapshots
            What they did.
        owner
            Listeners, (n,).
        date
            Days since 1970.
        devices
            Names by the device's number.
        """
        features = snapshots.features(owner, date)
        if self._bundle is None:
            risks = _prior(features[:, _RECENCY].astype(np.float64))
            return Scored(features, risks, np.zeros(len(owner), dtype=bool))
        known = {name: place for place, name in enumerate(self._bundle.devices)}
        place = np.array([known.get(name, -1) for name in devices] + [-1])
        rows = with_devices(features, place[snapshots.device(owner, date)], len(known))
        return Scored(rows, self._bundle.risks(rows), features[:, _PLAYS] > self._bundle.bots_above)

    def reasons(self, rows: Rows, days: int) -> list[list[Reason]]:
        """Return why the risks of rows of `Scored` are as they are, the strongest reason first.

        Parameters
        ----------
        rows
            (n, width), contiguous.
        days
            The horizon.
        """
        if self._bundle is None:
            return [[] for _ in rows]
        model = next(h.model for h in self._bundle.horizons if h.days == days)
        added = model.contributions(rows)[:, :-1]
        return [self._reasoner.reasons(row, own) for row, own in zip(rows, added, strict=True)]


def _prior(recency: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Risks:
    """Say that a silence goes on for as long again with even odds, as Lindy's law has it."""
    horizons = np.array(HORIZONS)
    found = recency[:, None] / (recency[:, None] + horizons)
    return Risks(found, found, np.zeros(found.shape, dtype=np.int64))
