"""Forecasts of sessions at a moment, as the endpoint and the scoring job both make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from listening.sessions.bundle import PRIOR as PRIOR_KIND
from listening.sessions.bundle import SessionsBundle
from listening.sessions.cut import GAP_S
from listening.sessions.forecast import PRIOR, longer_than
from listening.sessions.moments import within
from listening.sessions.sequence import STEPS
from listening.sessions.state import NOBODY, Profile, Session, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.archive import Archive
    from listening.sessions.forecast import Floats

ENOUGH = 5
"""Sessions from which on a forecast rests on the listener, and not on listeners alike."""

Basis = Literal["listener", "cluster", "everyone", "prior"]


@dataclass(frozen=True)
class Moment:
    """What is known of a listener when a session begins or goes on.

    Parameters
    ----------
    earlier
        Sessions that have ended, in order of time.
    now
        Seconds since 1970, UTC.
    going_on
        The session that goes on, until its latest end so far; None where one begins now.
    profile
        What the listener's account says.
    """

    earlier: Sequence[Session]
    now: float
    going_on: Session | None = None
    profile: Profile = NOBODY


@dataclass(frozen=True)
class Forecast:
    """What is forecast.

    Parameters
    ----------
    length
        Quantiles of the whole session's length in seconds, (9,).
    remaining
        Quantiles of the time that remains of a session that goes on, in seconds, (9,).
    cluster
        The kind of listener; None before any training.
    based_on
        What the forecast rests on.
    sessions_used
        How many sessions were known.
    elapsed
        Seconds of a session that goes on, until its latest end so far; else 0.
    """

    length: Sequence[float]
    remaining: Sequence[float] | None
    cluster: int | None
    based_on: Basis
    sessions_used: int
    elapsed: float

    def longer_than(self, limit: float) -> float:
        """Return the probability that the whole session lasts longer than so many seconds."""
        if self.remaining is None:
            return longer_than(self.length, limit)
        return 1.0 if self.elapsed > limit else longer_than(self.remaining, limit - self.elapsed)


class Forecaster:
    """Forecasts with an archive of any kind; make it after forking.

    Raises
    ------
    ArchiveError
        The archive is damaged, or of other features.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._bundle = None if archive.kind == PRIOR_KIND else SessionsBundle(archive)

    @property
    def gap_s(self) -> float:
        """The silence that ends a session, in seconds."""
        return self._bundle.gap_s if self._bundle else GAP_S

    def forecast(self, moments: Sequence[Moment]) -> list[Forecast]:
        """Forecast sessions; each as if it had been asked for alone."""
        bundle = self._bundle
        if bundle is None:
            return [_prior(moment) for moment in moments]
        rows, summaries = [], []
        for moment in moments:
            state = State(moment.profile)
            for session in moment.earlier:
                state.fold(session)
            begins = moment.going_on.start if moment.going_on else moment.now
            rows.append(state.features(begins))
            summaries.append(state.summary())
        features = np.array(rows, dtype=np.float32)
        clusters = bundle.clusters.nearest(np.array(summaries, dtype=np.float32)).tolist()
        lengths: dict[int, Floats] = {}
        remaining: dict[int, Floats] = {}
        begin = [i for i, moment in enumerate(moments) if moment.going_on is None]
        if begin:
            found = (
                bundle.lengths(features[begin], [clusters[i] for i in begin])
                if bundle.recurrent is None
                else bundle.recurrent.quantiles_of_many(
                    [moments[i].earlier[-STEPS - 1 :] for i in begin], features[begin]
                )
            )
            lengths = dict(zip(begin, found, strict=True))
        elapsed = [_elapsed(moment) for moment in moments]
        open_ = [(i, m.going_on) for i, m in enumerate(moments) if m.going_on is not None]
        if open_:
            places = [i for i, _ in open_]
            told = within(
                [elapsed[i] for i in places],
                [s.plays for _, s in open_],
                [s.skips for _, s in open_],
            )
            found = bundle.remaining(np.hstack([features[places], told]))
            for place, row in zip(places, found, strict=True):
                remaining[place], lengths[place] = row, row + elapsed[place]
        return [
            Forecast(
                length=lengths[i].tolist(),
                remaining=remaining[i].tolist() if i in remaining else None,
                cluster=clusters[i],
                based_on=_basis(len(moment.earlier)),
                sessions_used=len(moment.earlier),
                elapsed=elapsed[i],
            )
            for i, moment in enumerate(moments)
        ]


def _elapsed(moment: Moment) -> float:
    return moment.going_on.end - moment.going_on.start if moment.going_on else 0.0


def _basis(sessions: int) -> Basis:
    return "listener" if sessions >= ENOUGH else "cluster" if sessions else "everyone"


def _prior(moment: Moment) -> Forecast:
    elapsed = _elapsed(moment)
    remaining = [max(q - elapsed, 0.0) for q in PRIOR] if moment.going_on else None
    length = [max(q, elapsed) for q in PRIOR]
    return Forecast(length, remaining, None, "prior", len(moment.earlier), elapsed)
