"""One listener's plays, from any export that has a row a play."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from ops.convert.chunks import (
    NO_ARTIST,
    NO_LISTENER,
    NO_TIME,
    NO_TRACK,
    NOT_A_TIME,
    TABLES,
    Chunk,
    moment,
)
from ops.convert.sources import Dropped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from ops.convert.sources import Source

CHUNK_ROWS = 65_536


class Play(NamedTuple):
    """A row of an export, as far as it says.

    Parameters
    ----------
    row
        The line or entry, from 1.
    artist_name, track_name
        As the export has them; empty where it has not.
    at
        When it began or ended, as text; empty where the export does not say.
    track_id, mbid, device
        Of the track, of the artist, of what it was played on.
    played_s
        How long, in seconds.
    user_id
        Whose it is, where the row says.
    """

    row: int
    artist_name: str
    track_name: str
    at: str
    track_id: str = ""
    mbid: str = ""
    device: str = ""
    played_s: float | None = None
    user_id: str = ""


def reader(
    plays: Callable[[Source], Iterator[Play | Dropped]], columns: Sequence[str]
) -> Callable[[Source], Iterator[Chunk]]:
    """Return what reads an export in chunks; parameters as in `chunks`."""
    return lambda file: chunks(plays(file), columns=columns, listener=file.listener)


def chunks(
    plays: Iterable[Play | Dropped], *, columns: Sequence[str], listener: str
) -> Iterator[Chunk]:
    """Yield plays as rows of the table.

    Parameters
    ----------
    plays
        What a reader of an export yields.
    columns
        Which of the table's the export fills; one of ``played_at`` and ``ended_at``.
    listener
        Whose the rows are that do not say.
    """
    time = "played_at" if "played_at" in columns else "ended_at"
    rows = iter(plays)
    while part := list(islice(rows, CHUNK_ROWS)):
        dropped: Counter[str] = Counter()
        kept: list[tuple[Play, datetime]] = []
        for play in part:
            if isinstance(play, Dropped):
                dropped[play.reason] += 1
                continue
            at = moment(play.at) if play.at else None
            reason = _fault(play, at, listener)
            if reason is None and at is not None:
                kept.append((play, at))
            else:
                dropped[reason or NOT_A_TIME] += 1
        yield Chunk(
            table="plays",
            rows_in=len(part),
            columns={
                column: pa.array(
                    [at for _, at in kept]
                    if column == time
                    else [_value(play, column, listener) for play, _ in kept],
                    TABLES["plays"][column],
                )
                for column in columns
            },
            dropped=dict(dropped),
        )


def _value(play: Play, column: str, listener: str) -> str | float | None:
    if column == "user_id":
        return play.user_id or listener
    value: str | float | None = getattr(play, column)
    return None if value == "" else value


def _fault(play: Play, at: datetime | None, listener: str) -> str | None:
    """Return why a play is none of the log; None where it is one."""
    if not (play.user_id or listener):
        return NO_LISTENER
    if not play.artist_name and not play.track_id:
        return NO_ARTIST
    if not play.track_name and not play.track_id:
        return NO_TRACK
    if at is None:
        return NOT_A_TIME if play.at else NO_TIME
    return None


def text(value: Any) -> str:
    """Return a value of JSON as trimmed text; empty where it is nothing or no plain value."""
    if isinstance(value, str):
        return (value if value.isascii() else _without_surrogates(value)).strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _without_surrogates(value: str) -> str:
    return value.encode("utf-8", errors="replace").decode()


def seconds(milliseconds: Any) -> float | None:
    """Return milliseconds as seconds; None for what is no number."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return None
    return milliseconds / 1000 if abs(milliseconds) < sys.maxsize else None
