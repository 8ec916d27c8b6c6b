"""Reading what the Glue job `session_features` wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features_manifest import read_manifest
from listening.errors import DataError, LayoutError
from listening.sessions.forecast import gains, root
from listening.sessions.moments import MOMENT_FEATURES, within
from listening.sessions.state import FEATURES, SUMMARY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT_VERSION = 1
_ELAPSED = MOMENT_FEATURES.index("elapsed")

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FeaturesManifest:
    """What a run of `session_features` says about itself."""

    run: str
    synthetic: bool
    gap_s: float
    document: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> FeaturesManifest:
        """Read the manifest in a channel's folder.

        Raises
        ------
        DataError, LayoutError
            There is none, it is of another format, or of other features.
        """
        return read_manifest(folder, version=FORMAT_VERSION, read=cls._of)

    @classmethod
    def _of(cls, document: Mapping[str, Any], source: str) -> FeaturesManifest:
        if document["features"] != list(FEATURES):
            raise LayoutError(
                f"{source}: other features than this image knows; run the Glue jobs and "
                "training of one version"
            )
        return cls(
            run=str(document["run"]),
            synthetic=bool(document["synthetic"]),
            gap_s=float(document["parameters"]["gap_s"]),
            document=document,
        )


@dataclass(frozen=True)
class Sessions:
    """Sessions of some listeners, in order of listener and time.

    Parameters
    ----------
    user_ids
        Of the listeners, (n_listeners,).
    listener
        Place in them, (n,).
    number, start, length, plays
        As the schema of the job says, (n,).
    features
        At the start, (n, len(FEATURES)).
    summary
        (n, len(SUMMARY)).
    first
        Place of each session's first play, and the number of plays at the end, (n + 1,).
    elapsed, skipped
        After each play, (n_plays,).
    """

    user_ids: npt.NDArray[np.str_]
    listener: Integers
    number: Integers
    start: Floats
    length: Floats
    plays: Integers
    features: Features
    summary: Features
    first: Integers
    elapsed: npt.NDArray[np.float32]
    skipped: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return how many sessions there are."""
        return len(self.length)

    @property
    def roots(self) -> Floats:
        """The roots of the lengths in hours, which trees learn."""
        return root(self.length)


def read_sessions(folder: Path) -> Sessions:
    """Read the sessions of a split.

    Raises
    ------
    DataError
        It is not what the job writes.
    """
    try:
        table = ds.dataset(folder, format="parquet").to_table()
        table = table.sort_by([("user_id", "ascending"), ("number", "ascending")])
        table = table.combine_chunks()
        users = table["user_id"].combine_chunks().dictionary_encode()
        first = np.zeros(table.num_rows + 1, dtype=np.int64)
        counts = pc.fill_null(pc.list_value_length(table["elapsed"]), 0)
        np.cumsum(counts.to_numpy(), out=first[1:])
        return Sessions(
            user_ids=np.array(users.dictionary.to_pylist(), dtype=np.str_),
            listener=users.indices.to_numpy().astype(np.int64),
            number=table["number"].to_numpy().astype(np.int64),
            start=table["start"].to_numpy(),
            length=table["length"].to_numpy(),
            plays=table["plays"].to_numpy().astype(np.int64),
            features=_matrix(table["features"], len(FEATURES)),
            summary=_matrix(table["summary"], len(SUMMARY)),
            first=first,
            elapsed=pc.list_flatten(table["elapsed"]).to_numpy(),
            skipped=pc.list_flatten(table["skipped"]).to_numpy(),
        )
    except (OSError, KeyError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{folder}: not sessions of the job session_features ({error})") from error


def _matrix(rows: pa.ChunkedArray, width: int) -> Features:
    flat = pc.list_flatten(rows).to_numpy()
    if len(flat) != len(rows) * width:
        raise DataError(f"features have another width than {width}; run jobs and training anew")
    return np.asarray(flat.reshape(len(rows), width), dtype=np.float32)


@dataclass(frozen=True)
class Moments:
    """Moments after plays, of which the session goes on or has just ended.

    Parameters
    ----------
    session
        Place of each moment's session, (n,).
    play
        After how many plays, (n,).
    remaining
        Seconds until the session's end, (n,).
    features
        (n, len(MOMENT_FEATURES)).
    """

    session: Integers
    play: Integers
    remaining: Floats
    features: Features

    @property
    def elapsed(self) -> Floats:
        """Seconds since the session's start, (n,)."""
        return np.expm1(self.features[:, _ELAPSED].astype(np.float64))

    @property
    def gains(self) -> Floats:
        """By how much the root of the length exceeds that of what has elapsed, (n,)."""
        return gains(self.remaining, self.elapsed)

    def take(self, rows: Integers) -> Moments:
        """Return some of the moments."""
        return Moments(**{name: values[rows] for name, values in vars(self).items()})


def moments(sessions: Sessions, after: Sequence[int]) -> Moments:
    """Return the moments after each session's plays of these numbers, counted from 1."""
    plays = np.diff(sessions.first)
    session = np.concatenate([np.flatnonzero(plays >= play) for play in after])
    play = np.repeat(np.array(after), [int((plays >= play).sum()) for play in after])
    order = np.lexsort((play, session))
    session, play = session[order], play[order]
    skips = np.concatenate([[0], np.cumsum(sessions.skipped)])
    last = sessions.first[session] + play - 1
    elapsed = sessions.elapsed[last].astype(np.float64)
    told = within(elapsed, play, skips[last + 1] - skips[sessions.first[session]])
    return Moments(
        session=session,
        play=play,
        remaining=np.maximum(sessions.length[session] - elapsed, 0.0),
        features=np.hstack([sessions.features[session], told]),
    )


def joined(parts: Sequence[Sessions]) -> Sessions:
    """Return the sessions of several splits, in order of listener and time."""
    names, places = np.unique(np.concatenate([p.user_ids for p in parts]), return_inverse=True)
    bounds = np.cumsum([0, *(len(part.user_ids) for part in parts)])
    listener = np.concatenate(
        [places[start:][part.listener] for part, start in zip(parts, bounds, strict=False)]
    )

    def all_of(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    order = np.lexsort((all_of("number"), listener))
    plays = np.concatenate([np.diff(part.first) for part in parts])
    begins = np.cumsum(plays) - plays
    first = np.concatenate([[0], np.cumsum(plays[order])])
    within_order = np.repeat(begins[order] - first[:-1], plays[order]) + np.arange(first[-1])
    columns = ("number", "start", "length", "plays", "features", "summary")
    return Sessions(
        user_ids=names,
        listener=listener[order].astype(np.int64),
        **{name: all_of(name)[order] for name in columns},
        first=first,
        elapsed=all_of("elapsed")[within_order],
        skipped=all_of("skipped")[within_order],
    )
