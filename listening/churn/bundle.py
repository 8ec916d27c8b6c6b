"""What the archives of the churn system hold.

- `BUNDLE`: what the gate judges: for each horizon the model that is served, what recency alone says
  beside it, the base rate and the bounds of tenths of risk;
- `MODEL`: the models of one family, as training hands them over;
- `PREDICTIONS`: what models that cannot be served say of the validation and test rows;
- `PRIOR`: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from listening.churn.features import FEATURES
from listening.churn.models import Calibrated, columns, probability
from listening.errors import ArchiveError

if TYPE_CHECKING:
    from listening.archive import Archive, ArchiveWriter
    from listening.churn.days import Floats, Integers
    from listening.churn.models import Rows

BUNDLE, MODEL, PREDICTIONS, PRIOR = (
    *("churn.bundle", "churn.model", "churn.predictions"),
    "churn.prior",
)
TENTHS = 10


@dataclass(frozen=True)
class Horizon:
    """What is known of one horizon.

    Parameters
    ----------
    days
        That a listener may be gone for.
    model
        The one that answers.
    recency
        What recency alone says.
    base_rate
        Share of the training rows that were gone.
    tenths
        Probabilities above which the riskiest tenth lies, the next, …, falling, (9,).
    """

    days: int
    model: Calibrated
    recency: Calibrated
    base_rate: float
    tenths: tuple[float, ...]

    def write(self, archive: ArchiveWriter) -> dict[str, Any]:
        """Write the files, and return what the archive's content says."""
        return {
            "days": self.days,
            "model": self.model.write(archive, f"model-{self.days}"),
            "recency": self.recency.write(archive, f"recency-{self.days}"),
            "base_rate": self.base_rate,
            "tenths": list(self.tenths),
        }

    @classmethod
    def read(cls, archive: Archive, document: Any, *, width: int) -> Horizon:
        """Read what `write` wrote.

        Raises
        ------
        ArchiveError
            It is something else, or a file is missing.
        """
        try:
            found = cls(
                days=int(document["days"]),
                model=Calibrated.read(archive, document["model"], width=width),
                recency=Calibrated.read(archive, document["recency"], width=width),
                base_rate=float(document["base_rate"]),
                tenths=tuple(map(float, document["tenths"])),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArchiveError(f"{archive.manifest}: no horizon in it ({error!r})") from error
        if len(found.tenths) != TENTHS - 1:
            raise ArchiveError(f"{archive.manifest}: {len(found.tenths)} bounds of tenths, not 9")
        return found


@dataclass(frozen=True)
class Parts:
    """What a bundle is made of.

    Parameters
    ----------
    horizons
        Rising in days.
    devices
        Those with a column of their own.
    bots_above
        Plays in 30 days above which a listener is taken for a bot.
    """

    horizons: tuple[Horizon, ...]
    devices: tuple[str, ...]
    bots_above: float

    def write(self, archive: ArchiveWriter) -> dict[str, Any]:
        """Write the files into an archive, and return its content."""
        return {
            "features": list(FEATURES),
            "devices": list(self.devices),
            "bots_above": self.bots_above,
            "horizons": [horizon.write(archive) for horizon in self.horizons],
        }


@dataclass(frozen=True)
class Risks:
    """What a bundle says of some listeners, by horizon.

    Parameters
    ----------
    probability
        Of being gone, (n, n_horizons); never rising with the horizon.
    recency_alone
        The same by recency alone, (n, n_horizons).
    tenth
        1 for the riskiest tenth to 10, (n, n_horizons).
    """

    probability: Floats
    recency_alone: Floats
    tenth: Integers


class ChurnBundle:
    """A bundle, ready to answer; make it after forking.

    Raises
    ------
    ArchiveError
        The archive is no bundle, or of other features than this version computes.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        content = archive.content
        if archive.kind != BUNDLE:
            raise ArchiveError(f"{archive.folder}: a {archive.kind}, expected a {BUNDLE}")
        if content.get("features") != list(FEATURES):
            raise ArchiveError(
                f"{archive.manifest}: other features than this version computes; train anew, or "
                "serve it with the image that it was trained with"
            )
        try:
            self.devices = tuple(map(str, content["devices"]))
            self.bots_above = float(content["bots_above"])
            documents = list(content["horizons"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{archive.manifest}: not a bundle's content ({error!r})") from error
        self.columns = columns(self.devices)
        width = len(self.columns)
        self.horizons = [Horizon.read(archive, one, width=width) for one in documents]
        days = [horizon.days for horizon in self.horizons]
        if not days or days != sorted(set(days)):
            raise ArchiveError(f"{archive.manifest}: horizons {days} must rise")

    def risks(self, rows: Rows) -> Risks:
        """Return what the models say of rows of `columns`, contiguous, (n, width)."""
        own = np.column_stack([probability(h.model.log_odds(rows)) for h in self.horizons])
        alone = np.column_stack([probability(h.recency.log_odds(rows)) for h in self.horizons])
        # Who is gone for 14 days is gone for 7 too.
        own = np.minimum.accumulate(own, axis=1)
        tenths = [
            np.searchsorted(-np.array(h.tenths), -own[:, i]) + 1
            for i, h in enumerate(self.horizons)
        ]
        return Risks(own, np.minimum.accumulate(alone, axis=1), np.column_stack(tenths))
