"""A recurrent forecaster in an archive: what training writes of it, and how it answers.

It answers the length at a session's start, in seconds, as `bundle.QuantileModel` does, but from the
sessions before it beside the features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listening.errors import ArchiveError
from listening.sessions.forecast import LEVELS, Floats
from listening.sessions.recurrent import Recurrent
from listening.sessions.sequence import STEP_FEATURES, STEPS, context, padded, steps
from listening.sessions.state import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from listening.archive import Archive, ArchiveWriter
    from listening.sessions.state import Session

CONTENT = "recurrent"
"""What a forecaster's document is called in an archive's content."""

_READS = {"steps": STEPS, "step_features": list(STEP_FEATURES), "context": list(FEATURES)}


def write_recurrent(archive: ArchiveWriter, folder: str, model: Recurrent) -> dict[str, Any]:
    """Write a forecaster's arrays into an archive, and return the document of `RecurrentModel`.

    Parameters
    ----------
    archive
        Where to.
    folder
        Within it.
    model
        It answers `LEVELS` of log(1 + seconds).
    """
    return {
        **_READS,
        "description": model.description,
        "files": {
            name: archive.array(f"{folder}/{name}.npy", array)
            for name, array in model.arrays.items()
        },
    }


class RecurrentModel:
    """A forecaster, ready to answer.

    Parameters
    ----------
    archive
        Has its arrays.
    document
        What `write_recurrent` returned.

    Raises
    ------
    ArchiveError
        The document is something else or of other features than this version computes, or a file
        is missing.
    """

    def __init__(self, archive: Archive, document: Any) -> None:
        where = archive.manifest
        try:
            if any(document[name] != value for name, value in _READS.items()):
                raise ArchiveError(
                    f"{where}: other steps or features than this version computes; train anew, or "
                    "serve it with the image that it was trained with"
                )
            description = dict(document["description"])
            files = dict(document["files"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{where}: no recurrent forecaster in it ({error!r})") from error
        self.model = Recurrent.of(
            description, {name: archive.array(file) for name, file in files.items()}
        )
        widths = (self.model.steps.mean.size, self.model.context.mean.size)
        if self.model.levels != LEVELS or widths != (len(STEP_FEATURES), len(FEATURES)):
            raise ArchiveError(
                f"{where}: a recurrent forecaster of {widths[0]} features a step, {widths[1]} of "
                f"the moment and {len(self.model.levels)} levels, expected {len(STEP_FEATURES)}, "
                f"{len(FEATURES)} and {len(LEVELS)}"
            )

    def quantiles(self, sessions: Sequence[Session], features: Sequence[float]) -> Floats:
        """Return quantiles of the length of a session that begins, in seconds, ``(9,)``.

        Parameters
        ----------
        sessions
            The listener's before it, in order of time; of a long past the last ``STEPS + 1``.
        features
            What `State.features` says of the moment.
        """
        one: Floats = self.quantiles_of_many([sessions], np.asarray(features, np.float32)[None])[0]
        return one

    def quantiles_of_many(
        self, pasts: Sequence[Sequence[Session]], features: npt.NDArray[np.float32]
    ) -> Floats:
        """Return quantiles of the lengths of sessions that begin, in seconds, ``(n, 9)``.

        Parameters
        ----------
        pasts
            Of each, its listener's sessions before it, as for `quantiles`.
        features
            Of the moments, ``(n, len(FEATURES))``.
        """
        sequence, lengths = padded([steps(past) for past in pasts])
        return self.quantiles_of(sequence, lengths, features)

    def quantiles_of(
        self,
        sequence: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.integer[Any]],
        features: npt.NDArray[np.float32],
    ) -> Floats:
        """Return `quantiles_of_many` of what `padded` or `windows` says of the pasts."""
        return seconds(self.model, sequence, lengths, context(features))


def seconds(
    model: Recurrent,
    sequence: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.integer[Any]],
    known: npt.NDArray[np.float32],
) -> Floats:
    """Return a forecaster's quantiles in seconds, ``(n, n_levels)``, none below 0."""
    logarithms = model.quantiles(sequence, lengths, known).astype(np.float64)
    return np.asarray(np.expm1(logarithms).clip(min=0.0))
