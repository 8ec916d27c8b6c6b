"""What the archives of the sessions system hold.

- `BUNDLE`: what the gate judges: models of the length at a session's start and of the time that
  remains after each play, clusters, and what everyone's sessions are like;
- `MODEL`: one of these models;
- `PRIOR`: nothing; lengths are then log-normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.errors import ArchiveError
from listening.sessions.clusters import Clusters
from listening.sessions.forecast import LEVELS, Floats, remaining_seconds, seconds
from listening.sessions.moments import MOMENT_FEATURES
from listening.sessions.recurrent_model import CONTENT, RecurrentModel, write_recurrent
from listening.sessions.state import FEATURES
from listening.trees import RAW_SCORE, RowPredictor, predict, read_trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.archive import Archive, ArchiveWriter
    from listening.sessions.recurrent import Recurrent

BUNDLE, MODEL, PRIOR = "sessions.bundle", "sessions.model", "sessions.prior"
START, REMAINING = "start", "remaining"
COLUMNS = {START: FEATURES, REMAINING: MOMENT_FEATURES}
"""What a model reads."""
_ELAPSED = MOMENT_FEATURES.index("elapsed")


@dataclass(frozen=True)
class QuantileTrees:
    """One model for each of `LEVELS`, as training hands them over.

    Parameters
    ----------
    texts
        LightGBM's, (9,).
    centre, scale
        The root of hours that a score of 0 stands for, and of 1 beyond it.
    offsets
        What is added to each level's root of hours, so that on held-out sessions its share of
        them is below it, (9,).
    """

    texts: tuple[str, ...]
    centre: float
    scale: float
    offsets: tuple[float, ...]

    def write(self, archive: ArchiveWriter, folder: str) -> dict[str, Any]:
        """Write the texts into an archive, and return what its content says of them."""
        names = [
            archive.text(f"{folder}/{level}.txt", text)
            for level, text in zip(LEVELS, self.texts, strict=True)
        ]
        return {
            "files": names,
            "centre": self.centre,
            "scale": self.scale,
            "offsets": list(self.offsets),
        }

    @classmethod
    def read(cls, archive: Archive, document: Any) -> QuantileTrees:
        """Read what `write` wrote.

        Raises
        ------
        ArchiveError
            The content is something else, or a file is missing.
        """
        try:
            found = cls(
                texts=tuple(archive.text(name) for name in document["files"]),
                centre=float(document["centre"]),
                scale=float(document["scale"]),
                offsets=tuple(map(float, document["offsets"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{archive.manifest}: no model in it ({error!r})") from error
        if {len(found.texts), len(found.offsets)} != {len(LEVELS)}:
            raise ArchiveError(f"{archive.manifest}: a model has {len(LEVELS)} levels")
        return found


class QuantileModel:
    """Quantile trees, ready to forecast; make it after forking."""

    def __init__(self, trees: QuantileTrees, *, name: str, width: int) -> None:
        self._trees = [
            read_trees(text, name=f"{name} {level}", width=width)
            for level, text in zip(LEVELS, trees.texts, strict=True)
        ]
        self._of_one = [RowPredictor(model) for model in self._trees]
        self._centre, self._scale = trees.centre, trees.scale
        self._offsets = np.array(trees.offsets)

    def roots(self, rows: npt.NDArray[np.float32]) -> Floats:
        """Return quantiles of what the trees learned, (n, 9), of features, (n, width)."""
        if len(rows) == 1:
            scores = np.array([[score(rows[0]) for score in self._of_one]])
        else:
            every = [predict(trees, rows, kind=RAW_SCORE, outputs=1) for trees in self._trees]
            scores = np.hstack(every)
        return np.asarray(self._centre + self._scale * scores + self._offsets)


@dataclass(frozen=True)
class Parts:
    """What a bundle is made of.

    Parameters
    ----------
    start, remaining
        The models.
    of_cluster
        Models of the length at the start that replace the one of everyone, by cluster.
    clusters
        The kinds of listeners.
    everyone
        Quantiles of the lengths trained on, in seconds, (9,).
    gap_s
        The silence that ends a session.
    recurrent
        The net that forecasts the length at the start instead, where it was better.
    """

    start: QuantileTrees
    remaining: QuantileTrees
    of_cluster: dict[int, QuantileTrees]
    clusters: Clusters
    everyone: tuple[float, ...]
    gap_s: float
    recurrent: Recurrent | None = None

    def write(self, archive: ArchiveWriter) -> dict[str, Any]:
        """Write the files into an archive, and return its content."""
        content: dict[str, Any] = {
            "levels": list(LEVELS),
            "features": list(FEATURES),
            "gap_s": self.gap_s,
            "everyone": list(self.everyone),
            "clusters": self.clusters.to_json(),
            START: self.start.write(archive, START),
            REMAINING: self.remaining.write(archive, REMAINING),
            "of_cluster": {
                str(cluster): trees.write(archive, f"cluster-{cluster}")
                for cluster, trees in self.of_cluster.items()
            },
        }
        if self.recurrent is not None:
            content[CONTENT] = write_recurrent(archive, CONTENT, self.recurrent)
        return content


class SessionsBundle:
    """A bundle, ready to forecast; make it after forking.

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
        if content.get("features") != list(FEATURES) or content.get("levels") != list(LEVELS):
            raise ArchiveError(
                f"{archive.manifest}: other features than this version computes; train anew, or "
                "serve it with the image that it was trained with"
            )
        try:
            self.gap_s = float(content["gap_s"])
            self.everyone = tuple(map(float, content["everyone"]))
            self.clusters = Clusters.from_json(content["clusters"])
            if len(self.everyone) != len(LEVELS):
                raise ValueError(f"{len(self.everyone)} quantiles of everyone")
            of_cluster = {int(c): document for c, document in content["of_cluster"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveError(f"{archive.manifest}: not a bundle's content ({error!r})") from error
        self._start = self._model(content.get(START), START)
        self._remaining = self._model(content.get(REMAINING), REMAINING)
        net = content.get(CONTENT)
        self.recurrent = None if net is None else RecurrentModel(archive, net)
        self._of_cluster = {
            c: self._model(document, START, f"{START} of cluster {c}")
            for c, document in of_cluster.items()
        }

    def _model(self, document: Any, kind: str, name: str = "") -> QuantileModel:
        trees = QuantileTrees.read(self.archive, document)
        return QuantileModel(trees, name=name or kind, width=len(COLUMNS[kind]))

    def lengths(self, rows: npt.NDArray[np.float32], clusters: Sequence[int]) -> Floats:
        """Return the trees' quantiles of the length of a session that begins, in seconds, (n, 9).

        Parameters
        ----------
        rows
            Features of the moments, (n, len(FEATURES)).
        clusters
            Of the listeners, (n,).
        """
        found = seconds(self._start.roots(rows))
        for cluster, model in self._of_cluster.items():
            own = np.flatnonzero(np.asarray(clusters) == cluster)
            if len(own):
                found[own] = seconds(model.roots(np.ascontiguousarray(rows[own])))
        return found

    def remaining(self, rows: npt.NDArray[np.float32]) -> Floats:
        """Return quantiles of the time that remains after a play, in seconds, (n, 9).

        Parameters
        ----------
        rows
            Features of the moments, (n, len(MOMENT_FEATURES)).
        """
        elapsed = np.expm1(rows[:, _ELAPSED].astype(np.float64))
        return remaining_seconds(self._remaining.roots(rows), elapsed)
