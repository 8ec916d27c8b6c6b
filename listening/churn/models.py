"""The families of models that are served, simplest first; each as text, arrays or plain numbers.

Each gives the log odds of being gone, and says exactly what they are made of: the contributions of
the columns and a constant add up to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from listening.churn.features import FEATURES
from listening.errors import ArchiveError
from listening.trees import CONTRIBUTIONS, RAW_SCORE, RowPredictor, predict, read_trees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listening.archive import Archive, ArchiveWriter
    from listening.churn.days import Floats

Rows = npt.NDArray[np.float32]

RECENCY, LOGISTIC, TREES = FAMILIES = ("recency", "logistic", "trees")
"""Simplest first."""
_RECENCY = FEATURES.index("recency")
FARTHEST = 3.0
"""Standard deviations from the mean beyond which a value counts as that far."""


class Model(Protocol):
    """A model of one horizon."""

    def log_odds(self, rows: Rows) -> Floats:
        """Return the log odds of being gone, (n,), of contiguous rows of `columns`, (n, width)."""
        ...

    def contributions(self, rows: Rows) -> Floats:
        """Return what each column adds, and a constant as the last one, (n, width + 1)."""
        ...

    def write(self, archive: ArchiveWriter, name: str) -> dict[str, Any]:
        """Write the model's files, and return what the archive's content says of it."""
        ...


def columns(devices: Sequence[str]) -> tuple[str, ...]:
    """Return the names of what models read: `FEATURES`, and whether each device is used."""
    return (*FEATURES, *(f"device {name}" for name in devices))


def with_devices(features: Rows, device: npt.NDArray[np.int64], devices: int) -> Rows:
    """Return rows of `columns`, contiguous.

    Parameters
    ----------
    features
        (n, len(FEATURES)).
    device
        Place of each listener's device among those with a column, (n,); -1 for another.
    devices
        How many have one.
    """
    used = device[:, None] == np.arange(devices)
    return np.ascontiguousarray(np.hstack([features, used]), dtype=np.float32)


@dataclass(frozen=True)
class Recency:
    """By the days since the last one with something alone.

    Parameters
    ----------
    days
        Rising, (n_steps,).
    odds
        Log odds at these days, straight between them, (n_steps,).
    """

    days: tuple[float, ...]
    odds: tuple[float, ...]

    def log_odds(self, rows: Rows) -> Floats:
        """As `Model` says."""
        return np.interp(rows[:, _RECENCY], self.days, self.odds)

    def contributions(self, rows: Rows) -> Floats:
        """As `Model` says; the constant is the mean over the steps."""
        found, constant = np.zeros((len(rows), rows.shape[1] + 1)), float(np.mean(self.odds))
        found[:, _RECENCY] = self.log_odds(rows) - constant
        found[:, -1] = constant
        return found

    def write(self, archive: ArchiveWriter, name: str) -> dict[str, Any]:
        """As `Model` says."""
        del archive, name
        return {"family": RECENCY, "days": list(self.days), "odds": list(self.odds)}


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on standardised columns and their squares.

    Parameters
    ----------
    columns
        How they are standardised.
    linear, square
        Coefficients of them, and of their squares less 1, (width,).
    intercept
        Log odds where both are 0.
    """

    columns: Standard
    linear: Floats
    square: Floats
    intercept: float

    def log_odds(self, rows: Rows) -> Floats:
        """As `Model` says."""
        return np.asarray(self._added(rows).sum(axis=1) + self.intercept)

    def contributions(self, rows: Rows) -> Floats:
        """As `Model` says; the constant is the intercept."""
        return np.column_stack([self._added(rows), np.full(len(rows), self.intercept)])

    def _added(self, rows: Rows) -> Floats:
        values = self.columns.standardised(rows)
        return np.asarray(values * self.linear + (values**2 - 1) * self.square)

    def write(self, archive: ArchiveWriter, name: str) -> dict[str, Any]:
        """As `Model` says."""
        columns = self.columns
        table = [columns.is_log, columns.mean, columns.scale, self.linear, self.square]
        return {
            "family": LOGISTIC,
            "table": archive.array(f"{name}.npy", np.stack(table).astype(np.float64)),
            "intercept": self.intercept,
        }


@dataclass(frozen=True)
class Standard:
    """How columns are standardised.

    Parameters
    ----------
    is_log
        Columns of which the logarithm of one more is taken, (width,).
    mean, scale
        Of the training rows, (width,); a scale without end where a column never varies.
    """

    is_log: npt.NDArray[np.bool_]
    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, rows: Rows) -> Standard:
        """Learn it from training rows: logarithms of what is never below 0 and exceeds 1."""
        values = rows.astype(np.float64)
        is_log = (values.min(axis=0) >= 0) & (values.max(axis=0) > 1)
        values[:, is_log] = np.log1p(values[:, is_log])
        mean, scale = values.mean(axis=0), values.std(axis=0)
        varies = scale > 1e-9 * (1 + np.abs(mean))
        return cls(is_log, mean, np.where(varies, scale, np.inf))

    def standardised(self, rows: Rows) -> Floats:
        """Return standardised columns, (n, width), none farther than `FARTHEST` from its mean."""
        values = rows.astype(np.float64)
        # What no training row had may be below 0 all the same.
        values[:, self.is_log] = np.log1p(values[:, self.is_log].clip(min=0))
        return np.asarray(((values - self.mean) / self.scale).clip(-FARTHEST, FARTHEST))


class Trees:
    """LightGBM's trees; make it after forking.

    Parameters
    ----------
    text
        LightGBM's.
    width
        How many columns they read.
    """

    def __init__(self, text: str, *, width: int) -> None:
        self.text = text
        self._trees = read_trees(text, name=TREES, width=width)
        self._of_one = RowPredictor(self._trees)

    def log_odds(self, rows: Rows) -> Floats:
        """As `Model` says."""
        if len(rows) == 1:
            return np.array([self._of_one(rows[0])])
        return predict(self._trees, rows, kind=RAW_SCORE, outputs=1)[:, 0]

    def contributions(self, rows: Rows) -> Floats:
        """As `Model` says: SHAP values (Lundberg et al. 2018)."""
        return predict(self._trees, rows, kind=CONTRIBUTIONS, outputs=rows.shape[1] + 1)

    def write(self, archive: ArchiveWriter, name: str) -> dict[str, Any]:
        """As `Model` says."""
        return {"family": TREES, "file": archive.text(f"{name}.txt", self.text)}


@dataclass(frozen=True)
class Calibrated:
    """A model whose log odds are set right by a straight line (Platt scaling).

    Parameters
    ----------
    family
        Of `FAMILIES`.
    model
        The model.
    slope, shift
        Log odds are ``slope`` times the model's plus ``shift``.
    """

    family: str
    model: Model
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, rows: Rows) -> Floats:
        """As `Model` says."""
        return self.slope * self.model.log_odds(rows) + self.shift

    def contributions(self, rows: Rows) -> Floats:
        """As `Model` says."""
        found = self.slope * self.model.contributions(rows)
        found[:, -1] += self.shift
        return found

    def write(self, archive: ArchiveWriter, name: str) -> dict[str, Any]:
        """As `Model` says."""
        return self.model.write(archive, name) | {"slope": self.slope, "shift": self.shift}

    @classmethod
    def read(cls, archive: Archive, document: Any, *, width: int) -> Calibrated:
        """Read what `write` wrote.

        Raises
        ------
        ArchiveError
            It is something else, or a file is missing.
        """
        try:
            family = document["family"]
            found = cls(
                family, _READERS[family](archive, document, width),
                float(document["slope"]), float(document["shift"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{archive.manifest}: no model in it ({error!r})") from error
        return found


def _recency(archive: Archive, document: Any, width: int) -> Recency:
    del archive, width
    found = Recency(tuple(map(float, document["days"])), tuple(map(float, document["odds"])))
    if len(found.days) != len(found.odds) or not found.days:
        raise ValueError(f"{len(found.days)} days and {len(found.odds)} odds")
    if any(np.diff(found.days) <= 0):
        raise ValueError(f"days {list(found.days)} must rise")
    return found


def _logistic(archive: Archive, document: Any, width: int) -> Logistic:
    table = archive.array(document["table"])
    if table.shape != (5, width):
        raise ValueError(f"a table of {table.shape}, not of 5 by {width}")
    is_log, mean, scale, linear, square = table
    return Logistic(Standard(is_log > 0, mean, scale), linear, square, float(document["intercept"]))


def _trees(archive: Archive, document: Any, width: int) -> Trees:
    return Trees(archive.text(document["file"]), width=width)


_READERS: Mapping[str, Callable[[Archive, Any, int], Model]] = {
    RECENCY: _recency,
    LOGISTIC: _logistic,
    TREES: _trees,
}


def probability(log_odds: npt.ArrayLike) -> Floats:
    """Return the probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(log_odds, dtype=np.float64))))
